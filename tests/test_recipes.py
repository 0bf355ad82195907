"""The recipes, as users get them."""

import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)

from skwbc import (
    AugmentedImages,
    CNNClassifier,
    ImageAugmenter,
    build_article_cnn,
    load_model,
    make_cell_classifier,
    save_model,
)
from skwbc.datasets import make_blood_cells
from skwbc.ensemble._parts import expected_image_shape
from skwbc.recipes import RECIPES


@pytest.fixture(scope="module")
def quick():
    """The default recipe with a network that is small enough for tests."""
    classifier = make_cell_classifier(cv=2, epochs=2, random_state=0)
    return classifier.set_params(
        estimator__network__cnn__model__filters=(4, 8),
        estimator__network__cnn__model__weights=None,
        estimator__network__cnn__batch_size=8,
    )


@pytest.fixture(scope="module")
def fitted(quick, cells):
    return clone(quick).fit(cells.images, cells.target)


def test_article_recipe_follows_the_article_exactly():
    article = make_cell_classifier("article")
    assert isinstance(article.cv, KFold)
    assert article.cv.shuffle
    assert article.cv.n_splits == 5
    augmenter, cnn = article.estimator.named_steps.values()
    expected = ImageAugmenter().get_params() | {
        "rescale": 1 / 255,
        "samplewise_center": True,
        "rotation_range": 180,
        "horizontal_flip": True,
        "fill_mode": "nearest",
    }
    assert augmenter.get_params() == expected
    assert cnn.model is build_article_cnn
    assert cnn.optimizer == "rmsprop"
    assert cnn.loss == "categorical_crossentropy"
    assert (cnn.epochs, cnn.batch_size, cnn.patience) == (50, 32, 10)
    assert (cnn.monitor, cnn.learning_rate_schedule) == ("val_loss", "constant")


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("recipe", RECIPES)
def test_groups_stay_together(cells, recipe, routing):
    groups = np.arange(24) // 3
    made = make_cell_classifier(recipe, cv=3, random_state=0)
    made.set_params(estimator=DummyClassifier())
    with config_context(enable_metadata_routing=routing):
        made.fit(cells.images, cells.target, groups=groups)
    for train, held_out in made.splits_:
        assert not set(groups[train]) & set(groups[held_out])


def test_folds_of_the_article_are_those_of_kfold(cells):
    made = make_cell_classifier("article", cv=4, random_state=0)
    made.set_params(estimator=DummyClassifier())
    made.fit(cells.images, cells.target)
    plain = clone(made).set_params(cv=KFold(4, shuffle=True))
    plain.fit(cells.images, cells.target)
    for split, expected in zip(made.splits_, plain.splits_, strict=True):
        assert_array_equal(split[1], expected[1])
    again = pickle.loads(pickle.dumps(made.cv))
    assert repr(again) == "ShuffledKFold(n_splits=4, random_state=None)"


def test_parameters_reach_the_parts():
    made = make_cell_classifier(cv=3, epochs=7, n_jobs=2, random_state=1, verbose=1)
    assert list(made.estimator.named_estimators) == ["described", "network"]
    assert list(made.estimator.named_estimators["network"].named_steps) == [
        "augmenter",
        "cnn",
    ]
    assert (made.cv, made.n_jobs, made.random_state, made.verbose) == (3, 2, 1, 1)
    assert made.get_params()["estimator__network__cnn__epochs"] == 7
    assert is_classifier(made)
    with pytest.raises(ValueError, match="The 'recipe' parameter"):
        make_cell_classifier("best")
    with pytest.raises(ValueError, match="The 'epochs' parameter"):
        make_cell_classifier(epochs=0)
    with pytest.raises(ValueError, match="'features' trains no network"):
        make_cell_classifier("features", epochs=3)
    with pytest.raises(ValueError, match="'article' has no colours"):
        make_cell_classifier("article", colours=False)
    plain = make_cell_classifier("features", colours=False).get_params()
    assert plain["estimator__features__colours"] == "drop"


def test_members_get_their_fold_unaugmented(monkeypatch, quick, cells):
    calls = []
    fit = CNNClassifier.fit

    def spy(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
        calls.append((X, X_val, y_val))
        return fit(self, X, y, sample_weight, X_val=X_val, y_val=y_val)

    monkeypatch.setattr(CNNClassifier, "fit", spy)
    ensemble = clone(quick).fit(cells.images, cells.target)
    for (X, X_val, y_val), (train, held_out), member in zip(
        calls, ensemble.splits_, ensemble.estimators_, strict=True
    ):
        assert isinstance(X, AugmentedImages)
        assert len(X) == len(train)
        assert_array_equal(y_val, cells.target[held_out])
        network = member.named_estimators_["network"]
        standardised = network[0].transform(cells.images[held_out])
        assert_array_equal(X_val, standardised)
        assert "val_loss" in network[-1].history_


def test_reproducible(quick, fitted, cells):
    again = clone(quick).fit(cells.images, cells.target)
    proba = fitted.predict_proba(cells.images)
    assert_array_equal(again.predict_proba(cells.images), proba)
    assert_array_equal(again.oof_proba_, fitted.oof_proba_)
    other = clone(quick).set_params(random_state=1).fit(cells.images, cells.target)
    assert not np.allclose(other.predict_proba(cells.images), proba)


def test_two_processes_give_what_one_gives(quick, fitted, cells):
    parallel = clone(quick).set_params(n_jobs=2).fit(cells.images, cells.target)
    np.testing.assert_allclose(
        parallel.predict_proba(cells.images),
        fitted.predict_proba(cells.images),
        atol=1e-3,
    )


def test_model_selection_of_scikit_learn(quick, cells):
    X, y = cells.images, cells.target
    folds = list(StratifiedKFold(2).split(X, y))
    scores = cross_val_score(quick, X, y, cv=folds)
    proba = cross_val_predict(quick, X, y, cv=folds, method="predict_proba")
    for (train, test), score in zip(folds, scores, strict=True):
        alone = clone(quick).fit(X[train], y[train])
        assert_array_equal(proba[test], alone.predict_proba(X[test]))
        assert score == alone.score(X[test], y[test])
    name = "estimator__network__cnn__epochs"
    search = GridSearchCV(quick, {name: [1, 3]}, cv=folds[:1], scoring=longer)
    best = search.fit(X, y).best_estimator_
    assert search.best_params_ == {name: 3}
    network = best.estimators_[0].named_estimators_["network"][-1]
    assert len(network.history_["loss"]) == 3


def longer(ensemble, X, y):
    """Score the number of epochs."""
    network = ensemble.estimators_[0].named_estimators_["network"][-1]
    return len(network.history_["loss"])


@pytest.mark.parametrize("channels", [1, 4])
def test_images_that_are_not_rgb(quick, cells, channels):
    X = cells.images[..., [0, 1, 2, 0][:channels]]
    ensemble = clone(quick).fit(X, cells.target)
    assert expected_image_shape(ensemble) == (24, 24, channels)
    network = ensemble.estimators_[0].named_estimators_["network"][-1]
    assert network.model_.input_shape == (None, 24, 24, channels)


def test_the_pretrained_weights_fit_grey_and_small_images(cells):
    """The first convolution is adapted to one channel, the others are unchanged."""
    ensemble = make_cell_classifier(cv=2, epochs=1, random_state=0)
    networks = []
    for channels in (1, 3):
        X = cells.images[..., :channels]
        # No step of the optimizer changes the weights.
        ensemble.set_params(estimator__network__cnn__optimizer__learning_rate=0.0)
        ensemble.fit(X, cells.target)
        networks.append(ensemble.estimators_[0].named_estimators_["network"][-1].model_)
    kernels = [
        [layer.kernel.numpy() for layer in network.layers if hasattr(layer, "kernel")]
        for network in networks
    ]
    assert [kernel.shape[2] for kernel, *_ in kernels] == [1, 3]
    for grey, colour in zip(kernels[0][1:-1], kernels[1][1:-1], strict=True):
        assert_array_equal(grey, colour)


def test_features_are_those_of_a_frozen_network(tmp_path):
    X, y = make_blood_cells(8, image_size=(64, 64), random_state=0)
    ensemble = make_cell_classifier("features", cv=4, random_state=0).fit(X, y)
    assert ensemble.oof_score_ > 0.8
    path = tmp_path / "images"
    np.memmap(path, np.uint8, "w+", shape=X.shape)[:] = X
    lazy = np.memmap(path, np.uint8, "r", shape=X.shape)
    again = clone(ensemble).fit(lazy, y)
    np.testing.assert_allclose(again.oof_proba_, ensemble.oof_proba_, atol=1e-6)
    # The network, the colours, and both together are spaces.
    assert [len(each) for each in ensemble._typical["references"]] == [3] * 4
    assert ensemble.typicality(255 - X).max() < 0.1 < np.median(ensemble.typicality(X))
    assert expected_image_shape(ensemble) == (64, 64, 3)
    without = clone(ensemble).set_params(estimator__features__colours="drop").fit(X, y)
    assert without.estimators_[0][0].transform(X).shape == (24, 384)


class TestFiles:
    def test_a_model_comes_back_as_it_was(self, fitted, cells, tmp_path):
        save_model(fitted, tmp_path / "m.joblib")
        loaded = load_model(tmp_path / "m.joblib")
        assert_array_equal(
            loaded.predict_proba(cells.images), fitted.predict_proba(cells.images)
        )
        # The frozen networks (930,000 weights) once, two networks of 1,000 weights and
        # their pipelines, but no images.
        assert (tmp_path / "m.joblib").stat().st_size < 4.2e6
        assert expected_image_shape(loaded) == (24, 24, 3)

    def test_a_failed_save_leaves_the_old_model(self, fitted, tmp_path, monkeypatch):
        path = tmp_path / "m.joblib"
        path.write_bytes(b"old")

        def fail(model, file):
            file.write_bytes(b"half")
            raise OSError("no space left")

        monkeypatch.setattr(joblib, "dump", fail)
        with pytest.raises(OSError, match="no space left"):
            save_model(fitted, path)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_files_that_are_not_a_model(self, fitted, tmp_path):
        path = tmp_path / "m.joblib"
        with pytest.raises(FileNotFoundError, match="m.joblib"):
            load_model(path)
        with pytest.raises(IsADirectoryError, match="is a folder"):
            load_model(tmp_path)
        path.write_bytes(b"no pickle")
        with pytest.raises(ValueError, match="could not be read as a model"):
            load_model(path)
        save_model(fitted, path)
        path.write_bytes(path.read_bytes()[:-900])
        with pytest.raises(ValueError, match="could not be read as a model"):
            load_model(path)
        joblib.dump({"a": 1}, path)
        with pytest.raises(ValueError, match="type dict, which is not a fitted"):
            load_model(path)

    def test_a_model_without_a_shape_of_images(self):
        with pytest.raises(ValueError, match="does not record the shape"):
            expected_image_shape(make_cell_classifier().estimator)


@pytest.mark.parametrize(
    ("n_channels", "white"), [(1, 65535), (2, 255), (4, 4095), (6, 255), (6, 65535)]
)
def test_any_number_of_channels_and_bits(quick, cells, n_channels, white):
    six = np.concatenate([cells.images, cells.images[..., ::-1]], axis=-1)
    dtype = np.uint8 if white == 255 else np.uint16
    X = (six[..., :n_channels] * (white / 255)).astype(dtype)
    clf = clone(quick).fit(X, cells.target)
    proba = clf.predict_proba(X)
    assert proba.shape == (len(X), 3)
    assert_allclose(proba.sum(axis=1), 1)
    described, network = clf.estimators_[0].estimators_
    assert network[0].transform(X).max() <= 1
    maps, colours = (each.transform(X) for _, each in described[0].transformer_list)
    assert maps.shape[1] == 384 * n_channels
    assert colours.shape[1] == 8 * n_channels


def test_sample_weights_reach_the_classifiers_of_features(cells):
    clf = make_cell_classifier("features", cv=2, random_state=0)
    weights = np.linspace(0.1, 3, len(cells.target))
    plain, ones, weighted = (
        clone(clf).fit(cells.images, cells.target, sample_weight=each).oof_proba_
        for each in (None, np.ones(len(weights)), weights)
    )
    assert_allclose(ones, plain, atol=1e-6)
    assert np.abs(weighted - plain).max() > 0.01


@pytest.mark.parametrize(
    ("recipe", "given", "meant"),
    [
        ("compact", "epochs", "estimator__network__cnn__epochs"),
        ("article", "estimator__epochs", "estimator__cnn__epochs"),
        ("features", "C", "estimator__linear__logistic__C"),
        ("features", "randomstate", "random_state"),
    ],
)
def test_a_wrong_name_of_a_parameter_is_answered_with_its_path(recipe, given, meant):
    with pytest.raises(ValueError, match="has no parameter") as error:
        make_cell_classifier(recipe).set_params(**{given: 1})
    assert str(error.value) == (
        f"KFoldEnsembleClassifier has no parameter {given!r}; expected {meant}."
    )
