"""Warps agree with those of Keras and SciPy for the same drawn parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, stats

from skwbc.augmentation._affine import BORDERS, RandomAffine, ShiftRange, Warps

ALONE = {
    "rotation": {"rotation": 180},
    "shift": {"shift": (ShiftRange(3.5), ShiftRange(2.5))},
    "shear": {"shear": 40},
    "zoom": {"zoom": (0.7, 1.4)},
    "flip": {"flip": (True, True)},
}
ALL = {name: value for option in ALONE.values() for name, value in option.items()}
IMAGES = ["noise", "small noise", "cells"]


@pytest.fixture(scope="module")
def keras_generator():
    """Keras' retired generator, as the reference."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator


@pytest.fixture
def images(request, cells):
    rng = np.random.default_rng(0)
    if request.param == "cells":
        return np.float32(cells.images[:4].repeat(3, axis=1).repeat(3, axis=2)) / 255
    side = 12 if request.param == "small noise" else 60
    return rng.random((6, side, side, 3), dtype=np.float32)


def draw(affine: RandomAffine, n: int, seed: int = 0) -> Warps:
    numbers = np.random.default_rng(seed).random((n, RandomAffine.NUMBERS))
    return affine.draw(numbers)


def warp(affine: RandomAffine, images: np.ndarray, warps: Warps) -> np.ndarray:
    out = np.full(images.shape, np.nan, np.float32)
    affine.apply(images, affine.compose(warps, *images.shape[1:3]), out)
    return out


def expect(generator, image: np.ndarray, warps: Warps, k: int) -> np.ndarray:
    # Keras' matrix has x before y.
    parameters = {
        "theta": -warps.rotation[k],
        "tx": warps.shift[k, 1],
        "ty": warps.shift[k, 0],
        "shear": warps.shear[k],
        "zx": warps.zoom[k, 1],
        "zy": warps.zoom[k, 0],
        "flip_vertical": warps.flip[k, 0],
        "flip_horizontal": warps.flip[k, 1],
    }
    return generator.apply_transform(image, parameters)


# The reference uses an old name in SciPy.
@pytest.mark.filterwarnings("ignore:Please import `affine_transform`")
@pytest.mark.parametrize("images", IMAGES, indirect=True)
@pytest.mark.parametrize("fill_mode", ["nearest", "reflect"])
@pytest.mark.parametrize("options", [*ALONE.values(), ALL], ids=[*ALONE, "all"])
def test_equal_to_keras(keras_generator, options, fill_mode, images):
    # Square: Keras 3 turns other images about a point that is not their centre.
    affine = RandomAffine(fill_mode=fill_mode, **options)
    warps = draw(affine, len(images))
    warped = warp(affine, images, warps)
    generator = keras_generator(fill_mode=fill_mode)
    for k, image in enumerate(images):
        expected = expect(generator, image, warps, k)
        assert_allclose(warped[k], expected, rtol=0, atol=1e-4)
    assert not np.allclose(warped, images)


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`")
@pytest.mark.parametrize("images", IMAGES[:2], indirect=True)
@pytest.mark.parametrize("fill_mode", ["constant", "wrap"])
def test_the_interior_equals_keras_where_borders_differ(
    keras_generator, fill_mode, images
):
    affine = RandomAffine(fill_mode=fill_mode, cval=0.3, **ALL)
    warps = draw(affine, len(images))
    warped = warp(affine, images, warps)
    generator = keras_generator(fill_mode=fill_mode, cval=0.3)
    inside = RandomAffine(fill_mode="constant", cval=np.nan)
    whole = warp(inside, images, warps)
    for k, image in enumerate(images):
        interior = np.isfinite(whole[k])
        assert interior.mean() > 0.3
        expected = expect(generator, image, warps, k)
        assert_allclose(warped[k][interior], expected[interior], rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(13, 10), (40, 90)])
@pytest.mark.parametrize("fill_mode", BORDERS)
def test_everywhere_equal_to_scipy(fill_mode, shape):
    # Not square, about the true centre, and with modes of SciPy that have no seam.
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    affine = RandomAffine(fill_mode=fill_mode, cval=0.3, **ALL)
    warps = draw(affine, 5)
    warped = warp(affine, np.stack([image] * 5), warps)
    mode = {"constant": "grid-constant", "wrap": "grid-wrap"}.get(fill_mode, fill_mode)
    centre = (np.array(shape) - 1) / 2
    for k in range(5):
        angle, shear = np.deg2rad(warps.rotation[k]), np.deg2rad(warps.shear[k])
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.array([[cos, -sin], [sin, cos]])
        linear = rotation @ [[np.cos(shear), 0], [-np.sin(shear), 1]]
        linear = linear @ np.diag(warps.zoom[k])
        offset = centre - linear @ centre + rotation @ warps.shift[k]
        expected = np.stack(
            [
                ndimage.affine_transform(
                    channel, linear, offset, order=1, mode=mode, cval=0.3
                )
                for channel in np.moveaxis(image, -1, 0)
            ],
            axis=-1,
        )
        step = np.where(warps.flip[k], -1, 1)
        expected = expected[:: step[0], :: step[1]]
        assert_allclose(warped[k], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("fill_mode", BORDERS)
@pytest.mark.parametrize("pixels", [3, 17, 200])
def test_whole_pixels_and_flips_are_moved_without_interpolation(fill_mode, pixels):
    images = np.random.default_rng(0).random((8, 60, 50, 3), dtype=np.float32)
    choices = ShiftRange(choices=(0.0, float(pixels)))
    affine = RandomAffine(
        shift=(choices, choices), flip=(True, True), fill_mode=fill_mode, cval=0.3
    )
    warps = draw(affine, 8)
    moves = affine.compose(warps, 60, 50)
    assert not moves.interpolate.any()
    moved = warp(affine, images, warps)
    assert np.isin(moved, [*np.unique(images), np.float32(0.3)]).all()
    # The same as interpolation at whole coordinates.
    out = np.empty_like(images)
    affine.apply(images, moves._replace(interpolate=np.full(8, True)), out)
    assert_allclose(moved, out, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_any_number_of_channels(channels, dtype):
    images = np.random.default_rng(0).random((2, 60, 50, channels)) * 200
    images = images.astype(dtype)
    affine = RandomAffine(**ALL)
    warps = draw(affine, 2)
    whole = warp(affine, images, warps)
    for k in range(channels):
        alone = np.ascontiguousarray(images[..., k : k + 1], dtype="float32")
        assert_allclose(whole[..., k : k + 1], warp(affine, alone, warps), atol=1e-2)


def test_the_input_is_left_alone():
    images = np.random.default_rng(0).random((8, 60, 50, 3), dtype=np.float32)
    images.setflags(write=False)
    affine = RandomAffine(**ALL)
    before = images.copy()
    warp(affine, images, draw(affine, 8))
    assert_array_equal(images, before)


N = 4000
SIGNED = stats.uniform(-1, 2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda w: w.rotation / 180, SIGNED),
        (lambda w: w.shift[:, 0] / 3.5, SIGNED),
        (lambda w: w.shift[:, 1] / 2.5, SIGNED),
        (lambda w: w.shear / 40, SIGNED),
        (lambda w: w.zoom[:, 0], stats.uniform(0.7, 0.7)),
        (lambda w: w.zoom[:, 1], stats.uniform(0.7, 0.7)),
    ],
    ids=["rotation", "height", "width", "shear", "height zoom", "width zoom"],
)
def test_draws_are_uniform(values, expected):
    drawn = values(draw(RandomAffine(**ALL), N))
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.01


def test_draws_of_choices_and_flips():
    affine = RandomAffine(
        shift=(ShiftRange(choices=(0.0, 1.0, 2.0)), ShiftRange(choices=(5.0,))),
        flip=(True, True),
    )
    drawn = draw(affine, N)
    for values, expected in [
        (drawn.shift[:, 0], {-2: 1 / 6, -1: 1 / 6, 0: 1 / 3, 1: 1 / 6, 2: 1 / 6}),
        (drawn.shift[:, 1], {-5: 1 / 2, 5: 1 / 2}),
        (drawn.flip[:, 0], {0: 1 / 2, 1: 1 / 2}),
        (drawn.flip[:, 1], {0: 1 / 2, 1: 1 / 2}),
    ]:
        values, counts = np.unique(values, return_counts=True)
        assert_array_equal(values, list(expected))
        expected_counts = np.array(list(expected.values())) * N
        assert stats.chisquare(counts, expected_counts).pvalue > 0.01


def test_draws_are_independent():
    drawn = draw(RandomAffine(**ALL), N)
    columns = np.column_stack([np.asarray(part, float) for part in drawn])
    correlation = np.corrcoef(columns, rowvar=False)
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 0.06
