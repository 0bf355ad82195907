"""Prediction sets have the requested coverage."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    RepeatedStratifiedKFold,
    cross_validate,
    train_test_split,
)

from skwbc import KFoldEnsembleClassifier


@pytest.fixture(scope="module")
def doubtful():
    """Three overlapping classes: 120 training samples and 3000 test samples."""
    X, y = make_classification(
        3120, n_informative=4, n_classes=3, class_sep=0.8, random_state=0
    )
    names = np.array(["c", "a", "b"])[y]
    return train_test_split(X, names, train_size=120, random_state=0)


@pytest.fixture(scope="module")
def fitted(doubtful):
    X, _, y, _ = doubtful
    return KFoldEnsembleClassifier(LogisticRegression(), random_state=0).fit(X, y)


def by_definition(ensemble, X, y, X_new, coverage):
    """Compare every new sample and class with every held-out sample."""
    members = ensemble.predict_proba_members(X_new)
    sets = np.zeros(members.shape[1:], bool)
    for new, k in np.ndindex(*sets.shape):
        as_strange = compared = 0
        for member, proba, (_, held_out) in zip(
            ensemble.estimators_, members, ensemble.splits_, strict=True
        ):
            for i in held_out:
                classes = member.classes_.tolist()
                true = 0.0
                if y[i] in classes:
                    true = member.predict_proba(X[[i]])[0, classes.index(y[i])]
                as_strange += true <= np.nan_to_num(proba[new, k])
                compared += 1
        sets[new, k] = (1 + as_strange) / (1 + compared) > 1 - coverage
    return sets


@pytest.mark.parametrize(
    "cv",
    [
        5,
        RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
        # One sample is never held out, and one member lacks class "b".
        "one class missing",
    ],
)
def test_by_definition(doubtful, cv):
    X, X_new, y, _ = doubtful
    X, y, X_new = X[:30], y[:30], X_new[:12]
    if cv == "one class missing":
        is_b = y == "b"
        cv = [(np.flatnonzero(~is_b), np.flatnonzero(is_b)[1:]), ([*range(20)], [25])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ensemble = KFoldEnsembleClassifier(LogisticRegression(), cv=cv).fit(X, y)
    # Not a multiple of 1/31 or 1/61, where rounding would decide.
    for coverage in (0.15, 0.5, 0.88):
        assert_array_equal(
            ensemble.predict_set(X_new, coverage),
            by_definition(ensemble, X, y, X_new, coverage),
        )


def test_coverage_is_as_requested(doubtful):
    X, X_new, y, y_new = doubtful
    X, y = np.concatenate([X, X_new]), np.concatenate([y, y_new])
    covered = {0.7: [], 0.9: []}
    member = LogisticRegression(solver="newton-cholesky")  # fast for few features
    for seed in range(20):
        X_train, X_new, y_train, y_new = train_test_split(
            X, y, train_size=100, random_state=seed
        )
        ensemble = KFoldEnsembleClassifier(member, random_state=seed)
        ensemble.fit(X_train, y_train)
        column = np.searchsorted(ensemble.classes_, y_new)
        for coverage, fractions in covered.items():
            sets = ensemble.predict_set(X_new, coverage)
            fractions.append(sets[np.arange(len(y_new)), column].mean())
            assert sets.sum(axis=1).mean() < 2.5
    for coverage, fractions in covered.items():
        # Twenty draws of 100 samples: the standard error is at most 0.01.
        assert np.mean(fractions) == pytest.approx(coverage, abs=0.03)


def test_sets_grow_with_coverage(fitted, doubtful):
    X_new = doubtful[1][:200]
    sizes = []
    smaller = np.zeros((200, 3), bool)
    for coverage in (0.01, 0.5, 0.8, 0.95, 0.999):
        sets = fitted.predict_set(X_new, coverage)
        assert sets.dtype == bool
        assert (sets >= smaller).all()
        smaller = sets
        sizes.append(sets.sum(axis=1).mean())
    assert sizes[0] < 1 < sizes[3] < sizes[4] == 3
    assert_array_equal(fitted.predict_set(X_new), fitted.predict_set(X_new, 0.9))


def test_how_many_samples_it_takes_to_leave_a_class_out(doubtful):
    X, X_new, y, _ = doubtful
    for n, all_classes in ((8, True), (9, False)):
        rows = np.r_[0:30]
        cv = [(rows[n:], rows[:n])]
        ensemble = KFoldEnsembleClassifier(LogisticRegression(), cv=cv)
        ensemble.fit(X[:30], y[:30])
        assert ensemble.predict_set(X_new, 0.9).all() == all_classes


@pytest.mark.parametrize("coverage", [0, 1, 90, -0.1, np.nan, "0.9", None])
def test_wrong_coverage(fitted, doubtful, coverage):
    with pytest.raises(ValueError, match="expected a number above 0 and below 1"):
        fitted.predict_set(doubtful[1][:2], coverage)


def test_ensembles_without_held_out_probabilities(doubtful):
    X, X_new, y, _ = doubtful
    results = cross_validate(
        LogisticRegression(), X, y, cv=KFold(3), return_estimator=True
    )
    ensemble = KFoldEnsembleClassifier.from_cross_validate(results)
    with pytest.raises(ValueError, match="instead of from_cross_validate"):
        ensemble.predict_set(X_new)
    with pytest.raises(NotFittedError):
        KFoldEnsembleClassifier(LogisticRegression()).predict_set(X_new)
