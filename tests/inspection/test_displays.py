"""Displays and plots of ensembles that need no network."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
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
from skwbc.inspection._evaluation import training_table


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


class Learner(ClassifierMixin, BaseEstimator):
    """Classifier with a training history that is passed as a parameter."""

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
    """Return an ensemble of votes, each with one estimator that has a history."""
    parts = [("plain", GaussianNB()), ("learner", Learner(history, best))]
    return KFoldEnsembleClassifier(SoftVotingClassifier(parts), cv=3, random_state=0)


HISTORY = {"loss": [3.0, 2.0, 1.0], "accuracy": [0.2, 0.5, 0.9],
           "val_loss": [3.0, 1.5, 2.0], "val_accuracy": [0.3, 0.6, 0.5]}  # fmt: skip


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


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
    # Line styles and numbers distinguish curves and folds without colours.
    assert {line.get_linestyle() for line in display.train_lines_} == {"--"}
    assert {line.get_linestyle() for line in display.validation_lines_} == {"-"}
    assert {line.get_marker() for line in display.validation_lines_} == {"None"}
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3"]
    assert {text.xy for text in axes.texts} == {(2, 0.6)}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "accuracy")


def test_training_curves_of_a_fold_evaluated_at_some_epochs(iris):
    history = {"loss": [5.0, 4.0, 3.0, 2.0, 1.0],
               "val_loss": [4.0, np.nan, 2.5, np.nan, 2.0]}  # fmt: skip
    fitted = learners(history, 5).fit(*iris)
    assert [row["val_loss"] for row in training_table(fitted)] == [2.0] * 3
    display = TrainingCurvesDisplay.from_estimator(fitted)
    for line in display.validation_lines_:
        np.testing.assert_array_equal(line.get_xydata(), [[1, 4], [3, 2.5], [5, 2]])
        assert line.get_marker() == "o"
    assert {line.get_marker() for line in display.train_lines_} == {"None"}
    assert {text.xy for text in display.ax_.texts} == {(5, 2.0)}


def test_training_curves_without_a_held_out_fold(iris):
    fitted = learners({"loss": [3.0, 2.0]}).fit(*iris)
    display = TrainingCurvesDisplay.from_estimator(fitted)
    assert display.figure_.number in plt.get_fignums()
    assert display.validation_lines_ == [None] * 3
    assert legend_of(display.ax_) == ["training", "epoch kept"]
    with pytest.raises(
        ValueError, match=r"'auc' was not recorded. Expected one of \['lo"
    ):
        TrainingCurvesDisplay.from_estimator(fitted, metric="auc")
    learner = fitted.estimators_[2].named_estimators_["learner"]
    learner.history_ = {"auc": [0.5, 0.6]}
    with pytest.raises(ValueError, match="'loss' was not recorded"):
        TrainingCurvesDisplay.from_estimator(fitted)
    first_axes = display.ax_
    assert display.plot().ax_ is not first_axes
    assert [line.get_ydata().tolist() for line in display.train_lines_] == [[3, 2]] * 3


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
    # Losses are positive and decrease.
    assert (first > 0).all()
    assert (first[-1] < first[0]) == (metric == "loss")
    assert display.ax_.get_xlabel() == "iteration"


def test_training_curves_of_members_without_history(ensemble, iris):
    with pytest.raises(ValueError, match="consist of LogisticRegression, which did"):
        TrainingCurvesDisplay.from_estimator(ensemble)
    trees = KFoldEnsembleClassifier(GradientBoostingClassifier(n_estimators=2), cv=2)
    with pytest.raises(ValueError, match="did not record their training"):
        TrainingCurvesDisplay.from_estimator(trees.fit(*iris))
    with pytest.raises(ValueError, match="instance of 'skwbc.KFoldEnsemble"):
        TrainingCurvesDisplay.from_estimator(LogisticRegression())


def test_reliability_by_hand():
    # One of two samples at 0.6 is right, both at 0.95 are, and one has no probability.
    proba = [[0.6, 0.4], [0.4, 0.6], [0.95, 0.05], [0.05, 0.95], [np.nan, np.nan]]
    y = ["a", "a", "a", "b", "b"]
    display = ReliabilityDisplay.from_predictions(
        y, proba, classes=["a", "b"], n_bins=5, name="all"
    )
    assert display.counts.tolist() == [0, 0, 2, 0, 2]
    np.testing.assert_allclose(display.confidence[[2, 4]], [0.6, 0.95])
    np.testing.assert_allclose(display.accuracy[[2, 4]], [0.5, 1.0])
    assert np.isnan(display.confidence[[0, 1, 3]]).all()
    assert display.calibration_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.05)
    np.testing.assert_allclose(display.line_.get_xydata(), [[0.6, 0.5], [0.95, 1.0]])
    assert display.line_.get_label().startswith("all: calibration error 0.075\n(1 with")
    assert [text.get_text() for text in display.ax_.texts] == ["2", "2"]


@pytest.mark.parametrize("n_right", [2, 20], ids=["below", "above"])
def test_numbers_of_a_reliability_diagram_lie_outside_of_the_markers(n_right):
    y = ["a"] * n_right + ["b"] * (20 - n_right)
    axes = None
    for _ in range(2):
        display = ReliabilityDisplay.from_predictions(
            y, [[0.7, 0.3]] * 20, classes=["a", "b"], ax=axes
        )
        axes = display.ax_
        display.figure_.draw_without_rendering()
        text, size = axes.texts[-1], axes.collections[-1].get_sizes()[0]
        (point,) = axes.transData.transform(display.line_.get_xydata())
        box = text.get_window_extent()
        nearest = np.clip(point, box.min, box.max)
        radius = np.sqrt(size) / 2 * display.figure_.dpi / 72
        assert np.hypot(*(nearest - point)) > radius


def test_two_classifiers_in_one_reliability_diagram(ensemble, iris):
    X, y = iris
    out_of_fold = ReliabilityDisplay.from_predictions(
        y, ensemble.oof_proba_, classes=ensemble.classes_
    )
    axes = out_of_fold.ax_
    display = ReliabilityDisplay.from_estimator(ensemble, X, y, ax=axes)
    reference, first, second = legend_of(axes)
    assert reference == "perfectly calibrated"
    assert first.startswith("calibration error")
    assert second.startswith("KFoldEnsembleClassifier: calibration error")
    assert out_of_fold.line_.get_marker() != display.line_.get_marker()
    with pytest.raises(ValueError, match=r"\['rose'\]"):
        ReliabilityDisplay.from_estimator(ensemble, X[:1], ["rose"])


def test_disagreement(ensemble, iris):
    X, _ = iris
    axes = Figure().subplots()
    display = MemberDisagreementDisplay.from_estimator(ensemble, X, ax=axes)
    choices = [member.predict(X) for member in ensemble.estimators_]
    for one in range(5):
        for other in range(5):
            fraction = np.mean(choices[one] != choices[other])
            assert display.disagreement[one, other] == fraction
            if one != other:
                assert display.text_[one, other].get_text() == f"{fraction:.2f}"
    assert display.disagreement.max() > 0
    np.testing.assert_array_equal(display.im_.get_array(), display.disagreement)
    assert display.figure_ is axes.figure
    from_members = MemberDisagreementDisplay.from_predictions(
        ensemble.predict_proba_members(X)
    )
    np.testing.assert_array_equal(from_members.disagreement, display.disagreement)
    with pytest.raises(ValueError, match="n_members"):
        MemberDisagreementDisplay.from_predictions(ensemble.predict_proba(X))
    # One scale for all, so that little disagreement does not look like much.
    assert display.im_.get_clim() == (0, 1)
    # Members that always agree, and a plot without texts and colour bar.
    equal = MemberDisagreementDisplay(np.zeros((2, 2)), n_samples=3)
    equal.plot(include_values=False, colorbar=False)
    assert equal.text_[0, 1] is None
    assert len(equal.figure_.axes) == 1


def test_keyword_arguments_reach_matplotlib(ensemble, iris, cells, cell_ensemble):
    X, y = iris
    reliability = ReliabilityDisplay.from_estimator(
        ensemble, X, y, color="purple", lw=3, marker="X"
    )
    assert reliability.line_.get_color() == "purple"
    assert reliability.line_.get_linewidth() == 3
    (points, _) = reliability.ax_.collections[::-1]
    np.testing.assert_allclose(points.get_facecolor()[0][:3], to_rgba("purple")[:3])
    reliability.plot(c="green", label="other")
    assert reliability.line_.get_color() == "green"
    assert legend_of(reliability.ax_)[1] == "other"

    disagreement = MemberDisagreementDisplay.from_estimator(
        ensemble, X, cmap="magma", vmax=1, colorbar=False
    )
    assert disagreement.im_.get_cmap().name == "magma"
    assert disagreement.im_.get_clim() == (0, 1)
    assert disagreement.plot().im_.get_cmap().name == "cividis"

    fitted = learners(HISTORY).fit(X, y)
    curves = TrainingCurvesDisplay.from_estimator(fitted, lw=4, marker="s")
    for line in curves.train_lines_ + curves.validation_lines_:
        assert (line.get_linewidth(), line.get_marker()) == (4, "s")

    figure = plot_least_certain(
        cell_ensemble, cells.images, n_images=1, interpolation="bilinear"
    )
    assert figure.axes[0].images[0].get_interpolation() == "bilinear"
    grey = cells.images[:1, ..., :1]
    figure = plot_predictions(grey, [[1.0]], ["a"], cmap="viridis")
    assert figure.axes[0].images[0].get_cmap().name == "viridis"


def test_members_that_do_not_know_a_class(iris):
    X, y = iris
    # The first member is trained on setosa and versicolor only.
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
    names = [f"cells/cell {k}" for k in range(len(X))]
    figure = plot_least_certain(
        cell_ensemble, X, y_true=y, names=names, n_images=5, columns=3
    )
    proba = cell_ensemble.predict_proba(X)
    entropy = -(proba * np.log(proba)).sum(axis=1)
    worst = np.argsort(-entropy)[:5]
    titles = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert len(titles) == 5
    for title, k in zip(titles, worst, strict=True):
        name, *prediction, agreement = title.split("\n")
        assert name == f"cell {k}"
        best = cell_ensemble.classes_[proba[k].argmax()]
        expected = f"{y[k]} (right)" if best == y[k] else f"{y[k]}, predicted {best}"
        assert " ".join(prediction) == expected
        assert agreement.endswith("of 3 members")
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
    assert (right.get_title(), wrong.get_title()) == ("a (right)", "a, predicted b")
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
