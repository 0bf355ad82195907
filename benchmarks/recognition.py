"""Compare how well methods recognise new cells, over several splits.

    python benchmarks/recognition.py --bccd ../shared/data/bccd
    python benchmarks/recognition.py --data folder --folder DIR
    python benchmarks/recognition.py --table

Every method is an ensemble over the same five folds of the same training cells; the
rest of the cells is predicted once, after the fit. Each result is appended to the file
given by ``--results`` as soon as it is available, and is not computed again: an
interrupted run resumes. At the end, or immediately with ``--table``, all results in the
file are printed as Markdown tables, which recognition.md explains.
"""

import argparse
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _cell_sets import BCCD_FOUR, BCCD_THREE, Split, any_folder, bccd, synthetic
from _common import describe_machine
from _recognition_methods import METHODS, Method
from _results import append, read_lines
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from skwbc import KFoldEnsembleClassifier
from skwbc.ensemble._averaging import average_ensemble, first_choices
from skwbc.inspection._evaluation import METRICS, training_table
from skwbc.uncertainty import expected_calibration_error

DATA = {
    "bccd-3": "BCCD, three classes",
    "bccd-4": "BCCD, four classes",
    "synthetic": "Synthetic cells, three classes",
    "folder": "the folder given by --folder",
}
COVERAGE = 0.9
RESULTS = Path(__file__).with_suffix(".jsonl")

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


def main() -> None:
    arguments = parse_arguments()
    failed = False
    if not arguments.table:
        failed = run(arguments)
    print_tables(list(read(arguments.results).values()))
    sys.exit(failed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", nargs="+", choices=DATA, help="all by default; folder if it is given"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--epochs", type=int, help="fewer, for a quick try")
    parser.add_argument("--bccd", type=Path, default="../shared/data/bccd")
    parser.add_argument("--folder", type=Path, help="has a folder for each class")
    parser.add_argument("--side", type=int, default=100, help="of images, in pixels")
    parser.add_argument("--rest", type=int, help="at most, test images per class")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if arguments.data is None:
        arguments.data = [name for name in DATA if name != "folder" or arguments.folder]
    if "folder" in arguments.data and arguments.folder is None:
        parser.error("--data folder needs --folder DIR")
    for name in ("seeds", "epochs", "rest", "side"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            parser.error(f"--{name} has to be at least 1, got {value}")
    return arguments


def run(arguments: argparse.Namespace) -> bool:
    """Compute the missing results; return whether any of them failed."""
    failed = False
    methods = dict(usable(arguments.methods))
    for data in arguments.data:
        if data.startswith("bccd") and not arguments.bccd.is_dir():
            tell(f"{data}: left out, there is no folder {arguments.bccd}")
            continue
        title, draw = cells(data, arguments)
        for seed in range(arguments.seeds):
            finished = read(arguments.results)
            todo = {
                name: method
                for name, method in methods.items()
                if (title, name, seed, arguments.epochs) not in finished
            }
            try:
                split = draw(seed) if todo else None
            except (OSError, ValueError) as error:
                tell(f"{title}: left out: {error}")
                failed = True
                break
            for name, method in todo.items():
                try:
                    metrics = measure(method, split, seed, arguments.epochs)
                except Exception:
                    # A failing method does not stop a long run.
                    traceback.print_exc()
                    tell(f"{title}, {name}, seed {seed}: failed")
                    failed = True
                    continue
                key = {"data": title, "method": name, "seed": seed}
                record = {**key, "epochs": arguments.epochs, **metrics}
                append(arguments.results, record)
                tell(f"{title}, {name}, seed {seed}: {metrics['accuracy']:.3f}")
    return failed


def usable(names: list[str]) -> Iterator[tuple[str, Method]]:
    for name in names:
        if missing := METHODS[name].missing():
            tell(
                f"{METHODS[name].title}: left out, {missing} is not installed; "
                "pip install 'skwbc[benchmark]' brings it"
            )
        else:
            yield name, METHODS[name]


def cells(
    data: str, arguments: argparse.Namespace
) -> tuple[str, Callable[[int], Split]]:
    """Return the title of a data set, and a function from a seed to its split."""
    if data == "synthetic":
        return DATA[data], synthetic
    if data == "folder":
        title = f"Folder {arguments.folder.resolve().name}, {arguments.side} px"
        if arguments.rest:
            title += f", at most {arguments.rest} per class to test"
        folder, side, most = arguments.folder, arguments.side, arguments.rest
        return title, partial(any_folder, folder, side, most)
    counts = BCCD_THREE if data == "bccd-3" else BCCD_FOUR
    return DATA[data], partial(bccd, arguments.bccd, counts)


def measure(method: Method, split: Split, seed: int, epochs: int | None) -> Record:
    """Fit a method, then evaluate it on the rest."""
    ensemble = method.make(seed, epochs)
    start = time.perf_counter()
    ensemble.fit(method.prepare(split.X), split.y)
    seconds = time.perf_counter() - start
    rest, y = method.prepare(split.X_rest), split.y_rest
    members = ensemble.predict_proba_members(rest)
    proba = average_ensemble(ensemble, members)
    choices = first_choices(members)
    predicted = proba.argmax(axis=1)
    sets = ensemble.predict_set(rest, coverage=COVERAGE)
    return {
        "classes": split.names,
        "n_train": np.bincount(split.y).tolist(),
        "n_rest": np.bincount(y, minlength=len(split.names)).tolist(),
        "oof_accuracy": float(ensemble.oof_score_),
        "accuracy": float(accuracy_score(y, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(y, predicted)),
        "log_loss": float(log_loss(y, proba, labels=ensemble.classes_)),
        "calibration_error": expected_calibration_error(
            y, proba, classes=ensemble.classes_
        ),
        "fold_scores": ensemble.fold_scores_.tolist(),
        "member_accuracy": (choices == y).mean(axis=1).tolist(),
        "training": training_means(ensemble),
        "coverage": float(sets[np.arange(len(y)), y].mean()),
        "set_size": float(sets.sum(axis=1).mean()),
        "seconds": seconds,
        "machine": describe_machine(),
    }


def training_means(ensemble: KFoldEnsembleClassifier) -> dict[str, float] | None:
    """Return the networks' mean training metrics; None without networks."""
    try:
        rows = training_table(ensemble)
    except ValueError:
        return None
    return {name: float(np.mean([row[name] for row in rows])) for name in METRICS}


def read(file: Path) -> dict[tuple, Record]:
    """Return the results by data, method, seed and epochs."""
    names = ("data", "method", "seed", "epochs")
    return {tuple(map(line.get, names)): line for line in read_lines(file)}


def print_tables(records: list[Record]) -> None:
    groups: dict[tuple, list[Record]] = defaultdict(list)
    for record in records:
        groups[record["data"], record["epochs"]].append(record)
    for machine in dict.fromkeys(record["machine"] for record in records):
        print(machine)
    for (data, epochs), group in groups.items():
        shown = "" if epochs is None else f", {epochs} epochs"
        print(f"\n**{data}{shown}**: {sizes(group[0])}\n")
        print_table(group, ENSEMBLE)
        print("\nMembers, by accuracy\n")
        print_table(group, MEMBERS, {"largest gap": lambda row: max(map(gap, row))})
        if networks := [record for record in group if record.get("training")]:
            print("\nNetworks, means over the folds in the epoch that was kept\n")
            print_table(networks, TRAINING)


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
    rows = {
        name: [record for record in records if record["method"] == name]
        for name in METHODS
    }
    most = max(len(row) for row in rows.values())
    print(f"| method (seeds: {most}) | {' | '.join([*columns, *(summaries or {})])} |")
    print("|---" * (1 + len(columns) + len(summaries or {})) + "|")
    for name, row in rows.items():
        if not row:
            continue
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


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
