"""Tables and a picture of the results of recognition.py."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _recognition_methods import METHODS

from skwbc._utils.files import replacing
from skwbc.inspection._evaluation import METRICS

COVERAGE = 0.9

Record = dict[str, Any]
# Columns of the tables: value and number of digits.
ENSEMBLE = {
    "out-of-fold accuracy": (lambda record: record["oof_accuracy"], 3),
    "accuracy": (lambda record: record["accuracy"], 3),
    "balanced accuracy": (lambda record: record["balanced_accuracy"], 3),
    "log loss": (lambda record: record["log_loss"], 3),
    "calibration error": (lambda record: record["calibration_error"], 3),
    f"coverage at {COVERAGE}": (lambda record: record["coverage"], 3),
    "mean set size": (lambda record: record["set_size"], 2),
    "fit, s": (lambda record: record["seconds"], 1),
}
MEMBERS = {
    "worst, own fold": (lambda record: min(record["fold_scores"]), 3),
    "best, own fold": (lambda record: max(record["fold_scores"]), 3),
    "worst, rest": (lambda record: min(record["member_accuracy"]), 3),
    "best, rest": (lambda record: max(record["member_accuracy"]), 3),
    "gap on the rest, points": (lambda record: gap(record), 1),
}
# The metrics that the article reports: means over the folds, at the kept epochs.
TRAINING = {
    name: (lambda record, name=name: (record.get("training") or {}).get(name), 3)
    for name in METRICS
}


def print_tables(records: list[Record]) -> None:
    for machine in dict.fromkeys(record["machine"] for record in records):
        print(machine)
    for title, group in by_data(records):
        if by_number := [each for each in group if each.get("per_class")]:
            print(f"\n**{title}**, balanced accuracy by images per class\n")
            print_numbers(by_number)
        if len(by_number) == len(group):
            continue
        group = [each for each in group if not each.get("per_class")]
        print(f"\n**{title}**: {sizes(group[0])}\n")
        print_table(group, ENSEMBLE)
        print("\nMembers, by accuracy\n")
        print_table(group, MEMBERS, {"largest gap": lambda row: max(map(gap, row))})
        if networks := [record for record in group if record.get("training")]:
            print("\nNetworks, means over the folds in the epoch that was kept\n")
            print_table(networks, TRAINING)


def by_data(records: Iterable[Record]) -> Iterable[tuple[str, list[Record]]]:
    """Return titles of data sets and epochs, and their results."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        epochs = record["epochs"]
        shown = "" if epochs is None else f", {epochs} epochs"
        groups[record["data"] + shown].append(record)
    return groups.items()


def by_method(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the results of each method that has any, in the order of METHODS."""
    rows: dict[str, list[Record]] = {name: [] for name in METHODS}
    for record in records:
        rows[record["method"]].append(record)
    return {name: row for name, row in rows.items() if row}


def by_size(records: Iterable[Record]) -> dict[int, list[Record]]:
    """Return the results for each number of training images per class."""
    groups: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        groups[record["per_class"]].append(record)
    return dict(sorted(groups.items()))


def print_numbers(records: list[Record]) -> None:
    """Print one row per method: balanced accuracy by the number of images."""
    numbers = list(by_size(records))
    rows = {name: by_size(row) for name, row in by_method(records).items()}
    most = max(len(group) for row in rows.values() for group in row.values())
    listing = ", ".join(map(str, numbers))
    header = " | ".join([*map(str, numbers), f"fit, s ({listing})"])
    print(f"| method (draws: {most}) | {header} |")
    print("|---" * (2 + len(numbers)) + "|")
    for name, row in rows.items():
        cells, seconds = [], []
        for number in numbers:
            group = row.get(number, [])
            note = f" ({len(group)})" if 0 < len(group) < most else ""
            values = [record["balanced_accuracy"] for record in group]
            cells.append(spread(values, 3) + note)
            times = [record["seconds"] for record in group]
            seconds.append(f"{np.median(times):.1f}" if times else "-")
        shown = " | ".join([*cells, ", ".join(seconds)])
        print(f"| {METHODS[name].title} | {shown} |")


def draw_numbers(records: list[Record], file: Path) -> None:
    """Draw balanced accuracy against the number of images, one panel per data set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(by_data(each for each in records if each.get("per_class")))
    if not panels:
        raise SystemExit("There are no results by images per class to draw.")
    methods = by_method(record for _, group in panels for record in group)
    styles = {
        name: {"color": colour, "marker": marker, "linestyle": style}
        for name, (style, colour, marker) in zip(methods, line_styles(), strict=False)
    }
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        lines,
        columns,
        figsize=(3.2 * columns + 0.4, 2.9 * lines + 1.4),
        layout="constrained",
        squeeze=False,
    )
    for ax, (title, group) in zip(axes.flat, panels, strict=False):
        numbers = list(by_size(group))
        for name, row in by_method(group).items():
            points = [
                (number, np.mean([record["balanced_accuracy"] for record in some]))
                for number, some in by_size(row).items()
            ]
            wide = name == "default"
            ax.plot(
                *zip(*points, strict=True),
                **styles[name],
                label=METHODS[name].title,
                linewidth=2.4 if wide else 1.3,
                markersize=5,
                zorder=3 if wide else 2,
            )
        ax.set_xscale("log")
        ax.set_xticks(numbers, labels=map(str, numbers))
        ax.minorticks_off()
        ax.set_title(title, fontsize="medium")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel("images per class for training", fontsize="medium")
    figure.supylabel("balanced accuracy on the rest", fontsize="medium")
    shown = {
        label: handle
        for ax in axes.flat
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    titles = [METHODS[name].title for name in methods]
    figure.legend(
        [shown[title] for title in titles],
        titles,
        loc="outside upper center",
        ncols=columns,
        fontsize="small",
        frameon=False,
    )
    with replacing(file) as temporary:
        figure.savefig(temporary, dpi=130)


def line_styles() -> Iterator[tuple[str, str, str]]:
    """Return styles, colours and markers that colour-blind readers tell apart."""
    # M. Okabe, K. Ito: Color Universal Design, 2008, without yellow.
    colours = (
        "#000000",
        "#E69F00",
        "#56B4E9",
        "#009E73",
        "#0072B2",
        "#D55E00",
        "#CC79A7",
    )
    for number, (style, colour) in enumerate(product(("-", "--", ":"), colours)):
        yield style, colour, "osD^vPX*<>hp8d"[number % 14]


def sizes(record: Record) -> str:
    """Return the numbers of training and test cells per class as text."""
    counts = zip(record["classes"], record["n_train"], record["n_rest"], strict=True)
    listing = ", ".join(f"{name} {train} + {rest}" for name, train, rest in counts)
    total = f"{sum(record['n_train'])} cells to train, {sum(record['n_rest'])} to test"
    return f"{total} ({listing})"


def print_table(
    records: list[Record],
    columns: dict[str, tuple[Callable[[Record], float | None], int]],
    summaries: dict[str, Callable[[list[Record]], float]] | None = None,
) -> None:
    """Print one row per method: mean and standard deviation over the seeds."""
    rows = by_method(records)
    most = max(map(len, rows.values()))
    print(f"| method (seeds: {most}) | {' | '.join([*columns, *(summaries or {})])} |")
    print("|---" * (1 + len(columns) + len(summaries or {})) + "|")
    for name, row in rows.items():
        note = "" if len(row) == most else f" (seeds: {len(row)})"
        cells = [spread(list(map(get, row)), n) for get, n in columns.values()]
        cells += [f"{get(row):.1f}" for get in (summaries or {}).values()]
        print(f"| {METHODS[name].title}{note} | {' | '.join(cells)} |")


def spread(values: list[float | None], digits: int) -> str:
    """Return mean ± standard deviation as text; None is not counted."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "-"
    mean = f"{np.mean(numbers):.{digits}f}"
    if len(numbers) == 1:
        return mean
    return f"{mean} ± {np.std(numbers, ddof=1):.{digits}f}"


def gap(record: Record) -> float:
    """Return the gap between the best and the worst member on the rest, in points."""
    return 100 * float(np.ptp(record["member_accuracy"]))
