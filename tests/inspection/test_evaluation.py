"""Metrics, tables and plots of ensembles that need no network."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss

from skwbc import ImageAugmenter, KFoldEnsembleClassifier
from skwbc.inspection import evaluate, plot_augmentations, plot_predictions
from skwbc.inspection._evaluation import training_table
from skwbc.inspection._predictions import describe_predictions, predict_once


def test_scores(ensemble, iris):
    X, y = iris
    scores = evaluate(ensemble, X, y)
    predicted = ensemble.predict(X)
    assert scores["n_samples"] == 150
    assert scores["accuracy"] == np.mean(predicted == y) < 1
    assert scores["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(y, predicted)
    )
    assert scores["log_loss"] == pytest.approx(log_loss(y, ensemble.predict_proba(X)))
    assert np.sum(scores["confusion_matrix"]) == 150
    assert scores["confusion_matrix"][1][2] == np.sum(
        (y == "versicolor") & (predicted == "virginica")
    )
    setosa = scores["per_class"]["setosa"]
    assert setosa == {"recall": 1.0, "precision": 1.0, "support": 50}


@pytest.mark.parametrize("kind", [object, float, bool])
def test_labels_of_another_type_than_the_classes(iris, kind):
    X, y = iris
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=2)
    rows = y != "virginica"
    X, y = X[rows], (y[rows] == "setosa").astype(int)
    ensemble.fit(X, y)
    assert evaluate(ensemble, X, y.astype(kind)) == evaluate(ensemble, X, y)
    images, proba = np.zeros((2, 4, 4, 1)), [[0.9, 0.1], [0.1, 0.9]]
    figure = plot_predictions(images, proba, [0, 1], y_true=np.array([0, 0], kind))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["0 (right)", "0, predicted 1"]


def test_scores_where_a_class_does_not_occur(ensemble, iris):
    X, y = iris
    scores = evaluate(ensemble, X[:50], y[:50])
    assert scores["balanced_accuracy"] == 1
    assert scores["per_class"]["virginica"] == {
        "recall": None,
        "precision": None,
        "support": 0,
    }
    with pytest.raises(ValueError, match=r"\['rose'\]"):
        evaluate(ensemble, X[:2], ["setosa", "rose"])


def test_agreement(ensemble, iris):
    X, _ = iris
    predictions = predict_once(ensemble, X)
    rows = describe_predictions(ensemble, predictions, range(150))
    members = ensemble.predict_proba_members(X)
    labels = ensemble.classes_[members.argmax(axis=2)]
    assert rows[7]["image"] == "7"
    assert sum(rows[7]["probabilities"].values()) == pytest.approx(1)
    for k, row in enumerate(rows):
        assert row["predicted"] == ensemble.predict(X[k : k + 1])[0]
        assert row["agreement"] == np.sum(labels[:, k] == row["predicted"])
    assert {row["agreement"] for row in rows} > {5}
    for wrong in (range(149), range(151)):
        with pytest.raises(ValueError, match="names for 150 samples"):
            describe_predictions(ensemble, predictions, wrong)


def test_training_table(iris):
    """The row of a fold shows the epoch that was kept, here the last one."""
    boosting = HistGradientBoostingClassifier(
        max_iter=4, early_stopping=True, scoring="loss", random_state=0
    )
    fitted = KFoldEnsembleClassifier(boosting, cv=2, random_state=0).fit(*iris)
    rows = training_table(fitted)
    assert [row["fold"] for row in rows] == [1, 2]
    for row, member, score in zip(
        rows, fitted.estimators_, fitted.fold_scores_, strict=True
    ):
        assert row["val_loss"] == -member.validation_score_[-1]
        assert row["score"] == score
        assert (row["best_epoch"], row["epochs"]) == (4, 4)


def test_training_table_of_members_without_history(ensemble):
    with pytest.raises(ValueError, match="consist of LogisticRegression, which did"):
        training_table(ensemble)


def test_plot_of_predictions():
    images = np.random.default_rng(0).integers(256, size=(5, 8, 8, 3), dtype=np.uint8)
    proba = np.eye(3)[[0, 1, 2, 0, 1]] * 0.7 + 0.1
    truth = ["a", "b", "c", "a", "c"]
    figure = plot_predictions(images, proba, "abc", y_true=truth, columns=3)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["a (right)", "b (right)", "c (right)", "a (right)",
                      "c, predicted b"]  # fmt: skip
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), images[1] / 255)
    widths = [bar.get_width() for bar in figure.axes[3].patches]
    np.testing.assert_allclose(widths, proba[0])
    plain = plot_predictions(images[..., :1], proba, "abc")
    assert plain.axes[0].get_title() == "a"
    with pytest.raises(ValueError, match="3 columns, but there are 2"):
        plot_predictions(images, proba, "ab")
    with pytest.raises(ValueError, match="inconsistent"):
        plot_predictions(images, proba[:2], "abc")


def test_plot_of_many_predictions():
    images = np.random.default_rng(0).integers(256, size=(800, 8, 8, 3), dtype=np.uint8)
    proba = np.full((800, 2), 0.5)
    figure = plot_predictions(images, proba, "ab")
    assert sum(bool(axes.images) for axes in figure.axes) == 24
    assert figure.get_suptitle() == "images 0 to 23 of 800 (page 1 of 34)"
    last = plot_predictions(images, proba, "ab", n_images=30, page=27)
    assert last.get_suptitle() == "images 780 to 799 of 800 (page 27 of 27)"
    np.testing.assert_allclose(last.axes[0].images[0].get_array(), images[780] / 255)
    with pytest.raises(
        ValueError, match="no page 35: with n_images=24, 800 images have"
    ):
        plot_predictions(images, proba, "ab", page=35)
    with pytest.raises(ValueError, match="'n_images' parameter.*1, 200"):
        plot_predictions(images, proba, "ab", n_images=800)


def shown(figure):
    """Return the image on each axes of a figure."""
    return [axes.images[0].get_array() for axes in figure.axes]


@pytest.mark.parametrize(
    ("convert", "data_format"),
    [
        (lambda X: X, "channels_last"),
        (lambda X: X / 255, "channels_last"),
        (lambda X: X.astype("uint16") * 257, "channels_last"),
        (lambda X: np.moveaxis(X, -1, 1), "channels_first"),
    ],
    ids=["bytes", "fractions", "16 bits", "channels first"],
)
def test_plot_of_augmentations(convert, data_format):
    images = np.random.default_rng(0).integers(256, size=(2, 8, 9, 3), dtype=np.uint8)
    augmenter = ImageAugmenter(
        horizontal_flip=True, rescale=3, samplewise_center=True, data_format=data_format
    )
    figure = plot_augmentations(augmenter, convert(images), n_draws=3)
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "original", "draw 1", "draw 2", "draw 3",
    ]  # fmt: skip
    plotted = shown(figure)
    assert len(plotted) == 8
    for row, image in enumerate(images / 255):
        np.testing.assert_allclose(plotted[4 * row], image, atol=1e-6)
        flipped = [np.allclose(p, image[:, ::-1]) for p in plotted[4 * row :][:4]]
        same = [np.allclose(p, image) for p in plotted[4 * row :][:4]]
        assert all(one or other for one, other in zip(flipped, same, strict=True))
    assert not hasattr(augmenter, "image_shape_")


def test_plot_of_augmented_images_with_five_channels():
    images = np.random.default_rng(0).normal(size=(1, 8, 9, 5))
    augmenter = ImageAugmenter(rotation_range=90)
    figure = plot_augmentations(augmenter, images, n_draws=2, cmap="magma")
    scaled = (images[0] - images.min()) / (images.max() - images.min())
    np.testing.assert_allclose(shown(figure)[0], scaled.mean(axis=-1), atol=1e-6)
    assert not np.allclose(shown(figure)[1], shown(figure)[0])
    assert figure.axes[1].images[0].get_cmap().name == "magma"


def test_nothing_to_plot():
    images = np.zeros((1, 8, 8, 3))
    with pytest.raises(ValueError, match="No option of ImageAugmenter.* is random"):
        plot_augmentations(ImageAugmenter(rescale=2), images)
    with pytest.raises(ValueError, match="'augmenter' parameter"):
        plot_augmentations("rotate", images)
    with pytest.raises(ValueError, match="plot_augmentations|ImageAugmenter expected"):
        plot_augmentations(ImageAugmenter(rotation_range=9), images[0])


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    images = np.zeros((1, 2, 2, 3))
    with pytest.raises(ImportError, match=r"pip install 'skwbc\[plot\]'"):
        plot_predictions(images, [[1.0]], "a")
    with pytest.raises(ImportError, match=r"pip install 'skwbc\[plot\]'"):
        plot_augmentations(ImageAugmenter(rotation_range=9), images)
