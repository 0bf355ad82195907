"""Measure how time and memory grow with the number of images.

    pip install 'skwbc[plot]'
    python benchmarks/growth.py

For each number of images, a separate process trains the compact network for one epoch
on synthetic cells of 100 x 100 pixels, in an array, a memory map, PNG or JPEG files.
Prints the seconds, the peak memory above that of a fit of 100 images, and the deviation
from a straight line; docs/images/growth.png shows them. The last lines are the speed
with each source as a fraction of that with the array, for the largest number of images.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import (
    IMAGES,
    describe_machine,
    network_pipeline,
    peak,
    run_again,
)

SOURCES = ("array", "memory map", "PNG files", "JPEG files")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--counts", type=int, nargs="+",
        default=[100, 2_500, 5_000, 10_000, 20_000],
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        source, count, file = arguments.one
        print(*run(source, int(count), file))
        return
    print(describe_machine(), end="\n\n")
    counts = sorted(arguments.counts)
    seconds = {source: [] for source in SOURCES}
    peaks = {source: [] for source in SOURCES}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.npy"
        write(file, counts[-1])
        for source in SOURCES:
            for count in counts:
                runs = [
                    run_again("--one", source, count, file).split()
                    for _ in range(arguments.rounds)
                ]
                medians = np.median(np.array(runs, float), axis=0)
                seconds[source].append(medians[0])
                peaks[source].append(medians[1])
    print("| images | " + " | ".join(
        f"{source}, {unit}" for source in SOURCES for unit in ("s", "MB")
    ) + " |")  # fmt: skip
    print("|---|" + "---|" * (2 * len(SOURCES)))
    for number, count in enumerate(counts):
        cells = " | ".join(
            f"{seconds[source][number]:.1f} | {peaks[source][number]:.0f}"
            for source in SOURCES
        )
        print(f"| {count:,} | {cells} |")
    print()
    for title, values in (("time", seconds), ("memory", peaks)):
        for source in SOURCES:
            print(f"{title}, {source}: {describe_line(counts, values[source])}")
    for source in SOURCES[1:]:
        ratio = seconds["array"][-1] / seconds[source][-1]
        print(f"speed, {source} / array: {ratio:.2f}")
    draw(counts, seconds, peaks)


def write(file: Path, count: int) -> None:
    """Write `count` cells, a thousand of them different, and two files of each."""
    import cv2

    from skwbc.datasets import make_blood_cells

    cells, _ = make_blood_cells(334, random_state=0)
    for number in range(count):
        image = cells[number % len(cells), ..., ::-1]
        for suffix in ("png", "jpeg"):
            cv2.imwrite(str(file.with_name(f"{number:06}.{suffix}")), image)
    array = np.lib.format.open_memmap(file, "w+", np.uint8, (count, *cells.shape[1:]))
    for start in range(0, count, len(cells)):
        array[start : start + len(cells)] = cells[: count - start]


def run(source: str, count: int, file: str) -> tuple[float, float]:
    from skwbc import make_cell_classifier
    from skwbc.datasets import ImageFiles

    images = np.load(file, mmap_mode="r")[:count]
    y = np.arange(count) % 3
    fit(make_cell_classifier, np.array(images[:100]), y[:100])
    before = peak()
    if source == "array":
        # Not through the memory map, whose pages would be counted as well.
        with open(file, "rb") as stream:
            np.lib.format.read_magic(stream)
            np.lib.format.read_array_header_1_0(stream)
            flat = np.fromfile(stream, np.uint8, images.size)
        images = flat.reshape(images.shape)
    elif source.endswith(" files"):
        suffix = source.split()[0].lower()
        files = sorted(Path(file).parent.glob(f"*.{suffix}"))[:count]
        images = ImageFiles(files, images.shape[1:3])
    start = time.perf_counter()
    fit(make_cell_classifier, images, y)
    return time.perf_counter() - start, peak() - before


def fit(make, images, y) -> None:
    network_pipeline(make(epochs=1, random_state=0).estimator).fit(images, y)


def describe_line(counts, values) -> str:
    slope, start = np.polyfit(counts, values, 1)
    apart = np.abs(values - (start + slope * np.array(counts))).max()
    return (
        f"{start:.3g} + {1000 * slope:.3g} per 1,000 images, "
        f"at most {apart:.2g} off the line (correlation "
        f"{np.corrcoef(counts, values)[0, 1]:.4f})"
    )


def draw(counts, seconds, peaks) -> None:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axes, values, label in zip(
        panels, (seconds, peaks), ("seconds for one epoch", "peak memory, MB"),
        strict=True,
    ):  # fmt: skip
        for source in SOURCES:
            axes.plot(counts, values[source], "o-", label=source, markersize=4)
        axes.set(xlabel="images of 100 × 100 pixels", ylabel=label, xlim=0, ylim=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.savefig(IMAGES / "growth.png", dpi=110)


if __name__ == "__main__":
    main()
