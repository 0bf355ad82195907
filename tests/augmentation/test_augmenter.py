"""The transformer: what scikit-learn's common checks ask, for images."""

import pickle
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skwbc import AugmentedImages, ImageAugmenter

RANDOM = {
    "rotation_range": 180,
    "width_shift_range": 0.1,
    "height_shift_range": 2,
    "zoom_range": (0.9, 1.2),
    "horizontal_flip": True,
    "vertical_flip": True,
}


def test_transform_standardises_and_nothing_else(noise):
    byte = (noise * 255).astype(np.uint8)
    augmenter = ImageAugmenter(
        rescale=1 / 255, samplewise_center=True, random_state=0, **RANDOM
    )
    before = byte.copy()
    out = augmenter.fit(byte).transform(byte)
    expected = byte.astype("float32") / 255
    expected -= expected.mean(axis=(1, 2, 3), keepdims=True)
    assert out.dtype == np.float32
    assert_allclose(out, expected, atol=1e-6)
    assert_array_equal(byte, before)
    assert_array_equal(out, augmenter.transform(byte))


def test_without_a_random_option_fit_transform_is_transform(noise):
    augmenter = ImageAugmenter(rescale=0.5, samplewise_center=True)
    out = augmenter.fit_transform(noise)
    assert isinstance(out, np.ndarray)
    assert_array_equal(out, augmenter.transform(noise))


class TestAugmentedImages:
    @pytest.fixture
    def augmented(self, noise):
        return ImageAugmenter(random_state=0, **RANDOM).fit_transform(noise)

    def test_it_looks_like_an_array(self, augmented, noise):
        assert isinstance(augmented, AugmentedImages)
        assert augmented.shape == noise.shape
        assert augmented.ndim == 4
        assert augmented.dtype == np.float32
        assert len(augmented) == len(noise)
        assert "6, 13, 10, 3" in repr(augmented)
        assert np.asarray(augmented).shape == noise.shape
        assert np.asarray(augmented, dtype="float64").dtype == np.float64

    def test_draws_differ_and_seeds_repeat(self, augmented, noise):
        rng = np.random.default_rng(0)
        first, second = augmented.draw(range(6), rng), augmented.draw(range(6), rng)
        assert not np.allclose(first, second)
        assert not np.allclose(first, noise)
        again = augmented.draw(range(6), np.random.default_rng(0))
        assert_array_equal(first, again)
        assert_array_equal(augmented.draw([4, 1], 7), augmented.draw([4, 1], 7))

    def test_as_an_array_it_is_one_draw(self, augmented, noise):
        whole = np.asarray(augmented)
        assert_array_equal(whole, np.asarray(augmented))
        same = ImageAugmenter(random_state=0, **RANDOM).fit_transform(noise)
        assert_array_equal(whole, np.asarray(same))
        other = ImageAugmenter(random_state=1, **RANDOM).fit_transform(noise)
        assert not np.allclose(whole, np.asarray(other))

    @pytest.mark.parametrize(
        "key",
        [
            slice(1, 5, 2),
            [3, 0, 3],
            np.array([True, False] * 3),
            (np.array([2, 5]), ...),
        ],
        ids=str,
    )
    def test_a_selection_stays_lazy(self, augmented, key):
        selected = augmented[key]
        assert isinstance(selected, AugmentedImages)
        assert_array_equal(np.asarray(selected), np.asarray(augmented)[key])

    def test_one_image(self, augmented):
        assert_array_equal(augmented[-2], np.asarray(augmented)[4])
        with pytest.raises(IndexError):
            augmented[6]
        with pytest.raises(IndexError, match="first axis only"):
            augmented[0, 0]

    def test_pickled_and_in_threads_it_draws_the_same(self, augmented):
        expected = augmented.draw(range(6), 3)
        loaded = pickle.loads(pickle.dumps(augmented))
        assert_array_equal(loaded.draw(range(6), 3), expected)
        drawn = {}
        threads = [
            threading.Thread(
                target=lambda k=k: drawn.update({k: augmented.draw(range(6), 3)})
            )
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for images in drawn.values():
            assert_array_equal(images, expected)
        assert len(drawn) == 8

    def test_other_consumers_get_one_draw(self, noise):
        flatten = FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1))
        augmenter = ImageAugmenter(random_state=0, **RANDOM)
        pipeline = make_pipeline(augmenter, flatten, LogisticRegression())
        assert pipeline.fit(noise, [0, 1] * 3).predict(noise).shape == (6,)

    def test_global_numpy_state_is_left_alone(self, noise):
        before = np.random.get_state()[1].copy()
        augmented = ImageAugmenter(**RANDOM).fit_transform(noise)
        augmented.draw([0], 0)
        np.asarray(augmented)
        assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype("float64"),
        lambda X: (X * 255).astype("uint8"),
        lambda X: (X * 65535).astype("uint16"),
        lambda X: X > 0.5,
        lambda X: X.tolist(),
        lambda X: np.asfortranarray(X),
        lambda X: X[:, ::2, ::-1],
        lambda X: X[..., :1],
    ],
    ids=["float64", "uint8", "uint16", "bool", "list", "fortran", "view", "grey"],
)
def test_kinds_of_input(noise, convert):
    X = convert(noise)
    if isinstance(X, np.ndarray):
        X.setflags(write=False)
    augmenter = ImageAugmenter(random_state=0, **RANDOM)
    drawn = augmenter.fit_transform(X).draw(range(6), 0)
    assert drawn.dtype == np.float32
    assert drawn.shape == np.shape(X)
    assert_allclose(augmenter.transform(X), np.asarray(X, dtype="float32"))


def test_a_memory_map_is_not_loaded(tmp_path, noise):
    np.save(tmp_path / "x.npy", noise)
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    augmented = ImageAugmenter(random_state=0, **RANDOM).fit_transform(X)
    assert augmented._images is X


def test_clone_pickle_and_not_fitted(noise):
    augmenter = ImageAugmenter(random_state=0, samplewise_center=True, **RANDOM)
    with pytest.raises(NotFittedError):
        augmenter.transform(noise)
    assert augmenter.fit(noise) is augmenter
    assert augmenter.image_shape_ == (13, 10, 3)
    with pytest.raises(NotFittedError):
        clone(augmenter).transform(noise)
    loaded = pickle.loads(pickle.dumps(augmenter))
    assert_array_equal(loaded.transform(noise), augmenter.transform(noise))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 8, 8)), "without a channel axis pass X"),
        (np.zeros((5, 64)), "expected images of shape"),
        (np.zeros((0, 8, 8, 3)), "0 sample"),
        (np.zeros((2, 0, 8, 3)), "1 or more"),
        (np.full((2, 8, 8, 3), np.nan), "NaN or infinity"),
        (np.full((2, 8, 8, 3), np.inf), "NaN or infinity"),
        (np.zeros((2, 8, 8, 3), object), "numeric data type"),
        (np.full((2, 8, 8, 3), "a"), "numeric data type"),
        (np.zeros((2, 8, 8, 3), complex), "numeric data type"),
        ([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))], "all have one shape"),
    ],
)
def test_wrong_images(X, message):
    augmenter = ImageAugmenter()
    with pytest.raises(ValueError, match=message):
        augmenter.fit_transform(X)
    with pytest.raises(ValueError, match=message):
        np.asarray(ImageAugmenter(rotation_range=9).fit_transform(X))


def test_another_size_than_fitted(noise):
    augmenter = ImageAugmenter().fit(noise)
    with pytest.raises(ValueError, match=r"fitted on images of shape \(13, 10, 3\)"):
        augmenter.transform(noise[:, :10])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rotation_range": -1}, "The 'rotation_range' parameter"),
        ({"rotation_range": "90"}, "The 'rotation_range' parameter"),
        ({"width_shift_range": -0.1}, "The 'width_shift_range' parameter"),
        ({"zoom_range": 1.5}, "The 'zoom_range' parameter"),
        ({"zoom_range": (1.2, 0.8)}, "zoom_range=.1.2, 0.8.: expected"),
        ({"zoom_range": (0.0, 1.0)}, "zoom_range"),
        ({"zoom_range": (0.8, 1.0, 1.2)}, "zoom_range"),
        ({"zoom_range": ("a", "b")}, "zoom_range"),
        ({"fill_mode": "mirror"}, "The 'fill_mode' parameter"),
        ({"rescale": 0}, "The 'rescale' parameter"),
        ({"horizontal_flip": "yes"}, "The 'horizontal_flip' parameter"),
        ({"random_state": "seed"}, "The 'random_state' parameter"),
    ],
)
def test_wrong_parameters(noise, params, message):
    with pytest.raises(ValueError, match=message):
        ImageAugmenter(**params).fit(noise)
