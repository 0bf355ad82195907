"""Displays and pictures, on ensembles that need no network."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import FlattenImages, KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.inspection import (
    MemberDisagreementDisplay,
    ReliabilityDisplay,
    TrainingCurvesDisplay,
    plot_least_certain,
    plot_predictions,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


class Learner(ClassifierMixin, BaseEstimator):
    """Writes down how it learnt as a network does, and says what it is told to."""

    def __init__(self, history=None, best=2):
        self.history = history
        self.best = best

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.history_ = self.history
        self.best_epoch_ = self.best
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def learners(history, best=2):
    """Return an ensemble of votes, of which one part writes down how it learnt."""
    parts = [("plain", GaussianNB()), ("learner", Learner(history, best))]
    return KFoldEnsembleClassifier(SoftVotingClassifier(parts), cv=3, random_state=0)


HISTORY = {"loss": [3.0, 2.0, 1.0], "accuracy": [0.2, 0.5, 0.9],
           "val_loss": [3.0, 1.5, 2.0], "val_accuracy": [0.3, 0.6, 0.5]}  # fmt: skip


def test_training_curves(iris):
    fitted = learners(HISTORY).fit(*iris)
    axes = Figure().subplots()
    display = TrainingCurvesDisplay.from_estimator(fitted, metric="accuracy", ax=axes)
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert not plt.get_fignums()
    for kind, lines in [("accuracy", display.train_lines_),
                        ("val_accuracy", display.validation_lines_)]:  # fmt: skip
        assert len(lines) == 3
        for line in lines:
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
            np.testing.assert_array_equal(line.get_ydata(), HISTORY[kind])
    # Told apart without colours: styles for the kinds, numbers for the folds.
    assert {line.get_linestyle() for line in display.train_lines_} == {"--"}
    assert {line.get_linestyle() for line in display.validation_lines_} == {"-"}
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3"]
    assert {text.xy for text in axes.texts} == {(2, 0.6)}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "accuracy")


def test_training_curves_without_a_held_out_fold(iris):
    fitted = learners({"loss": [3.0, 2.0]}).fit(*iris)
    display = TrainingCurvesDisplay.from_estimator(fitted)
    assert display.figure_.number in plt.get_fignums()
    assert display.validation_lines_ == [None] * 3
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "training" in labels
    assert "held-out fold" not in labels
    with pytest.raises(
        ValueError, match=r"'auc' was not recorded. Expected one of \['lo"
    ):
        TrainingCurvesDisplay.from_estimator(fitted, metric="auc")
    assert display.plot().ax_ is not None


@pytest.mark.parametrize(("scoring", "metric"), [("loss", "loss"), ("accuracy",) * 2])
def test_training_curves_of_boosting(iris, scoring, metric):
    member = HistGradientBoostingClassifier(
        max_iter=4, early_stopping=True, scoring=scoring, random_state=0
    )
    fitted = KFoldEnsembleClassifier(member, cv=2, random_state=0).fit(*iris)
    display = TrainingCurvesDisplay.from_estimator(fitted, metric=metric)
    first = display.train[0]
    assert len(first) == len(display.validation[0]) == 4
    assert display.best == [4, 4]
    # Losses fall and are no negative scores.
    assert (first > 0).all()
    assert (first[-1] < first[0]) == (metric == "loss")
    assert display.ax_.get_xlabel() == "iteration"


def test_training_curves_of_members_without_history(ensemble, iris):
    with pytest.raises(ValueError, match="made of LogisticRegression, none of which"):
        TrainingCurvesDisplay.from_estimator(ensemble)
    trees = KFoldEnsembleClassifier(GradientBoostingClassifier(n_estimators=2), cv=2)
    with pytest.raises(ValueError, match="none of which recorded"):
        TrainingCurvesDisplay.from_estimator(trees.fit(*iris))
    with pytest.raises(ValueError, match="instance of 'skwbc.ensemble.KFold"):
        TrainingCurvesDisplay.from_estimator(LogisticRegression())


def test_reliability_by_hand():
    # Two samples at 0.6, of which one is right, two at 0.95, both right, one unknown.
    proba = [[0.6, 0.4], [0.4, 0.6], [0.95, 0.05], [0.05, 0.95], [np.nan, np.nan]]
    y = ["a", "a", "a", "b", "b"]
    display = ReliabilityDisplay.from_predictions(
        y, proba, classes=["a", "b"], n_bins=5, name="all"
    )
    assert display.counts.tolist() == [0, 0, 0, 2, 2]
    np.testing.assert_allclose(display.confidence[3:], [0.6, 0.95])
    np.testing.assert_allclose(display.accuracy[3:], [0.5, 1.0])
    assert np.isnan(display.confidence[:3]).all()
    assert display.calibration_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.05)
    np.testing.assert_allclose(display.line_.get_xydata(), [[0.6, 0.5], [0.95, 1.0]])
    assert display.line_.get_label().startswith("all: calibration error 0.075\n(1 with")
    assert [text.get_text() for text in display.ax_.texts] == ["2", "2"]


def test_two_classifiers_in_one_reliability_diagram(ensemble, iris):
    X, y = iris
    out_of_fold = ReliabilityDisplay.from_predictions(
        y, ensemble.oof_proba_, classes=ensemble.classes_
    )
    axes = out_of_fold.ax_
    display = ReliabilityDisplay.from_estimator(ensemble, X, y, ax=axes)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(labels) == 3
    assert labels[2].startswith("KFoldEnsembleClassifier: calibration error")
    assert out_of_fold.line_.get_marker() != display.line_.get_marker()
    with pytest.raises(ValueError, match=r"does not know the labels \['rose'\]"):
        ReliabilityDisplay.from_estimator(ensemble, X[:1], ["rose"])


def test_disagreement(ensemble, iris):
    X, _ = iris
    axes = Figure().subplots()
    display = MemberDisagreementDisplay.from_estimator(ensemble, X, ax=axes)
    choices = [member.predict(X) for member in ensemble.estimators_]
    for one in range(5):
        for other in range(5):
            share = np.mean(choices[one] != choices[other])
            assert display.disagreement[one, other] == share
            if one != other:
                assert display.text_[one, other].get_text() == f"{share:.2f}"
    assert display.disagreement.max() > 0
    assert display.figure_ is axes.figure
    known = MemberDisagreementDisplay.from_predictions(
        ensemble.predict_proba_members(X)
    )
    np.testing.assert_array_equal(known.disagreement, display.disagreement)
    with pytest.raises(ValueError, match="n_members"):
        MemberDisagreementDisplay.from_predictions(ensemble.predict_proba(X))
    # Members that all agree are no error, nor without texts and scale.
    same = MemberDisagreementDisplay(np.zeros((2, 2)), n_samples=3)
    same.plot(include_values=False, colorbar=False)
    assert same.text_[0, 1] is None
    assert len(same.figure_.axes) == 1


def test_members_that_do_not_know_a_class(iris):
    X, y = iris
    # The first member is shown setosa and versicolor only.
    halves = [(np.arange(100), np.arange(100, 150)), (np.arange(40, 150), range(40))]
    with pytest.warns(UserWarning, match="virginica"):
        fitted = KFoldEnsembleClassifier(
            LogisticRegression(max_iter=500), cv=halves
        ).fit(X, y)
    display = MemberDisagreementDisplay.from_estimator(fitted, X[100:])
    assert display.disagreement[0, 1] > 0.9


@pytest.fixture(scope="module")
def cell_ensemble(cells):
    member = make_pipeline(
        FlattenImages(), StandardScaler(), LogisticRegression(C=1e-4)
    )
    return KFoldEnsembleClassifier(member, cv=3, random_state=0).fit(
        cells.images, cells.target
    )


def test_least_certain(cells, cell_ensemble):
    X, y = cells.images, cells.target
    names = [f"cell {k}" for k in range(len(X))]
    figure = plot_least_certain(
        cell_ensemble, X, y_true=y, names=names, n_images=5, columns=3
    )
    proba = cell_ensemble.predict_proba(X)
    entropy = -(proba * np.log(proba)).sum(axis=1)
    worst = np.argsort(-entropy)[:5]
    titles = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert len(titles) == 5
    for title, k in zip(titles, worst, strict=True):
        name, *said, agree = title.split("\n")
        assert name == f"cell {k}"
        best = cell_ensemble.classes_[proba[k].argmax()]
        expected = f"{y[k]} (right)" if best == y[k] else f"{y[k]}, taken for {best}"
        assert " ".join(said) == expected
        assert agree.endswith("of 3 members")
    shown = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown, X[worst[0]] / 255, atol=1e-6)
    assert not plt.get_fignums()
    few = plot_least_certain(cell_ensemble, X[:2])
    titles = [axes.get_title() for axes in few.axes if axes.get_images()]
    assert {title.split("\n")[0] for title in titles} == {"image 0", "image 1"}


def test_right_and_wrong_without_colours(cells):
    proba = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]
    figure = plot_predictions(
        cells.images[:2], proba, ["a", "b", "c"], y_true=["a", "a"], columns=2
    )
    right, wrong = figure.axes[:2]
    assert (right.get_title(), wrong.get_title()) == ("a (right)", "a, taken for b")
    assert right.title.get_weight() != wrong.title.get_weight()
    hatches = [[bar.get_hatch() for bar in axes.patches] for axes in figure.axes[2:4]]
    assert hatches[0] == [""] * 3
    assert hatches[1] == ["", "//", ""]
    with pytest.raises(ValueError, match="'columns' parameter"):
        plot_predictions(cells.images[:2], proba, ["a", "b", "c"], columns=0)


def test_splits_that_leave_samples_out(iris):
    X, y = iris
    cv = ShuffleSplit(2, test_size=0.3, random_state=0)
    fitted = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=cv).fit(X, y)
    display = ReliabilityDisplay.from_predictions(
        y, fitted.oof_proba_, classes=fitted.classes_
    )
    assert display.n_left_out == np.isnan(fitted.oof_proba_).any(axis=1).sum() > 0
    assert display.counts.sum() + display.n_left_out == 150
