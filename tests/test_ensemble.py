"""The fold ensemble around classifiers of scikit-learn: no images, no Keras."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import random as sparse_random
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skwbc import KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.ensemble._averaging import average_members
from skwbc.ensemble._parts import what_folds_chose


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True, as_frame=False)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


class Watcher(ClassifierMixin, BaseEstimator):
    """Records the arguments of its fit."""

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        self.classes_ = np.unique(y)
        self.arguments_ = (X, y, sample_weight, X_val, y_val)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_members_are_those_of_a_plain_loop(iris):
    X, y = iris
    cv = KFold(4, shuffle=True, random_state=3)
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=cv)
    ensemble.fit(X, y)
    probas, oof = [], np.empty((len(y), 3))
    for k, (train, held_out) in enumerate(cv.split(X)):
        member = LogisticRegression(max_iter=500).fit(X[train], y[train])
        probas.append(member.predict_proba(X))
        oof[held_out] = member.predict_proba(X[held_out])
        assert_array_equal(ensemble.splits_[k][0], train)
        assert_array_equal(ensemble.splits_[k][1], held_out)
        assert ensemble.fold_scores_[k] == member.score(X[held_out], y[held_out])
    assert_array_equal(ensemble.predict_proba_members(X), probas)
    assert_array_equal(ensemble.predict_proba(X), np.mean(probas, axis=0))
    assert_array_equal(ensemble.oof_proba_, oof)
    assert ensemble.oof_score_ == np.mean(ensemble.classes_[oof.argmax(1)] == y)
    assert_array_equal(
        ensemble.predict(X), ensemble.classes_[np.mean(probas, axis=0).argmax(axis=1)]
    )
    assert ensemble.n_features_in_ == 4


def test_it_is_a_classifier_with_the_members_tags():
    ensemble = KFoldEnsembleClassifier(HistGradientBoostingClassifier())
    assert is_classifier(ensemble)
    assert ensemble.__sklearn_tags__().input_tags.allow_nan
    linear = KFoldEnsembleClassifier(LogisticRegression())
    assert not linear.__sklearn_tags__().input_tags.allow_nan


def test_model_selection_of_scikit_learn(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    ensemble = KFoldEnsembleClassifier(pipeline, cv=3, random_state=0)
    assert cross_val_score(ensemble, X, y, cv=3).mean() > 0.9
    proba = cross_val_predict(ensemble, X, y, cv=3, method="predict_proba")
    assert np.mean(ensemble.fit(X, y).classes_[proba.argmax(axis=1)] == y) > 0.9
    grid = {"estimator__logisticregression__C": [1e-6, 1.0]}
    search = GridSearchCV(ensemble, grid, cv=3).fit(X, y)
    assert search.best_params_["estimator__logisticregression__C"] == 1.0
    assert clone(ensemble).get_params()["cv"] == 3


def test_pickled_it_predicts_the_same(iris, tmp_path):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500)).fit(X, y)
    joblib.dump(ensemble, tmp_path / "e.joblib")
    loaded = joblib.load(tmp_path / "e.joblib")
    assert_array_equal(loaded.predict_proba(X), ensemble.predict_proba(X))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("cv", [5, KFold(3, shuffle=True)])
def test_random_state_decides_folds_and_members(iris, cv, n_jobs):
    X, y = iris
    tree = DecisionTreeClassifier(max_features=1)

    def fit(seed, n_jobs=1):
        ensemble = KFoldEnsembleClassifier(
            tree, cv=cv, n_jobs=n_jobs, random_state=seed
        )
        return ensemble.fit(X, y)

    before = np.random.get_state()[1].copy()
    first, again, other = fit(0), fit(0, n_jobs), fit(1)
    assert_array_equal(np.random.get_state()[1], before)
    assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(first.splits_[0][1], other.splits_[0][1])
    seeds = [member.random_state for member in first.estimators_]
    assert len(set(seeds)) == len(seeds)
    # The arguments of the user are unchanged.
    assert tree.random_state is None
    assert getattr(cv, "random_state", None) is None


def test_without_random_state_members_keep_theirs(iris):
    tree = DecisionTreeClassifier(random_state=7)
    ensemble = KFoldEnsembleClassifier(tree).fit(*iris)
    assert {member.random_state for member in ensemble.estimators_} == {7}


class TestHeldOutFold:
    def test_a_bare_member_gets_its_fold(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(Watcher(), cv=3, random_state=0).fit(X, y)
        for member, (train, held_out) in zip(
            ensemble.estimators_, ensemble.splits_, strict=True
        ):
            assert_array_equal(member.arguments_[0], X[train])
            assert_array_equal(member.arguments_[3], X[held_out])
            assert_array_equal(member.arguments_[4], y[held_out])

    @pytest.mark.parametrize("nested", [False, True])
    def test_in_a_pipeline_it_is_transformed_and_never_fitted_on(self, iris, nested):
        X, y = iris
        inner = make_pipeline(StandardScaler(), Watcher())
        pipeline = make_pipeline(StandardScaler(), inner) if nested else inner
        ensemble = KFoldEnsembleClassifier(pipeline, cv=3, random_state=0).fit(X, y)
        train, held_out = ensemble.splits_[1]
        scaler = StandardScaler().fit(X[train])
        last = ensemble.estimators_[1][-1]
        arguments = (last[-1] if nested else last).arguments_
        assert_allclose(arguments[0], scaler.transform(X[train]), atol=1e-12)
        assert_allclose(arguments[3], scaler.transform(X[held_out]), atol=1e-12)
        assert_array_equal(arguments[4], y[held_out])
        # The steps keep no trace of how that was done.
        assert "fit" not in vars(last[-1] if nested else last)
        assert clone(ensemble.estimators_[1]).fit(X, y).transform_input is None

    @pytest.mark.parametrize("alone", [True, False])
    def test_gradient_boosting_stops_on_it(self, iris, alone):
        X, y = iris
        boosting = HistGradientBoostingClassifier(
            early_stopping=True, n_iter_no_change=2, learning_rate=0.3, random_state=0
        )
        member = boosting if alone else make_pipeline(StandardScaler(), boosting)
        cv = list(KFold(3, shuffle=True, random_state=0).split(X))
        stops = []
        for labels in (y, np.random.default_rng(0).permutation(y)):
            mixed = y.copy()
            mixed[cv[0][1]] = labels[cv[0][1]]  # Held-out labels of fold 1 only.
            ensemble = KFoldEnsembleClassifier(member, cv=cv[:1]).fit(X, mixed)
            fitted = ensemble.estimators_[0]
            stops.append((fitted if alone else fitted[-1]).n_iter_)
        assert stops[1] < stops[0]

    def test_withheld_or_demanded(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(Watcher(), validation=False).fit(X, y)
        assert ensemble.estimators_[0].arguments_[3] is None
        ensemble = KFoldEnsembleClassifier(LogisticRegression(), validation=True)
        with pytest.raises(ValueError, match="no parameters `X_val` and `y_val`"):
            ensemble.fit(X, y)

    def test_classes_that_are_not_trained_on_are_left_out_of_it(self, iris):
        X, y = iris
        train = np.flatnonzero(y != "virginica")
        split = [(train[::2], np.r_[train[1::2], np.flatnonzero(y == "virginica")])]
        ensemble = KFoldEnsembleClassifier(Watcher(), cv=split)
        with pytest.warns(UserWarning, match=r"fold 1: \['virginica'\]"):
            ensemble.fit(X, y)
        assert set(ensemble.estimators_[0].arguments_[4]) == {"setosa", "versicolor"}


def test_gradient_boosting_without_early_stopping_gets_no_fold(iris):
    X, y = iris
    steady = HistGradientBoostingClassifier(early_stopping=False, max_iter=2)
    vote = SoftVotingClassifier([("trees", steady)])
    for member in (steady, make_pipeline(StandardScaler(), steady), vote):
        ensemble = KFoldEnsembleClassifier(member, cv=2, random_state=0).fit(X, y)
        assert ensemble.oof_score_ > 0.5
        assert not what_folds_chose(ensemble)
        with pytest.raises(ValueError, match="early_stopping=False"):
            clone(ensemble).set_params(validation=True).fit(X, y)


def test_a_validation_set_from_the_user(iris):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(Watcher(), cv=2)
    with pytest.raises(TypeError, match="Set validation=False"):
        ensemble.fit(X, y, X_val=X[::2], y_val=y[::2])
    # It is not sliced by fold, even if it is as long as X.
    ensemble.set_params(validation=False).fit(X, y, X_val=X + 1, y_val=y)
    for member in ensemble.estimators_:
        assert_array_equal(member.arguments_[3], X + 1)


def test_a_fold_without_a_class(iris):
    X, y = iris
    splits = list(KFold(3).split(X))  # iris is sorted: each fold is one class.
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=splits)
    listing = r"\(fold 1: \['setosa'\]; fold 2: \['versicolor'\]; fold 3: \['virgi"
    with pytest.warns(UserWarning, match=listing) as caught:
        ensemble.fit(X, y)
    assert len(caught) == 1
    members = ensemble.predict_proba_members(X)
    assert_array_equal(ensemble.known_classes_, ~np.eye(3, dtype=bool))
    assert (members[0, :, 0] == 0).all()
    assert (members[0, :, 1:] > 0).all()
    proba = ensemble.predict_proba(X)
    expected = members.sum(axis=0) / 2  # Two members know each class.
    assert_allclose(proba, expected / expected.sum(axis=1, keepdims=True))
    assert ensemble.score(X, y) > 0.9
    assert ensemble.oof_score_ == 0


def test_a_member_that_failed_to_learn_is_named(iris):
    X, y = iris
    X = X.copy()
    splits = list(KFold(3, shuffle=True, random_state=0).split(X))
    X[splits[1][1]] = 0.0  # The held-out samples of fold 2 are all alike.
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=splits)
    with pytest.warns(
        ConvergenceWarning, match=r"class: fold 2 \(0.\d+, gue[^,]*\)\. "
    ):
        ensemble.fit(X, y)


def test_average_of_members():
    nan = np.nan
    members = np.array([[[0.2, 0.8, 0.0]], [[0.1, 0.3, 0.6]]])
    mask = np.array([[True, True, False], [True, True, True]])
    expected = [[0.15 / 1.3, 0.55 / 1.3, 0.6 / 1.3]]
    assert_allclose(average_members(members, mask), expected)
    assert_array_equal(average_members(members), members.mean(axis=0))
    members[1] = nan
    assert_array_equal(average_members(members, mask), members[0])
    assert_array_equal(average_members(np.full((2, 1, 3), nan)), [[nan] * 3])


def test_repeated_and_partial_folds(iris):
    X, y = iris
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=0)
    repeated = KFoldEnsembleClassifier(DummyClassifier(strategy="prior"), cv=cv)
    assert len(repeated.fit(X, y).estimators_) == 6
    assert_allclose(repeated.oof_proba_.sum(axis=1), 1)
    once = KFoldEnsembleClassifier(
        LogisticRegression(max_iter=500), cv=[(np.arange(0, 150, 2), [1, 51, 101])]
    ).fit(X, y)
    has_proba = ~np.isnan(once.oof_proba_).any(axis=1)
    assert_array_equal(np.flatnonzero(has_proba), [1, 51, 101])
    assert once.oof_score_ == once.fold_scores_[0]


def test_groups_stay_together_and_weights_are_sliced(iris):
    X, y = iris
    groups, weights = np.arange(150) % 30, np.arange(150.0)
    for cv in (3, GroupKFold(3)):
        pipeline = make_pipeline(StandardScaler(), Watcher())
        ensemble = KFoldEnsembleClassifier(pipeline, cv=cv, random_state=0)
        ensemble.fit(X, y, sample_weight=weights, groups=groups)
        for member, (train, held_out) in zip(
            ensemble.estimators_, ensemble.splits_, strict=True
        ):
            assert not set(groups[train]) & set(groups[held_out])
            assert_array_equal(member[-1].arguments_[2], weights[train])
    with pytest.raises(
        TypeError, match=r"No step of the pipeline has \['sample_wieght'\]"
    ):
        ensemble.fit(X, y, groups=groups, sample_wieght=weights)


def test_prediction_in_chunks_is_the_same(iris):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500)).fit(X, y)
    whole = ensemble.predict_proba(X)
    # Seven rows of four values.
    with config_context(working_memory=7 * 4 * 16 / 2**20):
        assert_allclose(ensemble.predict_proba(X), whole, rtol=1e-12)


def test_wide_sparse_tables_are_not_cut_into_slivers(monkeypatch):
    X = sparse_random(300, 2**14, density=1e-3, format="csr", random_state=0)
    calls = []
    predict = LogisticRegression.predict_proba
    monkeypatch.setattr(
        LogisticRegression,
        "predict_proba",
        lambda self, X: (calls.append(1), predict(self, X))[1],
    )
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=1), cv=2)
    with pytest.warns(ConvergenceWarning):
        ensemble.fit(X, np.arange(300) % 2)
    calls.clear()
    # In MiB: enough for all values of the table, but for four rows of a dense one.
    with config_context(working_memory=1):
        ensemble.predict_proba(X)
    assert len(calls) == 2


def test_a_second_fit_forgets_the_first(iris):
    X, y = iris
    for classifier in (
        KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=2),
        SoftVotingClassifier([("linear", LogisticRegression(max_iter=500))]),
    ):
        classifier.fit(pd.DataFrame(X, columns=list("abcd")), y)
        assert list(classifier.feature_names_in_) == list("abcd")
        classifier.fit(X[:, :2], y)
        assert classifier.n_features_in_ == 2
        assert not hasattr(classifier, "feature_names_in_")


class Diverged(LogisticRegression):
    """Predicts NaN if it is trained without the first sample of iris."""

    def fit(self, X, y):
        self.first_ = bool((X[0] == [5.1, 3.5, 1.4, 0.2]).all())
        return super().fit(X, y)

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return proba if self.first_ else np.full_like(proba, np.nan)


def test_members_that_predict_nan(iris):
    X, y = iris
    cv = list(KFold(3, shuffle=True, random_state=0).split(X))
    ensemble = KFoldEnsembleClassifier(Diverged(max_iter=500), cv=cv)
    with pytest.warns(ConvergenceWarning, match="predict NaN") as caught:
        ensemble.fit(X, y)
    assert len(caught) == 1
    lost = np.isnan(ensemble.oof_proba_).any(axis=1)
    assert lost.sum() == 50
    assert ensemble.oof_score_ == pytest.approx(ensemble.fold_scores_.mean())
    assert sorted(ensemble.fold_scores_)[0] == 0
    ensemble.estimators_ = [m for m in ensemble.estimators_ if not m.first_]
    with pytest.raises(ValueError, match="All 1 members predict NaN for 150 of 150"):
        ensemble.predict(X)
    vote = SoftVotingClassifier([("lost", Diverged(max_iter=500))]).fit(X[1:], y[1:])
    with (
        pytest.warns(UserWarning, match="predict NaN are left out of the mean: lost"),
        pytest.raises(ValueError, match="probabilities are NaN for 150 of 150"),
    ):
        vote.predict(X)


def test_members_with_classes_that_are_not_in_y(iris):
    X, y = iris
    frozen = FrozenEstimator(LogisticRegression(max_iter=500).fit(X, y))
    rows = y != "setosa"
    with pytest.raises(ValueError, match=r"\['setosa'\], which are not in y"):
        KFoldEnsembleClassifier(frozen, cv=2).fit(X[rows], y[rows])
    with pytest.raises(TypeError, match="no classes_ after fit"):
        KFoldEnsembleClassifier(GaussianMixture(3), cv=2).fit(X, y)


def test_ensembles_in_ensembles_keep_groups_together(iris):
    X, y = iris
    groups = np.arange(150) % 25
    inner = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=2)
    for member in (inner, make_pipeline(StandardScaler(), inner)):
        outer = KFoldEnsembleClassifier(member, cv=2, random_state=0)
        outer.fit(X, y, groups=groups)
        for fitted, (train, _) in zip(outer.estimators_, outer.splits_, strict=True):
            within = fitted if member is inner else fitted[-1]
            for part, held_out in within.splits_:
                assert not set(groups[train][part]) & set(groups[train][held_out])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": LinearSVC()}, "'predict_proba'"),
        ({"validation": "maybe"}, "The 'validation' parameter"),
        ({"cv": 1}, "The 'cv' parameter"),
        ({"cv": 151}, "151 folds need at least 151 samples; there are 150"),
        ({"cv": []}, "no split"),
        ({"cv": [([0, 50, 100], [])]}, "0 held out"),
        ({"cv": [([0, 50, 100], [1, 50])]}, "trains on 1 of its own held-out"),
        ({"cv": [([0, 1], [60])]}, "split 1 have only one class: 'setosa'"),
        ({"n_jobs": "two"}, "The 'n_jobs' parameter"),
    ],
)
def test_wrong_parameters(iris, params, message):
    ensemble = KFoldEnsembleClassifier(LogisticRegression()).set_params(**params)
    with pytest.raises(ValueError, match=message):
        ensemble.fit(*iris)


def test_wrong_data(iris):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(LogisticRegression())
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ensemble.fit(X, y[:-1])
    with pytest.raises(ValueError, match="y has only one class: 'setosa'"):
        ensemble.fit(X[:9], y[:9])
    with pytest.raises(ValueError, match="continuous"):
        ensemble.fit(X, X[:, 0])


def test_an_error_in_a_member_names_the_fold(iris):
    X, y = iris
    X = X.copy()
    X[0] = np.nan
    ensemble = KFoldEnsembleClassifier(GaussianNB(), cv=3, random_state=0)
    with pytest.raises(ValueError, match="NaN") as caught:
        ensemble.fit(X, y)
    assert "fold 1 of 3" in caught.value.__notes__[0]


def test_verbose_prints_one_line_per_fold(iris, capsys):
    KFoldEnsembleClassifier(DummyClassifier(), cv=2, verbose=1).fit(*iris)
    assert capsys.readouterr().out.count("held-out accuracy") == 2
