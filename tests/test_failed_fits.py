"""A fit that fails or is interrupted, at whatever line, changes nothing."""

import linecache
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import skwbc
from skwbc import (
    CNNClassifier,
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    NetworkFeatures,
    SoftVotingClassifier,
)

PACKAGE = str(Path(skwbc.__file__).parent)
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(12, 3)) + np.arange(12)[:, None] % 2
IMAGES = RNG.integers(256, size=(8, 8, 8, 3)).astype("uint8")
NAMES = np.array(["ant", "bee"])
VOTE = SoftVotingClassifier(
    [
        ("bayes", GaussianNB()),
        ("scaled", make_pipeline(StandardScaler(), GaussianNB())),
    ],
    weights=[2, 1],
)
SEEN = NetworkFeatures(views=None)
# Options whose statistics are fitted attributes of their own.
WHITEN = ImageAugmenter(zca_whitening=True, brightness_range=(0.5, 1), random_state=0)


class Case(NamedTuple):
    """An estimator, and the samples of its first and of its second fit."""

    estimator: Any
    first: np.ndarray
    second: np.ndarray
    method: str = "fit"


CASES = {
    "ensemble": Case(
        KFoldEnsembleClassifier(VOTE, cv=2, random_state=0), ROWS, -ROWS[:, :2]
    ),
    "vote": Case(VOTE, ROWS, -ROWS[:, :2]),
    "network": Case(
        CNNClassifier(model__filters=(2,), epochs=1, random_state=0),
        IMAGES / np.float32(255),
        IMAGES[:, :, :6] / np.float32(255),
    ),
    **{
        f"{type(transformer).__name__}.{method}": Case(
            transformer, IMAGES, IMAGES[:, :, :6] / 65535, method
        )
        for transformer in (WHITEN, ColourStatistics(), FlattenImages(), SEEN)
        for method in ("fit", "fit_transform")
    },
}


class Stop(Exception):
    """An error at one line of a fit."""


class Lines:
    """Count the lines of the package that run in a block, and raise at one of them.

    The lines that return from ``fit`` of the estimator itself do not count: it is
    finished there.
    """

    def __init__(self, estimator, stop_at=None, error=Stop):
        self.estimator, self.stop_at, self.error = estimator, stop_at, error
        self.n = 0

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)

    def _trace(self, frame, event, _):
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            own = frame.f_locals.get("self") is self.estimator
            if own and code.co_name in ("fit", "fit_transform"):
                line = linecache.getline(code.co_filename, frame.f_lineno)
                if line.strip() in ("return self", "return result"):
                    return self._trace
            self.n += 1
            if self.n == self.stop_at:
                raise self.error
        return self._trace


def answers(estimator, X):
    """Return what a fitted estimator makes of samples."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return estimator.transform(X)


@pytest.mark.parametrize("name", CASES)
def test_nothing_changes(name):
    case = CASES[name]
    codes = np.arange(len(case.first)) % 2
    fitted = clone(case.estimator).fit(case.first, codes)
    before = answers(fitted, case.first)
    twin = clone(fitted)
    getattr(twin, case.method)(case.second, NAMES[codes])  # Fills caches.
    with Lines(twin) as lines:
        getattr(twin, case.method)(case.second, NAMES[codes])
    # The last lines, where attributes are set, and a sample of the others.
    steps = {*np.linspace(1, lines.n, 25).astype(int), *range(lines.n - 15, lines.n)}
    n_failed = 0
    for step in sorted(step for step in steps if step > 0):
        for attributes in ({}, vars(fitted)):
            estimator = clone(case.estimator)
            vars(estimator).update(attributes)
            state = dict(vars(estimator))
            error = (Stop, KeyboardInterrupt)[step % 2]
            try:
                with Lines(estimator, step, error):
                    getattr(estimator, case.method)(case.second, NAMES[codes])
            except error:
                n_failed += 1
            else:
                continue  # A cache has been filled since, so fewer lines ran.
            assert vars(estimator).keys() == state.keys()
            assert all(vars(estimator)[key] is value for key, value in state.items())
            if not attributes:
                with pytest.raises(NotFittedError):
                    check_is_fitted(estimator)
    assert n_failed > len(steps)
    assert_array_equal(answers(fitted, case.first), before)


def test_every_public_estimator_is_tested():
    tested = {type(case.estimator) for case in CASES.values()}
    packages = [skwbc, *(getattr(skwbc, name) for name in ("cnn", "export"))]
    public = {getattr(each, name) for each in packages for name in each.__all__}
    estimators = {each for each in public if hasattr(each, "fit")}
    # It reads a fitted model from a file, and its `fit` does nothing.
    assert estimators - tested == {skwbc.export.OnnxClassifier}
