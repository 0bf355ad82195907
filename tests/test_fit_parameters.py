"""Parameters of ``fit`` reach the steps and scorers that they are meant for."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.fixes import parse_version

from skwbc import KFoldEnsembleClassifier, SoftVotingClassifier

LINEAR = LogisticRegression(max_iter=500)
COLUMNS = ColumnTransformer(
    [("scaled", StandardScaler(), [0, 1]), ("plain", "passthrough", [2, 3])]
)
# Steps without metadata routing, or with estimators inside that request nothing.
PIPELINES = {
    "columns": Pipeline([("x", COLUMNS), ("last", LINEAR)]),
    "union": Pipeline([("x", FeatureUnion([("a", MinMaxScaler())])), ("last", LINEAR)]),
    "boosting": Pipeline(
        [("x", StandardScaler()), ("last", AdaBoostClassifier(n_estimators=3))]
    ),
    "calibrated": Pipeline(
        [("x", MinMaxScaler()), ("last", CalibratedClassifierCV(LINEAR, cv=2))]
    ),
    "search": Pipeline(
        [("x", StandardScaler()), ("last", GridSearchCV(LINEAR, {"C": [1]}, cv=2))]
    ),
    "vote": Pipeline(
        [
            ("x", MinMaxScaler()),
            ("last", VotingClassifier([("a", LINEAR)], voting="soft")),
        ]
    ),
}


@pytest.fixture(scope="module")
def data():
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(150) < 0.3, rng.integers(3, size=150), y)
    return X, y, np.where(y == 1, 20.0, 0.2)


class Watcher(ClassifierMixin, BaseEstimator):
    """Records the sample weights of its fit."""

    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        self.classes_ = np.unique(y)
        self.weights_ = sample_weight, sample_weight_val
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.mark.parametrize("name", PIPELINES)
def test_weights_of_samples(data, name):
    X, y, weights = data
    pipeline = PIPELINES[name]
    ensemble = KFoldEnsembleClassifier(pipeline, cv=2, random_state=0)
    ensemble.fit(X, y, sample_weight=weights)
    alone = clone(ensemble).fit(X, y, last__sample_weight=weights)
    vote = SoftVotingClassifier([("a", pipeline)]).fit(X, y, sample_weight=weights)
    plain = clone(pipeline)
    params = {"last__sample_weight": weights}
    if isinstance(pipeline[0], StandardScaler):
        params["x__sample_weight"] = weights
    plain.fit(X, y, **params)
    if name != "boosting":  # It is random.
        assert_allclose(vote.predict_proba(X), plain.predict_proba(X), atol=1e-6)
    for fitted in (ensemble, alone, vote):
        assert np.mean(fitted.predict(X) == 1) > np.mean(y == 1) + 0.1


def test_weights_that_the_last_step_does_not_take(data):
    X, y, weights = data
    member = make_pipeline(MinMaxScaler(), KNeighborsClassifier())
    with pytest.raises(
        TypeError, match=r"No step of the pipeline has \['sample_weight'\]"
    ):
        KFoldEnsembleClassifier(member).fit(X, y, sample_weight=weights)
    with pytest.raises(TypeError, match=r"has \['nobody__sample_weight'\]"):
        KFoldEnsembleClassifier(member).fit(X, y, nobody__sample_weight=weights)


def test_a_held_out_fold_behind_steps_without_routing(data):
    X, y, _ = data
    chosen = SelectFromModel(AdaBoostClassifier(n_estimators=2, random_state=0))
    boosting = HistGradientBoostingClassifier(
        early_stopping=True, n_iter_no_change=2, learning_rate=0.5
    )
    member = make_pipeline(chosen, boosting)
    ensemble = KFoldEnsembleClassifier(member, cv=2, random_state=0).fit(X, y)
    assert all(fitted[-1].n_iter_ < 100 for fitted in ensemble.estimators_)


@pytest.mark.parametrize(
    ("request_", "given", "weighted"),
    [
        (None, "sample_weight", True),
        (None, "last__sample_weight", True),
        (None, "x__sample_weight", False),
        ("donor", "donor", True),
        (True, "sample_weight", True),
    ],
)
def test_the_held_out_fold_is_weighted_as_the_last_step_is(
    data, request_, given, weighted
):
    X, y, weights = data
    last = Watcher()
    with config_context(enable_metadata_routing=request_ is not None):
        if request_ is not None:
            last.set_fit_request(sample_weight=request_)
        member = Pipeline([("x", StandardScaler()), ("last", last)])
        if request_ is not None:
            member[0].set_fit_request(sample_weight=False)
        ensemble = KFoldEnsembleClassifier(member, cv=2, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The member does not learn.
            ensemble.fit(X, y, **{given: weights})
    for fitted, (train, held_out) in zip(
        ensemble.estimators_, ensemble.splits_, strict=True
    ):
        if weighted:
            assert_array_equal(fitted[-1].weights_[0], weights[train])
            assert_array_equal(fitted[-1].weights_[1], weights[held_out])
        else:
            assert fitted[-1].weights_ == (None, None)


@config_context(enable_metadata_routing=True)
def test_weights_under_another_name(data):
    X, y, weights = data
    member = Watcher().set_fit_request(sample_weight="donor")
    ensemble = KFoldEnsembleClassifier(member, cv=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The member does not learn.
        ensemble.fit(X, y, donor=weights)
    for fitted, rows in zip(ensemble.estimators_, ensemble.splits_, strict=True):
        for passed, side in zip(fitted.weights_, rows, strict=True):
            assert_array_equal(passed, weights[side])


@config_context(enable_metadata_routing=True)
@pytest.mark.parametrize("nested", [False, True])
def test_the_held_out_fold_is_weighted_as_each_classifier_of_a_vote_is(data, nested):
    X, y, weights = data
    donors = weights[::-1] + 1
    parts = [
        ("weighted", Watcher().set_fit_request(sample_weight=True)),
        ("declines", Watcher().set_fit_request(sample_weight=False)),
        ("donor", Pipeline([("x", Watcher().set_fit_request(sample_weight="donor"))])),
    ]
    vote = SoftVotingClassifier(parts)
    if nested:
        vote = Pipeline([("vote", SoftVotingClassifier([("inner", vote)]))])
    ensemble = KFoldEnsembleClassifier(vote, cv=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The members do not learn.
        ensemble.fit(X, y, sample_weight=weights, donor=donors)
    for fitted, rows in zip(ensemble.estimators_, ensemble.splits_, strict=True):
        vote = fitted[-1].estimators_[0] if nested else fitted
        weighted, declines, donor = vote.estimators_
        assert declines.weights_ == (None, None)
        for part, expected in ((weighted, weights), (donor[-1], donors)):
            for passed, side in zip(part.weights_, rows, strict=True):
                assert_array_equal(passed, expected[side])


def test_scorers_get_what_they_request(data):
    X, y, weights = data
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        member = clone(LINEAR).set_fit_request(sample_weight=True)
        ensemble = KFoldEnsembleClassifier(
            member, cv=2, scoring=scorer, random_state=0
        ).fit(X, y, sample_weight=weights)
        search = GridSearchCV(member, {"C": [1.0]}, cv=ensemble.splits_, scoring=scorer)
        search.fit(X, y, sample_weight=weights)
    expected = [search.cv_results_[f"split{k}_test_score"][0] for k in range(2)]
    assert_allclose(ensemble.fold_scores_, expected)


@pytest.mark.parametrize(
    "scoring",
    [lambda estimator, X, y: 1 / 0, lambda estimator, X, y: {"a": 1.0}],
    ids=["raises", "a dict"],
)
def test_a_scorer_that_fails_does_not_lose_the_members(data, scoring):
    X, y, _ = data
    ensemble = KFoldEnsembleClassifier(LINEAR, cv=2, scoring=scoring)
    with pytest.warns(UserWarning, match="cannot be computed on"):
        ensemble.fit(X, y)
    assert np.isnan(ensemble.oof_score_)
    members = [member.predict_proba(X) for member in ensemble.estimators_]
    assert_array_equal(ensemble.predict_proba(X), np.mean(members, axis=0))


def test_a_scorer_is_given_the_held_out_samples(data):
    X, y, _ = data
    ensemble = KFoldEnsembleClassifier(
        LINEAR, cv=2, scoring=lambda estimator, X, y: X[:, 0].mean(), random_state=0
    ).fit(X, y)
    expected = [X[held_out, 0].mean() for _, held_out in ensemble.splits_]
    assert_allclose(ensemble.fold_scores_, expected)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="before 1.9 scikit-learn copies routers, and generators cannot be copied",
)
def test_splits_from_a_generator_with_routing(data):
    X, y, weights = data
    member = clone(LINEAR)
    with config_context(enable_metadata_routing=True):
        member.set_fit_request(sample_weight=True)
        splits = StratifiedKFold(2).split(X, y)
        ensemble = KFoldEnsembleClassifier(member, cv=splits)
        assert len(ensemble.fit(X, y, sample_weight=weights).splits_) == 2


def test_equal_splits_have_different_members(data, tmp_path):
    X, y, _ = data
    (split,) = list(StratifiedKFold(2).split(X, y))[:1]
    forest = RandomForestClassifier(3)
    ensemble = KFoldEnsembleClassifier(forest, cv=[split] * 2, memory=str(tmp_path))
    one, other = ensemble.fit(X, y).predict_proba_members(X)
    assert (one != other).any()
    again = clone(ensemble).fit(X, y).predict_proba_members(X)
    assert_array_equal(again, [one, other])


def test_splits_are_stored_as_indices_from_zero_on(data):
    X, y, _ = data
    split = np.arange(-150, -50), np.arange(100, 150)
    order = np.random.default_rng(0).permutation(150)
    ensemble = KFoldEnsembleClassifier(LINEAR, cv=[split]).fit(X[order], y[order])
    assert_array_equal(ensemble.splits_[0][0], np.arange(100))


class Extra(GaussianNB):
    """Keeps a parameter of its fit."""

    def fit(self, X, y, extra="nothing"):
        self.extra_ = extra
        return super().fit(X, y)


@pytest.mark.parametrize(
    "value",
    [
        np.array(3.0),
        set(range(150)),
        {row: row for row in range(150)},
        dict(enumerate(range(150))).values(),
        "a" * 150,
        b"a" * 150,
        np.arange(3),
        scipy.sparse.coo_array(np.eye(3)),
        make_pipeline(MinMaxScaler()),
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_parameters_without_an_entry_per_sample_stay_as_they_are(data, value):
    X, y, _ = data
    ensemble = KFoldEnsembleClassifier(Extra(), cv=2).fit(X, y, extra=value)
    vote = SoftVotingClassifier([("a", Extra())]).fit(X, y, extra=value)
    for member in (*ensemble.estimators_, *vote.estimators_):
        assert member.extra_ is value


@pytest.mark.parametrize(
    "kind", [list, tuple, pd.Series, pd.DataFrame, scipy.sparse.coo_array, np.array]
)
def test_parameters_with_an_entry_per_sample_are_sliced(data, kind):
    X, y, _ = data
    values = X if kind is scipy.sparse.coo_array else np.arange(150)
    ensemble = KFoldEnsembleClassifier(Extra(), cv=2).fit(X, y, extra=kind(values))
    for member, (train, _) in zip(ensemble.estimators_, ensemble.splits_, strict=True):
        sliced = member.extra_
        sliced = sliced.toarray() if scipy.sparse.issparse(sliced) else sliced
        assert_array_equal(np.squeeze(sliced), values[train])


def test_parameters_that_cannot_be_divided(data):
    X, y, weights = data
    for outer in (
        KFoldEnsembleClassifier(Extra()),
        SoftVotingClassifier([("a", Extra())]),
    ):
        with pytest.raises(TypeError, match=r"extra is an iterator \(generator\)"):
            outer.fit(X, y, extra=(row for row in X))
        for wrong in (np.array(2.0), set(weights), (each for each in weights), 1.0):
            with pytest.raises(TypeError, match="sample_weight has to be an array of"):
                outer.fit(X, y, sample_weight=wrong)
    with pytest.raises(ValueError, match=r"groups .* of shape \(150, 1\)"):
        KFoldEnsembleClassifier(Extra()).fit(X, y, groups=pd.DataFrame(weights))


@config_context(enable_metadata_routing=True)
def test_requests_are_honoured_or_not_there(data):
    """As in scikit-learn, a score has weights only if they are requested."""
    X, y, weights = data
    member = clone(LINEAR).set_fit_request(sample_weight=True)
    vote = SoftVotingClassifier([("a", member)])
    for router in (vote, KFoldEnsembleClassifier(vote, cv=2, random_state=0)):
        assert not hasattr(router, "set_fit_request")
        results = [
            cross_validate(each, X, y, cv=2, params=params, return_estimator=True)
            for each, params in (
                (router, {"sample_weight": weights}),
                (
                    clone(router).set_score_request(sample_weight="donor"),
                    {"sample_weight": weights, "donor": weights},
                ),
            )
            if each is not router or parse_version(sklearn.__version__).minor > 8
        ]
        weighted = results[-1]
        folds = StratifiedKFold(2).split(X, y)
        for fitted, score, (train, test) in zip(
            weighted["estimator"], weighted["test_score"], folds, strict=True
        ):
            alone = clone(router).fit(X[train], y[train], sample_weight=weights[train])
            assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
            assert score == pytest.approx(alone.score(X[test], y[test], weights[test]))
