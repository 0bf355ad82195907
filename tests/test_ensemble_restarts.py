"""Members that failed to learn are trained again."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state

from skwbc import KFoldEnsembleClassifier, make_cell_classifier


class Moody(ClassifierMixin, BaseEstimator):
    """Learns or, depending on its seed, predicts the first class for all samples."""

    def __init__(self, chance=0.5, random_state=None):
        self.chance = chance
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.learns_ = check_random_state(self.random_state).uniform() < self.chance
        self.model_ = LogisticRegression(max_iter=500).fit(X, y)
        return self

    def predict_proba(self, X):
        if self.learns_:
            return self.model_.predict_proba(X)
        return np.tile(np.eye(len(self.classes_))[0], (len(X), 1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def moody(chance=0.5, **params):
    return KFoldEnsembleClassifier(
        Moody(chance), **({"random_state": 0, "n_restarts": 20} | params)
    )


def test_failed_members_are_trained_again_and_the_others_left_alone(iris, capsys):
    with pytest.warns(ConvergenceWarning, match="set n_restarts to train them again"):
        without = moody(n_restarts=0).fit(*iris)
    assert without.n_restarts_ == [0] * 5
    learned = [member.learns_ for member in without.estimators_]
    assert 0 < sum(learned) < 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ensemble = moody(verbose=1).fit(*iris)
    assert all(member.learns_ for member in ensemble.estimators_)
    assert [count == 0 for count in ensemble.n_restarts_] == learned
    for before, after, well in zip(
        without.estimators_, ensemble.estimators_, learned, strict=True
    ):
        assert (before.random_state == after.random_state) == well
    printed = capsys.readouterr().out.splitlines()
    assert sum("restart" in line for line in printed) == 5 - sum(learned)
    assert ensemble.oof_score_ > 0.9 > without.oof_score_


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_same_again(iris, n_jobs):
    first, again = moody().fit(*iris), moody(n_jobs=n_jobs).fit(*iris)
    assert first.n_restarts_ == again.n_restarts_
    assert_array_equal(first.oof_proba_, again.oof_proba_)


def test_all_attempts_fail(iris):
    with pytest.warns(ConvergenceWarning, match=r"fold 1 \(0.333.*, 2 restarts\)"):
        ensemble = moody(chance=0.0, n_restarts=2).fit(*iris)
    assert ensemble.n_restarts_ == [2] * 5


def test_without_a_seed_members_get_fresh_ones(iris):
    """Even those that have a seed, because it has failed."""
    seed = next(
        seed for seed in range(9) if np.random.RandomState(seed).uniform() >= 0.5
    )
    ensemble = moody(random_state=None).set_params(estimator__random_state=seed)
    ensemble.fit(*iris)
    assert all(member.learns_ for member in ensemble.estimators_)


def test_a_member_without_a_seed_would_fail_again(iris):
    X, y = iris
    fixed = KFoldEnsembleClassifier(NoSeed(), n_restarts=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"guessing 0.333\)"):
        fixed.fit(X, y)
    assert fixed.n_restarts_ == [0] * 5


class NoSeed(Moody):
    """Never learns, and has no random state."""

    def __init__(self):
        pass

    chance, random_state = 0.0, 0


def test_resumed_from_disk(iris, tmp_path):
    first = moody(memory=str(tmp_path)).fit(*iris)
    again = moody(memory=str(tmp_path)).fit(*iris)
    assert first.n_restarts_ == again.n_restarts_
    assert_array_equal(first.oof_proba_, again.oof_proba_)


def test_recipes_pass_n_restarts_on():
    assert make_cell_classifier(n_restarts=2).n_restarts == 2
    assert make_cell_classifier("article").n_restarts == 0
    for make in (
        make_cell_classifier,
        lambda **kw: moody(**kw).fit([[0], [1]], [0, 1]),
    ):
        with pytest.raises(ValueError, match="The 'n_restarts' parameter"):
            make(n_restarts=-1)
