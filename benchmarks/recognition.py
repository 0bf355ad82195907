"""Compare how well methods recognise new cells, over several splits.

    python benchmarks/recognition.py --shared ../shared/data
    python benchmarks/recognition.py --data chula pbc --per-class 5 10 30
    python benchmarks/recognition.py --data folder --folder DIR
    python benchmarks/recognition.py --table --picture FILE.png

With the data sets ``bccd``, ``chula``, ``pbc``, ``pollen`` and ``red_cells`` the number
of training images per class is varied.

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
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _cell_sets import (
    BCCD_FOUR,
    BCCD_THREE,
    FEWEST,
    Split,
    across,
    any_folder,
    bccd,
    few_per_class,
    synthetic,
)
from _common import describe_machine
from _recognition_methods import METHODS, WEIGHTS, Method, start_from
from _recognition_tables import COVERAGE, Record, draw_numbers, print_tables
from _results import append, read_lines
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from skwbc import KFoldEnsembleClassifier
from skwbc._utils import row_cache
from skwbc.ensemble._averaging import average_ensemble, first_choices
from skwbc.inspection._evaluation import METRICS, training_table
from skwbc.uncertainty import expected_calibration_error

DATA = {
    "bccd-3": "BCCD, three classes",
    "bccd-4": "BCCD, four classes",
    "synthetic": "Synthetic cells, three classes",
    "bccd": "BCCD",
    "chula": "Chula",
    "pbc": "PBC",
    "pollen": "Pollen",
    "red_cells": "Red cells",
    "bccd-chula": "Trained on BCCD, tested on Chula",
    "chula-bccd": "Trained on Chula, tested on BCCD",
    "bccd-pbc": "Trained on BCCD, tested on PBC",
    "pbc-bccd": "Trained on PBC, tested on BCCD",
    "folder": "the folder given by --folder",
}
# The number of training images per class is varied.
VARIED = ("bccd", "chula", "pbc", "pollen", "red_cells")
# Trained on 30 cells of each class of one laboratory; the weights have seen neither.
PAIRS = {
    "bccd-chula": "chula",
    "chula-bccd": "chula",
    "bccd-pbc": "pbc",
    "pbc-bccd": "pbc",
}
PER_CLASS_OF_PAIR = 30
RESULTS = Path(__file__).with_suffix(".jsonl")


class Cells(NamedTuple):
    """A set of cells that can be drawn.

    Attributes
    ----------
    title : str
        Its name in the tables.
    per_class : int or None
        Training images per class, if their number is varied.
    draw : callable
        Returns the split for a seed.
    weights : Path or None
        Folder of the first weights, if those of the package were trained on the set.
    """

    title: str
    per_class: int | None
    draw: Callable[[int], Split]
    weights: Path | None = None


def main() -> None:
    arguments = parse_arguments()
    failed = False
    if not arguments.table:
        failed = run(arguments)
    records = list(read(arguments.results).values())
    print_tables(records)
    if arguments.picture:
        draw_numbers(records, arguments.picture)
    sys.exit(failed)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", nargs="+", choices=DATA, help="all by default; folder if it is given"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--epochs", type=int, help="fewer, for a quick try")
    parser.add_argument(
        "--per-class", nargs="+", type=int, default=[5, 10, 30], help="to train"
    )
    parser.add_argument("--shared", type=Path, default="../shared/data")
    parser.add_argument("--folder", type=Path, help="has a folder for each class")
    parser.add_argument("--side", type=int, default=100, help="of images of --folder")
    parser.add_argument("--rest", type=int, help="at most, test images per class")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument(
        "--picture", type=Path, help="draw accuracy by images per class into a file"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        arguments.data = [name for name in DATA if name != "folder" or arguments.folder]
    if "folder" in arguments.data and arguments.folder is None:
        parser.error("--data folder needs --folder DIR")
    for name in ("seeds", "epochs", "rest", "side"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            parser.error(f"--{name} has to be at least 1, got {value}")
    if (fewest := min(arguments.per_class)) < FEWEST:
        parser.error(f"--per-class has to be at least {FEWEST}, got {fewest}")
    return arguments


def run(arguments: argparse.Namespace) -> bool:
    """Compute the missing results; return whether any of them failed."""
    failed = False
    methods = dict(usable(arguments.methods))
    for cells in sets_of_cells(arguments):
        for seed in range(arguments.seeds):
            finished = read(arguments.results)
            todo = {
                name: method
                for name, method in methods.items()
                if (cells.title, cells.per_class, name, seed, arguments.epochs)
                not in finished
            }
            try:
                split = cells.draw(seed) if todo else None
            except (OSError, ValueError) as error:
                tell(f"{cells.title}: left out: {error}")
                failed = True
                break
            for name, method in todo.items():
                key = {
                    "data": cells.title,
                    "per_class": cells.per_class,
                    "method": name,
                    "seed": seed,
                    "epochs": arguments.epochs,
                }
                what = ", ".join(f"{x}" for x in key.values() if x is not None)
                try:
                    metrics = measure(
                        method, split, cells.weights, seed, arguments.epochs
                    )
                except Exception:
                    # A failing method does not stop a long run.
                    traceback.print_exc()
                    tell(f"{what}: failed")
                    failed = True
                    continue
                append(arguments.results, key | metrics)
                tell(f"{what}: {metrics['balanced_accuracy']:.3f}")
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


def sets_of_cells(arguments: argparse.Namespace) -> Iterator[Cells]:
    for data in arguments.data:
        folder = arguments.shared / data.partition("-")[0]
        if data == "synthetic":
            yield Cells(DATA[data], None, synthetic)
        elif data == "folder":
            folder, side = arguments.folder, arguments.side
            title = tested(f"Folder {folder.resolve().name}, {side} px", arguments)
            yield Cells(title, None, partial(any_folder, folder, side, arguments.rest))
        elif data in PAIRS:
            folder, other = (arguments.shared / each for each in data.split("-"))
            yield Cells(
                DATA[data],
                None,
                partial(across, folder, other, PER_CLASS_OF_PAIR),
                WEIGHTS / f"without_{PAIRS[data]}",
            )
        elif not folder.is_dir():
            tell(f"{data}: left out, there is no folder {folder}")
        elif data in VARIED:
            weights = WEIGHTS / f"without_{data}"
            for number in arguments.per_class:
                yield Cells(
                    tested(DATA[data], arguments),
                    number,
                    partial(few_per_class, folder, number, arguments.rest),
                    weights if weights.is_dir() else None,
                )
        else:
            counts = BCCD_THREE if data == "bccd-3" else BCCD_FOUR
            yield Cells(DATA[data], None, partial(bccd, folder, counts))


def tested(title: str, arguments: argparse.Namespace) -> str:
    if arguments.rest:
        title += f", at most {arguments.rest} per class to test"
    return title


def measure(
    method: Method, split: Split, weights: Path | None, seed: int, epochs: int | None
) -> Record:
    """Fit a method, then evaluate it on the rest."""
    ensemble = method.make(seed, epochs)
    if weights:
        start_from(ensemble, weights)
    start = time.perf_counter()
    # Features of the images that another method computed would save time.
    with patch.multiple(row_cache, _rows=OrderedDict()):
        ensemble.fit(method.prepare(split.X), split.y)
    seconds = time.perf_counter() - start
    rest, y = method.prepare(split.X_rest), split.y_rest
    members = ensemble.predict_proba_members(rest)
    proba = average_ensemble(ensemble, members)
    choices = first_choices(members)
    predicted = proba.argmax(axis=1)
    sets = ensemble.predict_set(rest, coverage=COVERAGE)
    return {
        "first_weights": weights.name if weights else None,
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
    """Return the results by data, images per class, method, seed and epochs."""
    names = ("data", "per_class", "method", "seed", "epochs")
    return {tuple(map(line.get, names)): line for line in read_lines(file)}


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
