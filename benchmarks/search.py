"""Cross-validate changes to the network of the default recipe.

    python benchmarks/search.py --bccd ../shared/data/bccd --changes none cutmix

The network is trained without colour statistics, on the same training cells as in
recognition.py; the rest of the cells is not used. The held-out folds do not choose an
epoch, so out-of-fold metrics are honest, for single members. With ``--nested``,
cross-validation around whole ensembles is used, which takes five times as long and also
measures how often members differ. Each result is appended to the file given by
``--results`` as soon as it is available, and is not computed again. ``--table`` only
prints the results in the file; recognition.md explains them.
"""

import argparse
import os
import time
from collections import defaultdict
from itertools import combinations
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _cell_sets import BCCD_FOUR, BCCD_THREE, bccd, synthetic
from _common import network_pipeline
from _results import append, read_lines
from _search_changes import CHANGES, Change
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    ColourStatistics,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
    make_cell_classifier,
)
from skwbc.ensemble._averaging import average_ensemble
from skwbc.uncertainty import expected_calibration_error

DATA = {"bccd-3": BCCD_THREE, "bccd-4": BCCD_FOUR, "synthetic": None}
RESULTS = Path(__file__).with_suffix(".jsonl")
KEY = ("data", "change", "nested", "seed")


def main() -> None:
    arguments = parse_arguments()
    if not arguments.table:
        run(arguments)
    print_tables(read_lines(arguments.results))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="bccd-3")
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--nested", action="store_true")
    parser.add_argument("--bccd", type=Path, default="../shared/data/bccd")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="run nothing")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    for seed in arguments.seeds:
        for name in arguments.changes:
            key = dict(
                zip(KEY, (arguments.data, name, arguments.nested, seed), strict=True)
            )
            finished = read_lines(arguments.results)
            if any(all(line[k] == key[k] for k in KEY) for line in finished):
                continue
            change = CHANGES[name]
            X, y = cells(arguments.data, arguments.bccd, seed, change.side)
            ensemble = make(change, seed)
            start = time.perf_counter()
            with change.around_fit():
                metrics = (nested if arguments.nested else once)(ensemble, X, y, seed)
            metrics["seconds"] = time.perf_counter() - start
            append(arguments.results, key | metrics)


def cells(data: str, folder: Path, seed: int, side: int) -> tuple:
    """Return the training images and their labels."""
    counts = DATA[data]
    if counts is None:
        split = synthetic(seed, side)
    else:
        split = bccd(folder, counts, seed, side)
    return split.X, split.y


def make(change: Change, seed: int) -> KFoldEnsembleClassifier:
    ensemble = make_cell_classifier(random_state=seed)
    network = clone(network_pipeline(ensemble.estimator))
    # The tables show changes to the recipe as it used to be: with 60 epochs, without
    # class weights.
    network.set_params(cnn__class_weight=None, cnn__epochs=60)
    if "cnn__model" in change.params:
        # Only the compact network has pretrained weights.
        del network["cnn"].model__weights
    network.set_params(**change.params)
    if change.networks == 1 and change.colours is None:
        return ensemble.set_params(estimator=network)
    voters = [(f"network_{k}", clone(network)) for k in range(change.networks)]
    weights = [1.0] * change.networks
    if change.colours is not None:
        linear = LogisticRegression(C=0.3, max_iter=5000)
        colours = Pipeline(
            [
                ("statistics", ColourStatistics()),
                ("scaler", StandardScaler()),
                ("linear", linear),
            ]
        )
        voters.append(("colours", colours.set_params(**change.colours)))
        weights.append(change.networks / 2)
    return ensemble.set_params(estimator=SoftVotingClassifier(voters, weights=weights))


def once(ensemble: KFoldEnsembleClassifier, X: np.ndarray, y: np.ndarray, _: int):
    """Fit an ensemble; score its out-of-fold predictions."""
    ensemble.fit(X, y)
    return metrics_of(ensemble.oof_proba_, y)


def nested(ensemble: KFoldEnsembleClassifier, X: np.ndarray, y: np.ndarray, seed: int):
    """Cross-validate whole ensembles with five outer folds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=1000 + seed)
    proba = np.empty((len(y), len(np.unique(y))))
    differ = np.empty(len(y))
    for train, held_out in folds.split(X, y):
        fitted = clone(ensemble).fit(X[train], y[train])
        members = fitted.predict_proba_members(X[held_out])
        proba[held_out] = average_ensemble(fitted, members)
        choices = members.argmax(axis=2)
        pairs = combinations(choices, 2)
        differ[held_out] = np.mean([one != other for one, other in pairs], axis=0)
    return metrics_of(proba, y) | {"members_differ": float(differ.mean())}


def metrics_of(proba: np.ndarray, y: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float((proba.argmax(axis=1) == y).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(y, proba.argmax(axis=1))),
        "log_loss": float(log_loss(y, proba)),
        "calibration_error": expected_calibration_error(
            y, proba, classes=range(proba.shape[1])
        ),
    }


def print_tables(lines: list[dict]) -> None:
    groups: dict[tuple, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        groups[line["data"], line["nested"]][line["change"]].append(line)
    for (data, is_nested), rows in groups.items():
        print(f"\n{data}{', nested' if is_nested else ''}\n")
        all_lines = [line for row in rows.values() for line in row]
        columns = {name: None for line in all_lines for name in line if name not in KEY}
        print("| change | seeds |", " | ".join(columns).replace("_", " "), "|")
        print("|---" * (2 + len(columns)) + "|")
        for change in CHANGES:
            if row := rows.get(change):
                seeds = ", ".join(sorted({str(line["seed"]) for line in row}))
                cells = " | ".join(mean(row, name) for name in columns)
                print(f"| {CHANGES[change].title} | {seeds} | {cells} |")


def mean(row: list[dict], name: str) -> str:
    values = [line[name] for line in row if name in line]
    if not values:
        return "-"
    return f"{np.mean(values):.0f}" if name == "seconds" else f"{np.mean(values):.3f}"


if __name__ == "__main__":
    main()
