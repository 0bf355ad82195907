"""Lazy images as arrays, in batches, in threads, from disk."""

import pickle
import threading

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skwbc import ImageAugmenter
from skwbc._utils.lazy_arrays import ArrayRows
from skwbc.augmentation import StandardisedImages

RANDOM = {
    "rotation_range": 180,
    "zoom_range": (0.9, 1.2),
    "horizontal_flip": True,
    "random_state": 0,
}


def memory_map(path, X, mode="r"):
    np.save(path / "x.npy", X)
    return np.load(path / "x.npy", mmap_mode=mode)


@pytest.fixture(params=["augmented", "standardised", "rows"])
def lazy(request, noise, tmp_path):
    if request.param == "augmented":
        return ImageAugmenter(**RANDOM).fit_transform(noise)
    if request.param == "rows":
        return ArrayRows(noise, np.arange(6))
    X = memory_map(tmp_path, noise)
    return ImageAugmenter(samplewise_center=True).fit_transform(X)


def test_it_looks_like_an_array(lazy, noise):
    assert lazy.shape == noise.shape
    assert lazy.ndim == 4
    assert lazy.dtype == np.float32
    assert len(lazy) == len(noise)
    assert repr(lazy) == f"{type(lazy).__name__}(shape=(6, 13, 10, 3), dtype=float32)"
    assert np.asarray(lazy).shape == noise.shape
    assert np.asarray(lazy, dtype="float64").dtype == np.float64
    assert_array_equal(lazy.reshape(6, -1), np.asarray(lazy).reshape(6, -1))
    assert_array_equal(np.stack(list(lazy)), np.asarray(lazy))
    with pytest.raises(ValueError, match="always makes a copy"):
        np.asarray(lazy, copy=False)


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 5, 2),
        slice(None, None, -1),
        [3, 0, 3],
        [],
        np.array([-1, 2]),
        np.array([True, False] * 3),
        (np.array([2, 5]), ...),
    ],
    ids=str,
)
def test_a_selection_stays_lazy(lazy, key):
    selected = lazy[key]
    assert type(selected) is type(lazy)
    assert_array_equal(np.asarray(selected), np.asarray(lazy)[key])
    again = selected[::-1]
    assert_array_equal(np.asarray(again), np.asarray(lazy)[key][::-1])


def test_one_image(lazy):
    assert_array_equal(lazy[-2], np.asarray(lazy)[4])
    assert_array_equal(lazy[np.int64(1)], np.asarray(lazy)[1])
    for key in (6, [6], np.array([True]), 1.5, [1.5]):
        with pytest.raises((IndexError, TypeError)):
            lazy[key]
    with pytest.raises(IndexError, match="first axis only"):
        lazy[0, 0]


def test_pickles(lazy):
    loaded = pickle.loads(pickle.dumps(lazy[1:4]))
    assert type(loaded) is type(lazy)
    assert_array_equal(np.asarray(loaded), np.asarray(lazy)[1:4])


class TestAugmentedImages:
    @pytest.fixture
    def augmented(self, noise):
        return ImageAugmenter(**RANDOM).fit_transform(noise)

    def test_draws_differ_and_seeds_repeat(self, augmented, noise):
        rng = np.random.default_rng(0)
        first, second = augmented.draw(range(6), rng), augmented.draw(range(6), rng)
        assert not np.allclose(first, second)
        assert not np.allclose(first, noise)
        again = augmented.draw(range(6), np.random.default_rng(0))
        assert_array_equal(first, again)
        assert_array_equal(augmented.draw([4, 1], 7), augmented.draw([4, 1], 7))
        assert augmented.draw([], 0).shape == (0, 13, 10, 3)

    def test_as_an_array_it_is_one_draw(self, augmented, noise):
        whole = np.asarray(augmented)
        assert_array_equal(whole, np.asarray(augmented))
        same = ImageAugmenter(**RANDOM).fit_transform(noise)
        assert_array_equal(whole, np.asarray(same))
        other = ImageAugmenter(**{**RANDOM, "random_state": 1}).fit_transform(noise)
        assert not np.allclose(whole, np.asarray(other))

    def test_drawn_parameters(self, augmented, noise):
        drawn = augmented.draw_parameters(6, 3)
        assert set(drawn) == {
            "rotation", "shift", "shear", "zoom", "flip",
            "stain_scale", "stain_shift", "channel_shift", "brightness",
        }  # fmt: skip
        assert (np.abs(drawn["rotation"]) <= 180).all()
        assert (drawn["shift"] == 0).all()
        flips = ImageAugmenter(horizontal_flip=True, random_state=0)
        changed = flips.fit_transform(noise).draw(range(6), 3)
        for k, flip in enumerate(
            flips.fit_transform(noise).draw_parameters(6, 3)["flip"]
        ):
            assert_array_equal(changed[k], noise[k][:, ::-1] if flip[1] else noise[k])

    def test_in_threads_it_draws_the_same(self, augmented):
        threads_before = cv2.getNumThreads()
        expected = [augmented.draw(range(6), k) for k in range(40)]
        drawn = {}

        def work(first):
            for k in range(first, 40, 4):
                drawn[k] = augmented.draw(range(6), k)

        threads = [threading.Thread(target=work, args=[first]) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k, images in enumerate(expected):
            assert_array_equal(drawn[k], images)
        assert cv2.getNumThreads() == threads_before

    def test_global_numpy_state_is_left_alone(self, noise):
        before = np.random.get_state()[1].copy()
        augmented = ImageAugmenter(rotation_range=9).fit_transform(noise)
        augmented.draw([0], 0)
        np.asarray(augmented)
        assert_array_equal(np.random.get_state()[1], before)

    def test_a_selection_draws_its_own_images(self, augmented):
        assert_allclose(
            augmented[[5, 2]].draw([1], 0), augmented.draw([2], 0), rtol=1e-6
        )


class TestOutOfMemory:
    def test_a_memory_map_is_not_loaded(self, tmp_path, noise):
        X = memory_map(tmp_path, noise)
        augmenter = ImageAugmenter(**RANDOM, samplewise_center=True)
        augmented = augmenter.fit_transform(X)
        assert augmented._images is X
        standardised = augmenter.transform(X)
        assert isinstance(standardised, StandardisedImages)
        assert_array_equal(np.asarray(standardised), augmenter.transform(noise))
        assert_array_equal(
            augmented.draw([3, 1], 5),
            ImageAugmenter(**RANDOM, samplewise_center=True)
            .fit_transform(noise)
            .draw([3, 1], 5),
        )

    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_changes_to_a_memory_map_survive_reading(self, tmp_path, noise, mode):
        X = memory_map(tmp_path, noise, mode)
        if mode != "r":
            X[2] = 0.25
        expected = np.array(X)
        augmenter = ImageAugmenter(rescale=2).fit(X)
        for _ in range(2):
            assert_array_equal(np.asarray(augmenter.transform(X)), 2 * expected)
        assert_array_equal(X, expected)

    def test_statistics_of_a_lazy_array(self, noise):
        lazy = ArrayRows(noise, np.arange(6))
        plain = ImageAugmenter(featurewise_center=True).fit(noise)
        fitted = ImageAugmenter(featurewise_center=True).fit(lazy)
        assert_array_equal(fitted.mean_, plain.mean_)
        bad = noise.copy()
        bad[4, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"NaN or infinity .*at position 4,"):
            ImageAugmenter().fit(ArrayRows(bad, np.arange(6)))
