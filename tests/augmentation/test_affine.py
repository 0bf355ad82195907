"""The warps, against Keras' own for the same drawn parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skwbc.augmentation._affine import RandomAffine

ALONE = {
    "rotation": {"rotation": 180},
    "shift": {"shift": (3.5, 2.5)},
    "zoom": {"zoom": (0.7, 1.4)},
    "flip": {"flip": (True, True)},
}
ALL = {name: value for option in ALONE.values() for name, value in option.items()}


@pytest.fixture(scope="module")
def keras_generator():
    """Keras' retired generator, as the reference."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator


# The reference uses an old name in SciPy.
@pytest.mark.filterwarnings("ignore:Please import `affine_transform`")
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect"])
@pytest.mark.parametrize("options", [*ALONE.values(), ALL], ids=[*ALONE, "all"])
def test_equal_to_keras(keras_generator, options, fill_mode):
    # Square: Keras 3 turns other images about a point that is not their centre.
    noise = np.random.default_rng(0).random((6, 12, 12, 3), dtype=np.float32)
    affine = RandomAffine(fill_mode=fill_mode, **options)
    warps = affine.draw(len(noise), np.random.default_rng(0))
    warped = affine.apply(noise, warps)
    theirs = keras_generator(fill_mode=fill_mode)
    for k, image in enumerate(noise):
        # Keras' matrix has x before y.
        parameters = {
            "theta": -warps.rotation[k],
            "tx": warps.shift[k, 1],
            "ty": warps.shift[k, 0],
            "zx": warps.zoom[k, 1],
            "zy": warps.zoom[k, 0],
            "flip_vertical": warps.flip[k, 0],
            "flip_horizontal": warps.flip[k, 1],
        }
        expected = theirs.apply_transform(image, parameters)
        assert_allclose(warped[k], expected, atol=1e-4)
    assert not np.allclose(warped, noise)


@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_any_number_of_channels(channels):
    images = np.random.default_rng(0).random((2, 9, 8, channels), np.float32)
    affine = RandomAffine(rotation=180)
    warps = affine.draw(2, np.random.default_rng(0))
    whole = affine.apply(images, warps)
    for k in range(channels):
        assert_allclose(
            whole[..., k : k + 1], affine.apply(images[..., k : k + 1], warps)
        )


def test_cval_is_what_lies_beyond_the_border():
    images = np.zeros((3, 8, 8, 3), np.float32)
    affine = RandomAffine(shift=(8, 8), fill_mode="constant", cval=0.5)
    warps = affine.draw(3, np.random.default_rng(0))._replace(
        shift=np.full((3, 2), 20.0)
    )
    assert_allclose(affine.apply(images, warps), 0.5)


def test_draws_fill_their_ranges():
    drawn = RandomAffine(**ALL).draw(4000, np.random.default_rng(0))
    assert np.abs(drawn.rotation).max() == pytest.approx(180, rel=0.01)
    assert np.abs(drawn.shift).max(axis=0) == pytest.approx([3.5, 2.5], rel=0.01)
    assert (drawn.zoom.min(), drawn.zoom.max()) == pytest.approx((0.7, 1.4), rel=0.01)
    assert drawn.flip.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.03)
