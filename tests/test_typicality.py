"""An ensemble knows which samples are unlike those that it was trained on."""

import json
import warnings

import joblib
import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC

from skwbc import (
    CNNClassifier,
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
    cli,
    make_cell_classifier,
)
from skwbc.augmentation._appearance import compare_appearance
from skwbc.datasets import make_blood_cells, save_image_folder
from skwbc.ensemble._typicality import is_beyond_chance
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.inspection import evaluate
from skwbc.report import write_evaluation_report

UNLIKE = "are unlike the training"
SIDE = (32, 32)


def unlike_images(kind, images):
    rng = np.random.default_rng(0)
    return {
        "noise": lambda: rng.integers(0, 256, images.shape).astype(np.uint8),
        "black": lambda: np.zeros_like(images),
        "grey": lambda: np.repeat(images[..., 1:2], 3, axis=-1),
        "mask": lambda: (
            ((images.mean(-1, keepdims=True) > 128) * 255).astype(np.uint8)
            * np.ones(3, np.uint8)
        ),
    }[kind]()


@pytest.fixture(scope="module")
def new_cells():
    return make_blood_cells(6, image_size=SIDE, random_state=1)


@pytest.fixture(scope="module")
def recipe():
    X, y = make_blood_cells(12, image_size=SIDE, random_state=0)
    return make_cell_classifier(cv=3, epochs=2, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def onnx(recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    to_onnx(recipe, path)
    return OnnxClassifier(path)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_classification(2300, 30, n_informative=8, random_state=0)
    return train_test_split(X, y, train_size=300, random_state=0)


MEMBERS = [
    LogisticRegression(max_iter=2000),
    make_pipeline(StandardScaler(), LogisticRegression()),
    HistGradientBoostingClassifier(max_iter=3),
    KNeighborsClassifier(),
    SoftVotingClassifier(
        [("a", GaussianNB()), ("b", make_pipeline(StandardScaler(), GaussianNB()))]
    ),
    KFoldEnsembleClassifier(GaussianNB(), cv=2, random_state=0),
]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("cv", [4, RepeatedStratifiedKFold(n_splits=4, n_repeats=2)])
def test_p_values_of_tables(blobs, member, cv):
    """About 5 % of new samples are below 0.05, and all that come from elsewhere."""
    X, X_new, y, _ = blobs
    ensemble = KFoldEnsembleClassifier(member, cv=cv, random_state=0).fit(X, y)
    p = ensemble.typicality(X_new)
    assert 0.02 < np.mean(p < 0.05) < 0.09
    assert 0.4 < np.mean(p < 0.5) < 0.6
    assert p.min() >= 1 / 301
    assert p.max() <= 1
    strange = ensemble.typicality(X_new[:20] + 12)
    np.testing.assert_allclose(strange, 1 / 301)
    # Each training sample is compared with the other held-out ones.
    own = ensemble.oof_typicality_
    assert own.shape == (300,)
    assert np.mean(own < 0.05) == pytest.approx(0.05, abs=0.004)
    scores = ensemble.score_samples(X_new)
    assert -1 < np.median(scores) < 0
    assert ensemble.score_samples(X_new[:20] + 12).max() < -2
    assert np.corrcoef(scores, p)[0, 1] > 0.7


def test_all_rows_or_some(blobs):
    X, X_new, y, _ = blobs
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0).fit(X, y)
    p = ensemble.typicality(X_new)
    np.testing.assert_array_equal(ensemble.typicality(X_new[50:53]), p[50:53])
    pandas = pytest.importorskip("pandas")
    named = KFoldEnsembleClassifier(GaussianNB(), random_state=0)
    named.fit(pandas.DataFrame(X).add_prefix("x"), y)
    frame = pandas.DataFrame(X_new).add_prefix("x")
    np.testing.assert_array_equal(named.typicality(frame), p)


def test_tables_are_not_watched(blobs):
    X, _, y, _ = blobs
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0).fit(X, y)
    ensemble.predict(X + 100)
    assert evaluate(ensemble, X + 100, y)["typicality"] is None


def test_missing_values_are_strange():
    X, y = load_iris(return_X_y=True)
    boosting = HistGradientBoostingClassifier(max_iter=3)
    ensemble = KFoldEnsembleClassifier(boosting, random_state=0).fit(X, y)
    X_new = X[:2].copy()
    X_new[0, 1] = np.nan
    p = ensemble.typicality(X_new)
    assert p[0] == 1 / 151
    assert p[1] > 0.05
    X_with_nan = X.copy()
    X_with_nan[::9, 2] = np.nan
    assert not hasattr(ensemble.fit(X_with_nan, y), "typicality")
    assert not hasattr(ensemble, "oof_typicality_")


def test_constant_and_few_columns():
    """Columns without spread do not divide by zero; they count where they differ."""
    rng = np.random.default_rng(0)
    X, y = np.column_stack([rng.normal(size=80), np.ones(80)]), np.arange(80) % 2
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0).fit(X, y)
    p = ensemble.typicality([[0.0, 1.0], [0.0, 5.0]])
    assert p[0] > 0.3
    assert p[1] == 1 / 81


@pytest.mark.parametrize("kind", ["text", "kernel", "from_cross_validate"])
def test_members_without_a_space(kind):
    X, y = load_iris(return_X_y=True)
    if kind == "text":
        X = np.array(["one two", "two three", "three"] * 50)
        member = make_pipeline(CountVectorizer(), LogisticRegression())
        ensemble = KFoldEnsembleClassifier(member).fit(X, y)
    elif kind == "kernel":
        X = X @ X.T
        svc = SVC(kernel="precomputed", probability=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            ensemble = KFoldEnsembleClassifier(svc).fit(X, y)
    else:
        results = cross_validate(GaussianNB(), X, y, return_estimator=True)
        ensemble = KFoldEnsembleClassifier.from_cross_validate(results)
    ensemble.predict(X)
    for name in ("typicality", "score_samples"):
        assert not hasattr(ensemble, name)
        with pytest.raises(AttributeError, match=name):
            getattr(ensemble, name)
    if kind == "text":
        with pytest.raises(ValueError, match="typicality"):
            ensemble.predict_set(X, empty_if_unlike=True)


@pytest.mark.parametrize("n_training", [19, 20, 60, 400])
def test_more_than_by_chance(n_training):
    """The beta-binomial distribution is that of SciPy."""
    p = np.arange(1, n_training + 2) / (n_training + 1)
    possible = int((p < 0.05).sum())
    for n_unlike, n in [(1, 1), (2, 2), (2, 40), (9, 60), (31, 34), (80, 1000)]:
        chance = 1.0
        if possible:
            distribution = betabinom(n, possible, n_training + 1 - possible)
            chance = distribution.sf(n_unlike - 1)
        assert is_beyond_chance(n_unlike, n, n_training) == (chance < 0.01)


@pytest.mark.parametrize("kind", ["noise", "black", "mask", "grey"])
def test_strange_images(recipe, onnx, new_cells, kind):
    images = unlike_images(kind, new_cells[0])
    for model in (recipe, onnx):
        with pytest.warns(UserWarning, match=UNLIKE) as caught:
            model.predict(images)
        assert len(caught) == 1
        np.testing.assert_allclose(model.typicality(images), 1 / 37)
        for predict in (model.predict_proba, model.predict_proba_members):
            with pytest.warns(UserWarning, match=f"18 of 18 samples {UNLIKE}"):
                predict(images)
        with pytest.warns(UserWarning, match=UNLIKE):
            assert not model.predict_set(images, empty_if_unlike=True).any()
        with pytest.warns(UserWarning, match=UNLIKE):
            assert model.predict_set(images, 0.99).any()


def test_images_of_the_same_kind(recipe, onnx, new_cells, tmp_path):
    images, target = new_cells
    recipe.predict(images)  # A warning would be an error.
    p = recipe.typicality(images)
    assert np.mean(p < 0.05) < 0.3
    np.testing.assert_allclose(onnx.typicality(images), p)
    joblib.dump(recipe, tmp_path / "m.joblib")
    again = joblib.load(tmp_path / "m.joblib")
    np.testing.assert_array_equal(again.typicality(images), p)
    np.testing.assert_array_equal(again.oof_typicality_, recipe.oof_typicality_)
    assert not hasattr(clone(recipe), "oof_typicality_")
    scores = evaluate(recipe, images, target)["typicality"]
    assert scores["n_unlike"] == np.sum(p < 0.05)
    assert scores["n_training"] == 36


def test_only_frozen_networks_and_the_look_count(recipe, new_cells):
    """The recipe "features", which trains no network, has the same p-values."""
    X, y = make_blood_cells(12, image_size=SIDE, random_state=0)
    features = make_cell_classifier("features", cv=3, colours=False, random_state=0)
    features.fit(X, y)
    for images in (new_cells[0], new_cells[0][..., ::-1]):
        p = features.typicality(images)
        np.testing.assert_allclose(recipe.typicality(images), p)
    assert (p < 0.05).mean() > 0.7  # red and blue are exchanged
    # Its features are in single precision; a warning of the log loss would be an error.
    assert evaluate(features, *new_cells)["log_loss"] < 2


def test_directions_are_compared_as_they_are():
    """Of rows of unit length only the angle counts, also of features that hardly vary.

    Standardised, the noise of the other features would hide the new direction.
    """
    rng = np.random.default_rng(0)
    X = 0.01 * rng.normal(size=(200, 300))
    X[:, 0] = 1
    y = np.tile([0, 1], 100)
    new = X[:50] + 0.02 * rng.normal(size=(50, 300))
    new[:, 1] += 0.5
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0)
    unit = Normalizer().transform
    ensemble.fit(unit(X[50:]), y[50:])
    np.testing.assert_allclose(ensemble.typicality(unit(new)), 1 / 151)
    assert np.mean(ensemble.typicality(unit(X[:50])) < 0.05) < 0.15


@pytest.mark.parametrize("length", [0, 2])
def test_a_row_that_is_no_direction_stops_no_fit(length):
    X = Normalizer().transform(np.random.default_rng(0).normal(size=(60, 5)))
    X[3] *= length
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0)
    ensemble.fit(X, np.tile([0, 1], 30))
    assert ensemble.predict_proba(X).shape == (60, 2)
    assert hasattr(ensemble, "typicality") == (length == 0)


def test_an_ensemble_of_ensembles_of_networks(new_cells):
    X, y = make_blood_cells(10, image_size=(16, 16), random_state=0)
    cnn = CNNClassifier(epochs=1, model__filters=(4, 8), random_state=0)
    pipeline = make_pipeline(ImageAugmenter(rescale=1 / 255), cnn)
    inner = KFoldEnsembleClassifier(pipeline, cv=2, random_state=0)
    outer = KFoldEnsembleClassifier(inner, cv=2, random_state=0).fit(X, y)
    assert (outer.typicality(X) > 0.05).mean() > 0.8
    with pytest.warns(UserWarning, match=UNLIKE) as caught:
        outer.predict(np.zeros_like(X))
    assert len(caught) == 1


@pytest.mark.parametrize(
    "member",
    [
        make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression()),
        make_pipeline(FlattenImages(), LogisticRegression(max_iter=5000)),
    ],
    ids=["colours", "pixels"],
)
def test_other_classifiers_of_images(member, new_cells):
    X, y = make_blood_cells(12, image_size=SIDE, random_state=0)
    ensemble = KFoldEnsembleClassifier(member, random_state=0).fit(X, y)
    ensemble.predict(new_cells[0])
    with pytest.warns(UserWarning, match=UNLIKE):
        ensemble.predict(new_cells[0][..., ::-1].copy())


def test_too_few_training_images(tmp_path, capsys):
    X, y = make_blood_cells(5, image_size=SIDE, random_state=0)
    recipe = make_cell_classifier(cv=2, epochs=1, random_state=0).fit(X, y)
    assert recipe.typicality(np.zeros_like(X)).min() == 1 / 16
    recipe.predict(np.zeros_like(X))
    joblib.dump(recipe, tmp_path / "m.joblib")
    save_image_folder(X, y, tmp_path / "cells")
    capsys.readouterr()
    assert cli.main(["predict", str(tmp_path / "m.joblib"), str(tmp_path)]) == 0
    assert "15 training images are too few to tell" in capsys.readouterr().out
    write_evaluation_report(tmp_path / "r.html", recipe, X, y)
    assert "too few to tell" in (tmp_path / "r.html").read_text()


def test_the_command_and_the_report_say_it(recipe, new_cells, tmp_path, capsys):
    path = tmp_path / "m.joblib"
    joblib.dump(recipe, path)
    images, target = new_cells
    save_image_folder((images * 0.3).astype(np.uint8), target, tmp_path / "dark")
    capsys.readouterr()

    assert cli.main(["predict", str(path), str(tmp_path / "dark")]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert output.count("unlike 0.0") == 18
    *_, last = output.strip().splitlines()
    assert last.startswith(f"18 of 18 images {UNLIKE} images (p < 0.05; less than 1")
    assert "darker (brightness 0." in last
    assert "few labelled ones of them, or without colours (skwbc train --no-col" in last

    assert cli.main(["predict", str(path), str(tmp_path / "dark"), "--json"]) == 0
    output, errors = capsys.readouterr()
    assert all(row["typicality"] == 1 / 37 for row in json.loads(output))
    assert errors.startswith("skwbc: warning: 18 of 18 images")

    report = tmp_path / "r.html"
    command = ["evaluate", str(path), str(tmp_path / "dark"), "--report", str(report)]
    assert cli.main(command) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert output.startswith("18 of 18 images")
    assert "accuracy on them" in output
    page = report.read_text()
    assert page.index(f"18 of 18 images {UNLIKE}") < page.index("Confusion matrix")
    assert "darker (brightness" in page


def test_members_that_were_exchanged(blobs):
    """They are left out: what is known of the training samples is of other members."""
    X, X_new, y, _ = blobs
    ensemble = KFoldEnsembleClassifier(GaussianNB(), random_state=0).fit(X, y)
    flat = X.reshape(300, 6, 5, 1)
    images = make_pipeline(FlattenImages(), GaussianNB())
    watching = KFoldEnsembleClassifier(images, random_state=0).fit(flat, y)
    other = make_pipeline(FlattenImages(), StandardScaler(), GaussianNB()).fit(flat, y)
    p = watching.typicality(flat)
    watching.estimators_[1] = other  # It has as many features, and may stay.
    assert watching.typicality(flat).shape == p.shape
    others = [GaussianNB().fit(X[:, :2], y) for _ in ensemble.estimators_]
    ensemble.estimators_ = others
    with pytest.raises(ValueError, match="exchanged after it was fitted"):
        ensemble.typicality(X_new[:, :2])
    ensemble.predict(X_new[:, :2])


def test_exchanged_members_are_left_out_of_onnx_files(blobs, tmp_path):
    X, X_new, y, _ = blobs
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    ensemble = KFoldEnsembleClassifier(scaled, random_state=0).fit(X, y)
    chosen = make_pipeline(SelectKBest(k=5), LogisticRegression()).fit(X, y)
    ensemble.estimators_[0] = chosen
    to_onnx(ensemble, tmp_path / "m.onnx")
    p = OnnxClassifier(tmp_path / "m.onnx").typicality(X_new)
    np.testing.assert_allclose(p, ensemble.typicality(X_new), atol=2 / 300)
    ensemble.estimators_ = [chosen] * 5
    to_onnx(ensemble, tmp_path / "m.onnx")
    with pytest.raises(AttributeError, match="no p-values"):
        OnnxClassifier(tmp_path / "m.onnx").typicality(X_new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images[..., ::-1], "as if red and blue were exchanged"),
        (
            lambda images: np.repeat(images.mean(3, keepdims=True), 3, 3),
            "without colour",
        ),
        (lambda images: images * 0.4, "darker (brightness 0.27"),
        (lambda images: 255 - (255 - images) * 0.2, "brighter"),
        (lambda images: uniform_filter(images, (0, 7, 7, 0)), "blurred"),
    ],
)
def test_the_difference_in_words(change, words):
    images = make_blood_cells(20, image_size=(64, 64), random_state=0)[0]
    # The synthetic cells differ more in colour than those of one laboratory.
    images = images[np.argsort((images[..., 0] - 1.0 * images[..., 2]).mean((1, 2)))]
    images = images[-40:]
    augmenter = ImageAugmenter().fit(images)
    difference = compare_appearance(augmenter._appearance, change(images.astype(float)))
    assert words in difference
    assert compare_appearance(augmenter._appearance, images) == ""
