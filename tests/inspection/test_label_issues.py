"""Search for wrong labels, without a network."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skwbc import KFoldEnsembleClassifier
from skwbc.datasets import load_image_folder, make_blood_cells, save_image_folder
from skwbc.inspection import find_label_issues, plot_label_issues


def colours(X):
    """Return colour statistics of the centre of each image."""
    pixels = (X[:, 8:-8, 8:-8] / 255).reshape(len(X), -1, 3)
    quantiles = np.quantile(pixels, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)
    return np.hstack([pixels.mean(axis=1), pixels.std(axis=1), *quantiles])


@pytest.fixture(scope="module")
def mislabelled():
    """Cells, labels, true labels, rows of the wrong tenth, and a fitted ensemble."""
    X, y = make_blood_cells(30, image_size=(32, 32), random_state=0)
    names, codes = np.unique(y, return_inverse=True)
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(y), len(y) // 10, replace=False)
    codes[wrong] = (codes[wrong] + rng.integers(1, 3, len(wrong))) % 3
    member = make_pipeline(
        FunctionTransformer(colours),
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    )
    ensemble = KFoldEnsembleClassifier(member, random_state=0).fit(X, names[codes])
    return X, names[codes], y, set(wrong.tolist()), ensemble


def ensemble_with(proba, classes=("a", "b", "c")):
    """Return an ensemble with given out-of-fold probabilities."""
    ensemble = KFoldEnsembleClassifier(DummyClassifier())
    ensemble.estimators_ = []
    ensemble.classes_ = np.array(classes)
    ensemble.oof_proba_ = np.array(proba, dtype=float)
    return ensemble


def test_planted_labels_are_found(mislabelled):
    X, y, truth, wrong, ensemble = mislabelled
    rows = find_label_issues(ensemble, X, y)
    assert sorted(row["index"] for row in rows) == list(range(90))
    worst = {row["index"] for row in rows[: len(wrong)]}
    assert len(worst & wrong) >= 7
    issues = {row["index"]: row for row in rows if row["issue"]}
    detected = wrong & set(issues)
    assert len(detected) >= 7
    assert len(issues) <= 15
    assert (
        sum(issues[k]["suggested"] == truth[k] for k in detected) >= len(detected) - 1
    )


# Thresholds: a (0.9 + 0.5 + 0.3) / 3 = 0.567, b (0.8 + 0.2) / 2 = 0.5, c 0.4.
PROBA = [
    [0.9, 0.1, 0.0],  # label a, clearly right
    [0.5, 0.1, 0.4],  # label a: only c reaches its threshold, but a is more probable
    [0.3, 0.5, 0.2],  # label a, but b just reaches its threshold
    [0.1, 0.8, 0.1],  # label b, clearly right
    [0.55, 0.2, 0.25],  # label b is improbable, but a is below its threshold
    [0.5, 0.1, 0.4],  # label c: a is more probable, but below its threshold
]
LABELS = ["a", "a", "a", "b", "b", "c"]


def test_by_hand():
    rows = find_label_issues(ensemble_with(PROBA), np.zeros((6, 1)), LABELS)
    assert [row["index"] for row in rows] == [4, 2, 5, 1, 3, 0]
    assert [row["index"] for row in rows if row["issue"]] == [2]
    assert rows[1] == {
        "index": 2,
        "image": "2",
        "given": "a",
        "suggested": "b",
        "score": 0.3,
        "issue": True,
        "probabilities": {"a": 0.3, "b": 0.5, "c": 0.2},
    }
    assert rows[0]["suggested"] == rows[0]["given"] == "b"


def test_corrected_labels_are_judged_in_any_type():
    ensemble = ensemble_with(PROBA, classes=(1, 2, 5))
    corrected = [1.0, 1.0, 2.0, 2.0, 2.0, 5.0]
    rows = find_label_issues(ensemble, np.zeros((6, 1)), corrected)
    assert [row["given"] for row in rows if row["index"] in (2, 5)] == ["5", "2"]
    # The mean probability of class 2 over the three samples labelled 2 is still 0.5.
    assert not any(row["issue"] for row in rows)


def test_a_class_that_no_label_names_is_not_suggested():
    rows = find_label_issues(ensemble_with(PROBA), np.zeros((6, 1)), ["a", "a"] * 3)
    assert {row["suggested"] for row in rows} == {"a"}


def test_equal_probabilities_contradict_nothing():
    ensemble = ensemble_with([[0.1, 0.1]] * 3 + [[0.5, 0.5]] * 3, classes=(0, 1))
    rows = find_label_issues(ensemble, np.zeros((6, 1)), [0, 0, 0, 1, 1, 1])
    assert not any(row["issue"] for row in rows)


def test_samples_that_were_never_held_out_are_left_out():
    proba = [*PROBA, [np.nan] * 3]
    X = np.zeros((7, 1))
    rows = find_label_issues(ensemble_with(proba), X, [*LABELS, "c"])
    alone = find_label_issues(ensemble_with(PROBA), X[:6], LABELS)
    assert rows == alone


def test_wrong_order_gives_a_warning():
    right = np.eye(3)[[0, 1, 2] * 4] * 0.7 + 0.1
    with pytest.warns(UserWarning, match="12 of 12 labels are contradicted"):
        find_label_issues(ensemble_with(right), np.zeros((12, 1)), ["b", "c", "a"] * 4)


def test_wrong_use():
    X, y = np.zeros((6, 1)), LABELS
    ensemble = ensemble_with(PROBA)
    with pytest.raises(NotFittedError):
        find_label_issues(KFoldEnsembleClassifier(DummyClassifier()), X, y)
    with pytest.raises(ValueError, match="X has 5 entries.* fitted on 6 samples"):
        find_label_issues(ensemble, X[:5], y)
    with pytest.raises(ValueError, match="y has 5 entries"):
        find_label_issues(ensemble, X, y[:5])
    with pytest.raises(ValueError, match="1 names for 6 samples"):
        find_label_issues(ensemble, X, y, names=["one"])
    with pytest.raises(ValueError, match=r"know the labels \['d'\].* \['a', 'b', 'c'"):
        find_label_issues(ensemble, X, ["d", *y[1:]])
    with pytest.raises(ValueError, match="'estimator' parameter"):
        find_label_issues("model.joblib", X, y)
    numbers = ensemble_with(PROBA, classes=(0, 1, 2))
    with pytest.raises(ValueError, match="know the labels"):
        find_label_issues(numbers, X, ["0", "0", "0", "1", "1", "2"])


def test_an_ensemble_without_out_of_fold_probabilities():
    X, y = np.arange(12.0).reshape(6, 2), LABELS[:3] + ["b"] * 3
    member = LogisticRegression()
    results = cross_validate(member, X, y, cv=3, return_estimator=True)
    ensemble = KFoldEnsembleClassifier.from_cross_validate(results)
    with pytest.raises(ValueError, match="has no out-of-fold.*`from_cross_validate`"):
        find_label_issues(ensemble, X, y)


def test_names(mislabelled, tmp_path):
    X, y, _, _, ensemble = mislabelled
    files = save_image_folder(X, y, tmp_path)
    cells = load_image_folder(tmp_path, image_size=(32, 32), lazy=True)
    order = [files.index(file) for file in cells.filenames]
    ensemble = ensemble_with(ensemble.oof_proba_[order], ensemble.classes_)
    named = find_label_issues(
        ensemble, cells.images, cells.target, names=cells.filenames
    )
    assert named == find_label_issues(ensemble, cells.images, cells.target)
    assert named[0]["image"] == cells.filenames[named[0]["index"]]
    figure = plot_label_issues(cells.images, named, n_images=1)
    drawn = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn, X[order[named[0]["index"]]] / 255)


def test_plot():
    images = np.random.default_rng(0).integers(256, size=(6, 8, 8, 3), dtype=np.uint8)
    names = [f"cells/{k}.png" for k in range(6)]
    rows = find_label_issues(ensemble_with(PROBA), images, LABELS, names=names)
    figure = plot_label_issues(
        images, rows, n_images=3, columns=2, interpolation="bilinear"
    )
    assert figure.axes[0].images[0].get_interpolation() == "bilinear"
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        "4.png\nlabelled b\nno other suggested",
        "2.png\nlabelled a\nb? 0.50",
        "5.png\nlabelled c\nno other suggested",
    ]
    assert [figure.axes[k].title.get_color() == "#b2182b" for k in (0, 1)] == [0, 1]
    np.testing.assert_allclose(
        figure.axes[1].images[0].get_array(), images[2] / 255, atol=1e-6
    )


def test_nothing_to_plot():
    images = np.zeros((6, 8, 8, 3))
    rows = find_label_issues(ensemble_with(PROBA), images, LABELS)
    with pytest.raises(ValueError, match="issues is empty"):
        plot_label_issues(images, [])
    with pytest.raises(ValueError, match="has image 5, but X has only 2"):
        plot_label_issues(images[:2], rows)
    with pytest.raises(ValueError, match="plot_label_issues expected images"):
        plot_label_issues(images[..., 0, 0], rows)
    with pytest.raises(ValueError, match="'n_images' parameter"):
        plot_label_issues(images, rows, n_images=0)
