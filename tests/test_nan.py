"""Members, parts and samples without probabilities: NaN never becomes a class."""

import json
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    CNNClassifier,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
    save_model,
)
from skwbc.cli import main
from skwbc.datasets import save_image_folder
from skwbc.inspection import evaluate, find_label_issues, plot_predictions
from skwbc.report import write_training_report
from skwbc.uncertainty import (
    mutual_information,
    predictive_entropy,
    vote_disagreement,
)

SCORERS = [
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "neg_log_loss",
    "roc_auc_ovr",
    "matthews_corrcoef",
]


class Bayes(GaussianNB):
    """Predicts NaN where the first feature is above a limit.

    Members that were not trained on the first sample have diverged: their limit is
    minus infinity.
    """

    def __init__(self, first=None, limit=np.inf):
        super().__init__()
        self.first = first
        self.limit = limit

    def fit(self, X, y, sample_weight=None):
        learnt = self.first is None or (self.first == X).all(axis=1).any()
        self.limit_ = self.limit if learnt else -np.inf
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        proba[X[:, 0] > self.limit_] = np.nan
        return proba


class Lost(ClassifierMixin, BaseEstimator):
    """Predicts NaN for everything."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture
def diverged(iris):
    """An ensemble whose second of three members has diverged."""
    X, y = iris
    cv = list(KFold(3, shuffle=True, random_state=0).split(X))
    ensemble = KFoldEnsembleClassifier(Bayes(X[cv[1][1][0]]), cv=cv)
    with pytest.warns(
        ConvergenceWarning, match="NaN on their held-out fold: fold 2."
    ) as w:
        ensemble.fit(X, y)
    assert len(w) == 1
    return ensemble


def test_a_diverged_member_is_left_out_and_named(diverged, iris):
    X, y = iris
    members = diverged.predict_proba_members(X)
    assert np.isnan(members).any(axis=(1, 2)).tolist() == [False, True, False]
    with pytest.warns(UserWarning, match=r"left out of the mean: fold 2\.") as caught:
        proba = diverged.predict_proba(X)
    assert len(caught) == 1
    assert_allclose(proba, members[[0, 2]].mean(axis=0))
    for method in (diverged.predict, diverged.predict_set, diverged.predict_log_proba):
        with pytest.warns(UserWarning, match="fold 2"):
            assert len(method(X)) == len(X)
    # The sets are calibrated on the other members.
    rest = KFoldEnsembleClassifier(Bayes(), cv=[diverged.splits_[k] for k in (0, 2)])
    with pytest.warns(UserWarning, match="fold 2"):
        sets = diverged.predict_set(X)
    assert_array_equal(sets, rest.fit(X, y).predict_set(X))


def test_samples_that_some_members_cannot_predict(iris):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(Bayes(), cv=3, random_state=0).fit(X, y)
    complete = ensemble.predict_proba_members(X)
    high = X[:, 0] > 7
    ensemble.estimators_[0].limit_ = 7
    counted = rf"left out of the mean: fold 1 \({high.sum()} of 150 samples\)"
    with pytest.warns(UserWarning, match=counted):
        proba = ensemble.predict_proba(X)
    assert_array_equal(proba[~high], complete.mean(axis=0)[~high])
    assert_allclose(proba[high], complete[1:, high].mean(axis=0))
    for member in ensemble.estimators_:
        member.limit_ = 7
    without = rf"All 3 members predict NaN for {high.sum()} of 150 samples"
    methods = ("predict_proba", "predict", "predict_set", "predict_log_proba")
    for method in methods:
        with pytest.raises(ValueError, match=without):
            getattr(ensemble, method)(X)
    with pytest.raises(ValueError, match=without):
        ensemble.score(X, y)
    with pytest.raises(ValueError, match=without):
        evaluate(ensemble, X, y)
    with pytest.raises(ValueError, match=f"All members have NaN for {high.sum()} sam"):
        predictive_entropy(ensemble.predict_proba_members(X))
    assert not np.isnan(ensemble.predict_proba(X[~high])).any()


@pytest.mark.parametrize("scoring", [None, *SCORERS])
def test_missing_probabilities_count_as_wrong(iris, scoring):
    """As a classifier does that is certain of other classes."""

    class Wrong(Bayes):
        def predict_proba(self, X):
            proba = super().predict_proba(X)
            missing = np.isnan(proba).any(axis=1)
            true = y[[np.flatnonzero((iris_X == x).all(axis=1))[0] for x in X[missing]]]
            proba[missing] = (self.classes_ != true[:, np.newaxis]) / 2
            return proba

    iris_X, y = np.unique(iris[0], axis=0, return_index=True)
    y = iris[1][y]
    scores = {}
    for member in (Bayes(limit=6), Wrong(limit=6)):
        ensemble = KFoldEnsembleClassifier(
            member, cv=KFold(3, shuffle=True, random_state=0), scoring=scoring
        )
        if type(member) is Bayes:
            with pytest.warns(ConvergenceWarning, match="predict NaN"):
                ensemble.fit(iris_X, y)
            missing = np.isnan(ensemble.oof_proba_).any(axis=1)
            assert_array_equal(missing, iris_X[:, 0] > 6)
        else:
            ensemble.fit(iris_X, y)
        scores[type(member)] = [ensemble.oof_score_, *ensemble.fold_scores_]
    assert_allclose(scores[Bayes], scores[Wrong])
    assert np.isfinite(scores[Bayes]).all()


def test_out_of_fold_probabilities_leave_diverged_members_out(iris):
    X, y = iris
    halves = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    cv = [*halves, (np.arange(0, 150, 4), np.arange(1, 150, 2))]
    ensemble = KFoldEnsembleClassifier(Bayes(X[2]), cv=cv)
    with pytest.warns(ConvergenceWarning, match="fold: fold 2"):
        ensemble.fit(X, y)
    expected = ensemble.estimators_[0].predict_proba(X[1::2])
    assert_array_equal(ensemble.oof_proba_[1::2], expected)
    assert np.isnan(ensemble.oof_proba_[::2]).all()  # never held out


def test_a_class_that_a_member_lacks_is_not_a_missing_probability(iris):
    X, y = iris
    cv = [
        (np.arange(50, 150, 2), np.arange(0, 50)),
        (np.arange(0, 150, 2), [1, 51, 101]),
    ]
    with pytest.warns(UserWarning, match="setosa"):
        ensemble = KFoldEnsembleClassifier(GaussianNB(), cv=cv).fit(X, y)
    assert ensemble.known_classes_.tolist() == [[False, True, True], [True] * 3]
    members, proba = ensemble.predict_proba_members(X), ensemble.predict_proba(X)
    assert (members[0, :, 0] == 0).all()
    assert ensemble.oof_score_ == pytest.approx(3 / 52)
    mask = {"known_classes": ensemble.known_classes_}
    of_mean = predictive_entropy(proba[np.newaxis])
    assert_allclose(predictive_entropy(members, **mask), of_mean)
    within = predictive_entropy(members[:1]) + predictive_entropy(members[1:])
    expected = np.maximum(of_mean - within / 2, 0)
    assert_allclose(mutual_information(members, **mask), expected, atol=1e-12)
    with pytest.raises(ValueError, match=r"int64 of shape \(3,\); expected bool of sh"):
        predictive_entropy(members, known_classes=[1, 1, 1])


def test_measures_of_disagreement_leave_missing_members_out(iris):
    X, y = iris
    members = KFoldEnsembleClassifier(Bayes(), cv=3, random_state=0).fit(X, y)
    members = members.predict_proba_members(X)
    gaps = members.copy()
    gaps[1, ::2] = np.nan
    for measure in (predictive_entropy, mutual_information, vote_disagreement):
        result = measure(gaps)
        assert_allclose(result[1::2], measure(members)[1::2])
        assert_allclose(result[::2], measure(members[[0, 2]])[::2])


def test_a_vote_leaves_out_parts(iris):
    X, y = iris
    linear = LogisticRegression(max_iter=500)
    parts = [("lost", Lost()), ("some", Bayes(limit=6)), ("linear", linear)]
    vote = SoftVotingClassifier(parts, weights=[5, 1, 2]).fit(X, y)
    listing = r"the mean: lost, some \(61 of 150 samples\)\."
    with pytest.warns(UserWarning, match=listing) as caught:
        proba = vote.predict_proba(X)
    assert len(caught) == 1
    rest = SoftVotingClassifier(parts[1:], weights=[1, 2]).fit(X, y)
    low = X[:, 0] <= 6
    assert_allclose(proba[low], rest.predict_proba(X[low]))
    assert_array_equal(proba[~low], linear.fit(X, y).predict_proba(X[~low]))
    # No part is left: an ensemble around it has to see that.
    empty = SoftVotingClassifier([("lost", Lost())])
    for vote in (empty.fit(X, y), make_pipeline(StandardScaler(), empty).fit(X, y)):
        with pytest.warns(UserWarning, match="mean: lost"):
            assert np.isnan(vote.predict_proba(X)).all()
        with (
            pytest.warns(UserWarning, match="mean: lost"),
            pytest.raises(ValueError, match="NaN for 150 of 150 samples"),
        ):
            vote.predict(X)
    ensemble = KFoldEnsembleClassifier(empty, cv=2)
    with pytest.warns(UserWarning, match="NaN"):
        ensemble.fit(X, y)
    with (
        pytest.warns(UserWarning, match="mean: lost"),
        pytest.raises(ValueError, match="All 2 members predict NaN for 150 of 150"),
    ):
        ensemble.predict_proba(X)
    assert ensemble.oof_score_ == 0


def test_ensembles_of_ensembles(iris, diverged):
    X, _ = iris
    outer = KFoldEnsembleClassifier.from_cross_validate({"estimator": [diverged] * 2})
    with pytest.warns(UserWarning, match="fold 2"):
        proba = outer.predict_proba(X)
    with pytest.warns(UserWarning, match="fold 2"):
        assert_allclose(proba, diverged.predict_proba(X))


@pytest.mark.filterwarnings("ignore:.* NaN ")
def test_an_ensemble_without_probabilities_is_a_member_that_is_left_out(iris):
    X, y = iris
    cv = list(KFold(3, shuffle=True, random_state=0).split(X))
    # Without this sample all members of the second inner ensemble diverge.
    inner = KFoldEnsembleClassifier(Bayes(X[cv[1][1][0]]), cv=2, random_state=0)
    outer = KFoldEnsembleClassifier(inner, cv=cv).fit(X, y)
    assert np.isnan(outer.oof_proba_).any(axis=1).sum() == 50
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not np.isnan(outer.predict_proba(X)).any()
    assert any("the mean: fold 2." in str(each.message) for each in caught)
    lost = KFoldEnsembleClassifier(Lost(), cv=2)
    vote = SoftVotingClassifier([("lost", lost)]).fit(X, y)
    assert np.isnan(vote.predict_proba(X)).all()
    in_pipelines = KFoldEnsembleClassifier(make_pipeline(StandardScaler(), lost), cv=2)
    with pytest.raises(ValueError, match="All 2 members predict NaN for 150"):
        in_pipelines.fit(X, y).predict_proba(X)


def test_a_network_that_diverges(cells, tmp_path, capsys):
    X, y = cells.images[::2].astype(float), cells.target[::2]
    network = CNNClassifier(
        model__filters=(4,), optimizer__learning_rate=1e30, epochs=2, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        network.fit(X, y)
    assert np.isnan(network.predict_proba(X)).all()
    n = len(X)
    for use in (network.predict, lambda X: evaluate(network, X, y)):
        with pytest.raises(ValueError, match=f"are NaN for {n} of {n} samples"):
            use(X)
    proba = network.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        plot_predictions(cells.images[::2], proba, network.classes_)
    ensemble = KFoldEnsembleClassifier(network, cv=2, n_restarts=1, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        ensemble.fit(X, y)
    assert any("fold: fold 1, fold 2." in str(each.message) for each in caught)
    assert ensemble.n_restarts_ == [1, 1]
    with pytest.raises(ValueError, match="all of `oof_proba_` is NaN"):
        find_label_issues(ensemble, X, y)
    assert ensemble.oof_score_ == 0
    report = tmp_path / "r.html"
    with pytest.raises(ValueError, match="all of `oof_proba_` is NaN"):
        write_training_report(report, ensemble, X, y)
    model, folder = str(tmp_path / "m.joblib"), tmp_path / "cells"
    save_model(ensemble, model)
    save_image_folder(cells.images[::2], y, folder)
    for command in (["predict", model, str(folder)], ["evaluate", model, str(folder)]):
        for flags in ([], ["--json"]):
            assert main([*command, *flags]) == 2
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "predict NaN for" in printed.err


def test_a_report_of_folds_that_stopped_at_different_epochs(cells, tmp_path):
    X, y = cells.images, cells.target
    network = CNNClassifier(model__filters=(4,), epochs=4, random_state=0)
    ensemble = KFoldEnsembleClassifier(network, cv=2, random_state=0).fit(X, y)
    ensemble.oof_proba_[ensemble.splits_[1][1][:5]] = np.nan
    stopped = ensemble.estimators_[0]
    stopped.best_epoch_ = 1
    for curve in stopped.history_.values():
        del curve[2:]
    ensemble.estimators_[1].history_["loss"][3] = np.nan
    write_training_report(tmp_path / "r.html", ensemble, X, y)
    text = (tmp_path / "r.html").read_text()
    assert "5 of 24 images: held out only by members whose training" in text
    losses = [member.history_["loss"] for member in ensemble.estimators_]
    first, last = (
        np.mean([losses[0][0], losses[1][0]]),
        np.mean([losses[0][1], losses[1][2]]),
    )
    assert f"training loss changes from {first:.3f} to {last:.3f}" in text


def test_onnx_leaves_members_out_as_well(iris, tmp_path):
    pytest.importorskip("onnxruntime")
    from skwbc.export import OnnxClassifier, to_onnx

    X, y = iris
    file = tmp_path / "m.onnx"
    ensemble = KFoldEnsembleClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), cv=2, random_state=0
    ).fit(X, y)
    linear = ensemble.estimators_[1][-1]
    linear.coef_, coefficients = np.full_like(linear.coef_, np.nan), linear.coef_
    with pytest.raises(ValueError, match=r"Members \[2\] of the ensemble predict NaN"):
        to_onnx(ensemble, file)
    assert not file.exists()
    linear.coef_ = coefficients
    to_onnx(ensemble, file)
    clf = OnnxClassifier(file)
    assert_array_equal(clf.known_classes_, np.ones((2, 3), bool))
    run = clf._session.run

    def with_gaps(rows):
        proba, members, p = run(rows)
        members[0, :3] = np.nan
        proba[:3] = np.nan
        members[1, gaps] = np.nan
        return proba, members, p

    clf._session.run = with_gaps
    gaps = []
    with pytest.warns(UserWarning, match=r"fold 1 \(3 of 20 samples\)"):
        proba = clf.predict_proba(X[:20])
    assert_allclose(proba[:3], ensemble.predict_proba_members(X[:3])[1], atol=1e-5)
    gaps = [0]
    for use in (clf.predict, clf.predict_proba, clf.predict_set):
        with pytest.raises(ValueError, match="All 2 members predict NaN for 1 of 20"):
            use(X[:20])


def test_json_has_no_nan(capsys):
    from skwbc.cli import _display

    _display.print_json([{"a": np.nan, "b": [1.5, float("inf")], "c": None}])
    assert json.loads(capsys.readouterr().out) == [
        {"a": None, "b": [1.5, None], "c": None}
    ]
