"""Measure peak memory of training and predicting for growing numbers of images.

    python benchmarks/memory.py

Each result comes from a separate process. The process imports TensorFlow, trains a
small network on 64 images and predicts, which gives the memory of TensorFlow itself;
then it fits an ensemble of two members to all images (100 x 100 pixels, uint8), for one
epoch, and predicts them. Prints the increase of the peak of resident memory, and the
increase per byte of image data from the smallest to the largest number of images. An
array is part of the peak, as are the pages of a memory map. The last row is the same
work in plain NumPy and Keras.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import peak

SIDE = 100
BYTES = SIDE * SIDE * 3
SOURCES = ("folder", "memory map", "array", "NumPy and Keras")
LIMITS = {"folder": 0.2, "memory map": 0.2, "array": 1.3}
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 5_000, 20_000])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        source, count, folder = arguments.one
        print(run(source, int(count), Path(folder)))
        return
    counts = sorted(arguments.counts)
    print("MiB above the memory of TensorFlow itself\n")
    heads = [f"{n:,} images ({n * BYTES / MIB:.0f} MiB)" for n in counts]
    print(f"| images from | {' | '.join(heads)} | growth, bytes per byte | limit |")
    print("|---|" + "---|" * (len(counts) + 2), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), counts[-1])
        for source in SOURCES:
            peaks = [measure(source, count, folder) for count in counts]
            growth = (peaks[-1] - peaks[0]) / ((counts[-1] - counts[0]) * BYTES)
            limit = LIMITS.get(source, "-")
            cells = " | ".join(f"{peak / MIB:.0f}" for peak in peaks)
            print(f"| {source} | {cells} | {growth:.2f} | {limit} |", flush=True)


def measure(source: str, count: int, folder: str) -> int:
    """Measure in a separate process."""
    return int(
        subprocess.run(
            [sys.executable, __file__, "--one", source, str(count), folder],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    )


def write(folder: Path, count: int) -> None:
    """Write the images as one array and as files."""
    from skwbc.datasets import save_image_folder

    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint8, (count, SIDE, SIDE, 3)
    )
    for start in range(0, count, 500):
        chunk = array[start : start + 500]
        blocks = rng.integers(0, 256, (len(chunk), 10, 10, 3), dtype=np.uint8)
        chunk[...] = blocks.repeat(10, axis=1).repeat(10, axis=2)
        save_image_folder(
            chunk, [f"{k % 2}" for k in range(len(chunk))], folder / f"part {start:06}"
        )


def run(source: str, count: int, folder: Path) -> int:
    from skwbc.datasets import ImageFiles

    small = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    work = with_keras if source == "NumPy and Keras" else with_skwbc
    work(small, np.arange(64) % 2)
    before = peak()
    if source == "folder":
        files = sorted(folder.glob("part */*/*.png"))[:count]
        images = ImageFiles(files, (SIDE, SIDE))
    elif source == "memory map":
        images = np.load(folder / "images.npy", mmap_mode="r")[:count]
    else:
        with (folder / "images.npy").open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            images = np.fromfile(file, np.uint8, count * BYTES)
        images = images.reshape(count, SIDE, SIDE, 3)
    work(images, np.arange(count) % 2)
    return round(1e6 * (peak() - before))


def with_skwbc(images, y) -> None:
    from sklearn.pipeline import make_pipeline

    from skwbc import CNNClassifier, ImageAugmenter, KFoldEnsembleClassifier

    augmenter = ImageAugmenter(
        rescale=1 / 255, samplewise_center=True, rotation_range=180
    )
    cnn = CNNClassifier(epochs=1, model__filters=(2, 4))
    clf = KFoldEnsembleClassifier(make_pipeline(augmenter, cnn), cv=2, random_state=0)
    clf.fit(images, y).predict_proba(images)


def with_keras(images, y) -> None:
    import warnings

    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    from sklearn.model_selection import StratifiedKFold

    from skwbc import build_compact_cnn

    warnings.simplefilter("ignore")
    X = images.astype("float32") / 255
    X -= X.mean(axis=(1, 2, 3), keepdims=True)
    targets = np.eye(2, dtype="float32")[y]
    members = []
    for train, held_out in StratifiedKFold(2, shuffle=True, random_state=0).split(X, y):
        meta = {"image_shape_": X.shape[1:], "n_classes_": 2}
        model = build_compact_cnn(meta, filters=(2, 4))
        model.compile(loss="categorical_crossentropy", optimizer="rmsprop")
        generator = ImageDataGenerator(rotation_range=180)
        model.fit(
            generator.flow(X[train], targets[train]),
            validation_data=(X[held_out], targets[held_out]),
            verbose=0,
        )
        members.append(model.predict(X, verbose=0))
    np.mean(members, axis=0)


if __name__ == "__main__":
    main()
