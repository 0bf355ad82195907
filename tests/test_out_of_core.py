"""Images are read in batches: nothing in the package copies all of them at once."""

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skwbc import CNNClassifier, FlattenImages, ImageAugmenter, KFoldEnsembleClassifier
from skwbc.cnn._batches import Batches
from skwbc.datasets import (
    ImageFiles,
    load_image_folder,
    make_blood_cells,
    save_image_folder,
)

# A network evaluates and predicts 64 images at a time, and is trained on fewer.
MOST_AT_A_TIME = 64


class Watched:
    """Records how many images are read at a time."""

    most = 0

    def __getitem__(self, key):
        out = super().__getitem__(key)
        if isinstance(out, np.ndarray) and out.ndim == 4:
            Watched.most = max(Watched.most, len(out))
        return out


class WatchedArray(Watched, np.ndarray):
    """An array in memory."""


class WatchedMap(Watched, np.memmap):
    """A memory map."""


class WatchedFiles(ImageFiles):
    """Files."""

    def _read(self, rows):
        Watched.most = max(Watched.most, len(rows))
        return super()._read(rows)


@pytest.fixture(scope="module")
def many():
    """150 cells of three classes. Each half is more than one batch in every step."""
    return make_blood_cells(50, image_size=(76, 76), random_state=0)


@pytest.fixture(params=["array", "memory map", "files"])
def images(request, many, tmp_path):
    X, y = many
    Watched.most = 0
    if request.param == "array":
        return X.view(WatchedArray)
    if request.param == "memory map":
        np.save(tmp_path / "x.npy", X)
        return np.load(tmp_path / "x.npy", mmap_mode="r").view(WatchedMap)
    return WatchedFiles(save_image_folder(X, y, tmp_path), (76, 76))


def make():
    augmenter = ImageAugmenter(
        rotation_range=180,
        featurewise_std_normalization=True,
        samplewise_center=True,
        random_state=0,
    )
    cnn = CNNClassifier(epochs=1, batch_size=8, model__filters=(4, 8), random_state=0)
    return make_pipeline(augmenter, cnn)


@pytest.fixture(scope="module")
def expected(many):
    X, y = many
    ensemble = KFoldEnsembleClassifier(make(), cv=2, random_state=0).fit(X, y)
    return ensemble.oof_proba_, ensemble.predict_proba(X)


def test_the_ensemble_reads_a_batch_at_a_time(images, many, expected):
    ensemble = KFoldEnsembleClassifier(make(), cv=2, random_state=0)
    with config_context(working_memory=MOST_AT_A_TIME * 76 * 76 * 3 * 16 / 2**20):
        ensemble.fit(images, many[1])
        proba = ensemble.predict_proba(images)
    assert 0 < Watched.most <= MOST_AT_A_TIME
    assert_allclose(ensemble.oof_proba_, expected[0], atol=1e-5)
    assert_allclose(proba, expected[1], atol=1e-5)


def test_zero_weights_copy_nothing(images, many):
    weights = np.ones(150)
    weights[::4] = 0
    cnn = CNNClassifier(epochs=1, batch_size=8, model__filters=(4,), random_state=0)
    cnn.fit(images, many[1], weights)
    assert 0 < Watched.most <= MOST_AT_A_TIME


def test_scikit_learn_takes_lazy_images(images, many):
    X, y = many
    X_train, X_test, *_ = train_test_split(images, y, stratify=y, random_state=0)
    assert type(X_test) is type(images)
    expected = train_test_split(X, y, stratify=y, random_state=0)
    assert_array_equal(X_train, expected[0])
    bayes = make_pipeline(FlattenImages(), GaussianNB())
    scores = cross_val_score(bayes, images, y, cv=2)
    assert_array_equal(scores, cross_val_score(bayes, X, y, cv=2))


def test_a_pipeline_with_steps_that_need_arrays_gets_arrays(cells):
    X, y = cells.images, cells.target
    for flatten in (
        FlattenImages(),
        FunctionTransformer(lambda X: X.reshape(len(X), -1)),
        FunctionTransformer(lambda X: X.swapaxes(1, 2).reshape(len(X), -1)),
    ):
        pipeline = make_pipeline(
            ImageAugmenter(rescale=1 / 255), flatten, LogisticRegression(C=1e-3)
        )
        ensemble = KFoldEnsembleClassifier(pipeline, cv=2, random_state=0).fit(X, y)
        member, (train, _) = ensemble.estimators_[0], ensemble.splits_[0]
        alone = clone(member).fit(X[train], y[train])
        assert_array_equal(member.predict_proba(X), alone.predict_proba(X))


class TestLazyFolder:
    @pytest.fixture
    def folder(self, cells, tmp_path):
        save_image_folder(cells.images, cells.target, tmp_path / "cells")
        return tmp_path / "cells"

    def test_it_has_the_images_of_the_folder(self, folder):
        eager = load_image_folder(folder, image_size=(16, 20))
        lazy = load_image_folder(folder, image_size=(16, 20), lazy=True)
        assert isinstance(lazy.images, ImageFiles)
        assert lazy.images.shape == (24, 16, 20, 3)
        assert lazy.images.dtype == np.uint8
        assert_array_equal(lazy.images, eager.images)
        assert_array_equal(lazy.target, eager.target)
        assert lazy.filenames == lazy.images.filenames == eager.filenames
        assert lazy.images[[3, 1]].filenames == [eager.filenames[k] for k in (3, 1)]
        X, _ = load_image_folder(folder, lazy=True, return_X_y=True)
        assert X.shape == (24, 100, 100, 3)

    def test_bad_files_are_reported_before_they_are_read(self, folder):
        bad = folder / "monocyte" / "cell_99.png"
        bad.write_bytes(b"no picture")
        with pytest.raises(ValueError, match=r"1 of 25 images.*\n.*cell_99.png could"):
            load_image_folder(folder, lazy=True)
        with pytest.warns(UserWarning, match="1 of 25 images .* were left out"):
            data = load_image_folder(folder, lazy=True, on_error="warn")
        assert len(data.images) == len(data.target) == 24

    def test_a_file_that_vanishes_is_named(self, folder):
        data = load_image_folder(folder, lazy=True, image_size=(24, 24))
        augmented = ImageAugmenter(rotation_range=9).fit_transform(data.images)
        gone = folder / "neutrophil" / data.filenames[-1].rpartition("/")[2]
        gone.unlink()
        with pytest.raises(FileNotFoundError, match=gone.name):
            augmented.draw([0, 23], 0)


def test_a_batch_is_read_while_the_network_trains_on_the_last_one(many, tmp_path):
    X, y = many
    started = threading.Event()

    class Files(ImageFiles):
        def _read(self, rows):
            if 8 in rows:
                started.set()
            return super()._read(rows)

    files = Files(save_image_folder(X[:16], y[:16], tmp_path), (76, 76))
    batches = Batches(files, y[:16], None, size=8).in_order()
    first = next(batches)
    assert started.wait(timeout=30)
    assert_array_equal(first.images, X[:8])
    assert_array_equal(next(batches).images, X[8:16])
    assert next(batches, None) is None


def test_a_damaged_file_ends_the_training_and_the_reading(many, tmp_path):
    X, y = many
    files = ImageFiles(save_image_folder(X[:16], y[:16], tmp_path), (76, 76))
    cnn = CNNClassifier(epochs=1, batch_size=4, model__filters=(4,), random_state=0)
    damaged = Path(files.filenames[9])
    damaged.write_bytes(damaged.read_bytes()[:99])
    n_threads = threading.active_count()
    with pytest.raises(ValueError, match=damaged.name):
        cnn.fit(files, y[:16])
    assert threading.active_count() <= n_threads
