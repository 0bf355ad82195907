"""Classes with fewer samples than there are folds."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_predict,
    learning_curve,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB

from skwbc import KFoldEnsembleClassifier
from skwbc.inspection import evaluate, find_label_issues

BAYES = GaussianNB(var_smoothing=0.1)


def rows_of(y):
    """Return rows near the position of their class."""
    codes = np.unique(y, return_inverse=True)[1]
    return codes[:, None] + np.random.default_rng(0).normal(0, 0.1, (len(codes), 2))


def fit(y, cv=5, **params):
    """Fit an ensemble, and return it with the text of its one warning."""
    y = np.asarray(y)
    ensemble = KFoldEnsembleClassifier(BAYES, cv=cv, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ensemble.fit(rows_of(y), y, **params)
    messages = [str(each.message) for each in caught if each.category is UserWarning]
    assert len(messages) < 2
    return ensemble, "".join(messages)


def times_held_out(ensemble, n_samples):
    held_out = [rows for _, rows in ensemble.splits_]
    return np.bincount(np.concatenate(held_out), minlength=n_samples)


def test_few_samples_are_trained_on_and_described():
    y = np.array(["neutrophil"] * 20 + ["basophil"] * 3)
    ensemble, message = fit(y)
    assert message == (
        "Classes with fewer samples than folds (5): 'basophil' has 3 samples: the "
        "out-of-fold score rests on these, and the fold scores of members 4 and 5, "
        "which hold out none, say nothing about the class. Add samples of these "
        "classes, or use fewer folds."
    )
    assert all({*y[train]} == {*y} for train, _ in ensemble.splits_)
    assert [k for k, (_, rows) in enumerate(ensemble.splits_, 1) if {*y[rows]} != {*y}]
    assert (times_held_out(ensemble, 23) == 1).all()
    assert_array_equal(ensemble.predict(rows_of(y)), y)


def test_a_single_sample_is_never_held_out():
    y = np.array(["a"] * 10 + ["b"] * 10 + ["c"])
    ensemble, message = fit(y)
    assert "'c' has a single sample, which all members are trained on" in message
    assert message.endswith("Add samples of these classes.")
    assert all(20 in train for train, _ in ensemble.splits_)
    assert_array_equal(np.isnan(ensemble.oof_proba_).all(axis=1), y == "c")
    assert ensemble.oof_score_ == 1
    assert_array_equal(ensemble.predict(rows_of(y)), y)
    # Samples without held-out probabilities do no harm.
    X = rows_of(y)
    assert ensemble.predict_set(X)[y == "c", 2].all()
    assert 20 not in [row["index"] for row in find_label_issues(ensemble, X, y)]
    assert evaluate(ensemble, X, y)["accuracy"] == 1


@pytest.mark.parametrize(
    ("y", "cv"),
    [
        (["a"] * 9 + ["b"], 5),
        (["a", "a", "a", "a", "b"], 5),
        (["a", "a", "b"], 3),
        (list("aabbccd"), 5),
        (list("aaabbcc"), 7),
        (np.arange(12).repeat(2), 5),
    ],
)
def test_however_few_there_are(y, cv):
    ensemble, message = fit(y, cv)
    y = np.asarray(y)
    assert message.startswith(f"Classes with fewer samples than folds ({cv}): ")
    assert len(ensemble.estimators_) == cv
    for (train, held_out), member in zip(
        ensemble.splits_, ensemble.estimators_, strict=True
    ):
        assert len(held_out)
        assert not set(train) & set(held_out)
        assert len(member.classes_) == len(ensemble.classes_)
    counts = np.unique(y, return_counts=True, return_inverse=True)
    several = counts[2][counts[1]] > 1
    assert_array_equal(times_held_out(ensemble, len(y)) > 0, several)
    again, _ = fit(y, cv)
    for one, other in zip(ensemble.splits_, again.splits_, strict=True):
        assert_array_equal(one[0], other[0])


def test_samples_that_are_all_of_different_classes():
    ensemble, message = fit(list("abcde"))
    assert (times_held_out(ensemble, 5) == 1).all()
    assert "fold 1: ['" in message
    assert message.endswith("counts as wrong. Add samples of these classes.")


def test_too_few_samples_or_groups():
    with pytest.raises(ValueError, match="5 folds need at least 5 samples; there are"):
        fit(["a", "b", "b", "b"])
    with pytest.raises(ValueError, match="5 folds need at least 5 groups; there are 2"):
        fit(np.arange(20) % 2, groups=np.arange(20) // 10)
    with pytest.raises(ValueError, match=r"only one class.* Add samples of the other"):
        fit(["a", "b"], 2)


def test_folds_of_other_classes_do_not_change():
    X, y = load_iris(return_X_y=True)
    ensemble = KFoldEnsembleClassifier(BAYES, cv=3, random_state=0).fit(X, y)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=2)[0]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y)
    for split, expected in zip(ensemble.splits_, folds, strict=True):
        assert_array_equal(split[0], expected[0])
        assert_array_equal(split[1], expected[1])


class TestAdvice:
    """It fits the folds: no stratified ones where they are stratified."""

    y = np.array(["a"] * 10 + ["b"] * 10 + ["c"] * 2)

    def test_groups(self):
        ensemble, message = fit(self.y, groups=np.arange(22) // 2)
        lacking = [
            k
            for k, each in enumerate(ensemble.estimators_, 1)
            if len(each.classes_) < 3
        ]
        assert len(lacking) == 1
        assert f"lack them (fold {lacking[0]}: ['c'])" in message
        assert message.endswith(
            "Groups stay in one fold: add samples from other groups."
        )
        assert "tratified" not in message

    def test_groups_where_no_class_is_large(self):
        y = np.array(list("aabbcc"))
        ensemble, message = fit(y, 3, groups=np.array([0, 1, 2, 0, 1, 2]))
        assert (times_held_out(ensemble, 6) == 1).all()
        assert "'a' has 2 samples: the out-of-fold score rests on these" in message

    def test_groups_that_hold_a_class(self):
        groups = np.unique(self.y, return_inverse=True)[1]
        with pytest.raises(ValueError, match=r"one class.* or add groups that contain"):
            fit(self.y[:20], 2, groups=groups[:20])

    def test_folds_that_are_not_stratified(self):
        _, message = fit(self.y, KFold(11))
        assert "(fold 11: ['c'])" in message
        assert "Stratified folds, such as those of an integer cv" in message

    def test_weights_of_zero(self):
        class Dropping(GaussianNB):
            def fit(self, X, y, sample_weight=None):
                return super().fit(X[sample_weight > 0], y[sample_weight > 0])

        y = self.y[:20]
        weights = np.where(y == "a", 1.0, 0.0)
        ensemble = KFoldEnsembleClassifier(Dropping(), cv=2, random_state=0)
        with pytest.warns(UserWarning, match=r"\(fold 1: \['b'\]; fold 2: .*zero"):
            ensemble.fit(rows_of(y), y, weights)


@pytest.mark.filterwarnings("ignore:Classes with fewer samples than folds")
class TestInsideOthers:
    ensemble = KFoldEnsembleClassifier(BAYES, random_state=0)
    X, y = load_iris(return_X_y=True)

    def test_learning_curve(self):
        scores = learning_curve(
            self.ensemble,
            self.X,
            self.y,
            train_sizes=[6, 9, 12, 30],
            shuffle=True,
            random_state=0,
        )[2]
        assert not np.isnan(scores).any()

    def test_validation_curve(self):
        rows = np.r_[:4, 50:150]
        scores = validation_curve(
            self.ensemble,
            self.X[rows],
            self.y[rows],
            param_name="estimator__var_smoothing",
            param_range=[1e-9, 0.1],
            cv=2,
        )[1]
        assert (scores > 0.8).all()

    def test_cross_val_predict(self):
        rows = np.r_[:4, 50:150]
        proba = cross_val_predict(
            self.ensemble, self.X[rows], self.y[rows], cv=4, method="predict_proba"
        )
        assert_allclose(proba.sum(axis=1), 1)
