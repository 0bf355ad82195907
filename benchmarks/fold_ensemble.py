"""Measure the overhead of the fold ensemble.

    python benchmarks/fold_ensemble.py

Prints the time outside the members' own fitting and predicting, as a fraction of
the time inside, for the ensemble and for a bare loop of ``clone(member).fit(...)``. It
is measured within each run, because the noise between runs is larger than the overhead.
Then prints the ratio of the times with two jobs and with one, measured in turn, and the
peak memory of ``predict_proba`` on 1,000 and 20,000 images, each in a separate process,
with the size of the images.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import network_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skwbc import KFoldEnsembleClassifier, make_cell_classifier
from skwbc.datasets import make_blood_cells

MEMBERS = {
    "logistic regression, scaled": make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=300)
    ),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "random forest": RandomForestClassifier(10, random_state=0, n_jobs=1),
}
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-network", action="store_true", help="members only")
    parser.add_argument("--no-members", action="store_true", help="memory only")
    parser.add_argument("--side", type=int, default=100, help="of images, in pixels")
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        predict_images(arguments.count, arguments.side)
        return
    if not arguments.no_members:
        compare_members(arguments)
    if arguments.no_network:
        return
    print("\n| images | their size, MiB | peak of predict_proba above it, MiB |")
    print("|---|---|---|", flush=True)
    for count in (1_000, 20_000):
        subprocess.run(
            [sys.executable, __file__, "--count", str(count), "--side",
             str(arguments.side)],
            check=True,
        )  # fmt: skip


def compare_members(arguments: argparse.Namespace) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version[:6]}\n")
    print(
        "| member | members, s | overhead, loop | overhead, ensemble | "
        "ensemble / loop | n_jobs=2 / n_jobs=1 |\n|---|---|---|---|---|---|"
    )
    X, y = make_classification(
        20_000, 60, n_informative=20, n_classes=3, random_state=0
    )
    # One thread each, so that the second job, not BLAS, uses the second core.
    with threadpool_limits(1):
        for name, member in MEMBERS.items():
            compare(name, member, X, y, arguments.rounds)
    if arguments.no_network:
        return
    images, labels = make_blood_cells(30, random_state=0)
    cnn = network_pipeline(make_cell_classifier(epochs=4, random_state=0).estimator)
    compare("compact network, 4 epochs", cnn, images, labels, 1)


class Timed(ClassifierMixin, BaseEstimator):
    """Pass calls on to a classifier, and add up their time."""

    inside = 0.0

    def __init__(self, member):
        self.member = member

    def fit(self, X, y):
        self.member_ = clone(self.member)
        self._time(self.member_.fit, X, y)
        self.classes_ = self.member_.classes_
        return self

    def predict_proba(self, X):
        return self._time(self.member_.predict_proba, X)

    def _time(self, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        Timed.inside += time.perf_counter() - start
        return result


def compare(name, member, X, y, rounds: int) -> None:
    """Time the loop, the ensemble and the ensemble with two jobs, in turn."""
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    ensemble = KFoldEnsembleClassifier(Timed(member), cv=splits, validation=False)
    parallel = KFoldEnsembleClassifier(member, cv=splits, validation=False, n_jobs=2)
    parallel.fit(X, y)  # starts the workers
    loops, ones, speedups = [], [], []
    for _ in range(rounds):
        loops.append(outside(loop_over, Timed(member), X, y, splits))
        start = time.perf_counter()
        ones.append(outside(ensemble.fit, X, y))
        middle = time.perf_counter()
        parallel.fit(X, y)
        speedups.append((time.perf_counter() - middle) / (middle - start))
    loop, one = np.median(loops, axis=0), np.median(ones, axis=0)
    print(
        f"| {name} | {loop[0]:.2f} | {loop[1]:.2%} | {one[1]:.2%} | "
        f"{(1 + one[1]) / (1 + loop[1]):.3f} | {np.median(speedups):.2f} "
        f"({min(speedups):.2f} to {max(speedups):.2f}) |",
        flush=True,
    )


def outside(function, *arguments) -> tuple[float, float]:
    """Return the seconds in the members, and the overhead as a fraction of them."""
    Timed.inside = 0.0
    start = time.perf_counter()
    function(*arguments)
    total = time.perf_counter() - start
    return Timed.inside, total / Timed.inside - 1


def loop_over(member, X, y, splits) -> None:
    for train, held_out in splits:
        fitted = clone(member).fit(X[train], y[train])
        fitted.predict_proba(X[held_out])


def predict_images(count: int, side: int) -> None:
    """Predict `count` images and print the increase of peak memory."""
    import sklearn

    images, labels = make_blood_cells(4, image_size=(side, side), random_state=0)
    model = make_cell_classifier(cv=2, epochs=1, random_state=0)
    model.fit(images, labels)
    model.predict_proba(images)
    X = np.zeros((count, side, side, 3), np.uint8)
    X[:] = 127
    before = peak()
    with sklearn.config_context(working_memory=64):
        model.predict_proba(X)
    print(f"| {count:,} | {X.nbytes / MIB:.0f} | {(peak() - before) / MIB:.0f} |")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
