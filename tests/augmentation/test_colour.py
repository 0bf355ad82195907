"""Changes of colour agree with Keras, and with the formula of stains."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skwbc import ImageAugmenter
from skwbc.augmentation._colour import Colours, RandomColour

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])
HAEMATOXYLIN, EOSIN = (v / np.linalg.norm(v) for v in (HAEMATOXYLIN, EOSIN))


def draw(colour: RandomColour, n: int) -> Colours:
    numbers = np.random.default_rng(0).random((n, RandomColour.NUMBERS))
    return colour.draw(numbers)


@pytest.fixture
def bytes_(noise):
    return np.float32((noise * 255).astype(np.uint8))


def test_channel_shift_equals_keras(bytes_):
    from keras.src.legacy.preprocessing.image import apply_channel_shift

    colour = RandomColour(channel_shift=60)
    colours = draw(colour, 6)
    changed = bytes_.copy()
    colour.apply(changed, colours)
    for k in range(6):
        expected = apply_channel_shift(bytes_[k], colours.channel_shift[k], 2)
        assert_allclose(changed[k], expected, atol=1e-4)


def test_brightness_equals_keras_but_for_its_rounding(bytes_):
    pytest.importorskip("PIL")
    from keras.src.legacy.preprocessing.image import apply_brightness_shift

    colour = RandomColour(brightness=(0.3, 1.8), white=255)
    colours = draw(colour, 6)
    changed = bytes_.copy()
    colour.apply(changed, colours)
    for k in range(6):
        expected = apply_brightness_shift(bytes_[k], colours.brightness[k], False)
        assert_allclose(changed[k], expected, atol=1)


def test_floats_a_little_above_white(noise):
    above = noise / noise.max() * np.float32(1.05)
    for images, white in (above, 1), (above * 255, 255), (above * 1.1, 255):
        augmenter = ImageAugmenter(brightness_range=(0.5, 1.5)).fit(images)
        assert augmenter.white_level_ == white
    whole = (noise * 260).astype(np.uint16)
    assert ImageAugmenter(stain_jitter=0.1).fit(whole).white_level_ == 4095


@pytest.mark.parametrize(
    ("dtype", "white"),
    [("uint8", 255), ("float64", 1), ("float32", 255), ("uint16", 4095)],
)
def test_brightness_and_stain_are_the_same_on_every_scale(noise, dtype, white):
    options = {"brightness_range": (0.5, 1.5), "stain_jitter": 0.2, "random_state": 0}
    images = (noise * white).astype(dtype)
    augmenter = ImageAugmenter(**options)
    changed = np.asarray(augmenter.fit_transform(images)) / white
    assert augmenter.white_level_ == white
    expected = ImageAugmenter(**options).fit_transform(np.float32(images / white))
    assert_allclose(changed, expected, atol=2e-5)
    assert (changed.min(), changed.max()) >= (0, 0.9)
    assert changed.max() <= 1 + 1e-6


def test_stains_are_scaled_and_shifted():
    # Pixels of a known amount of each stain.
    amounts = np.random.default_rng(0).uniform(0.1, 0.6, (5, 8, 8, 2))
    density = amounts @ np.array([HAEMATOXYLIN, EOSIN])
    images = np.float32(10**-density)
    colour = RandomColour(stain=(0.2, 0.05), white=1)
    colours = draw(colour, 5)
    colour.apply(images, colours)
    for k in range(5):
        changed = amounts[k] * colours.stain_scale[k] + colours.stain_shift[k]
        expected = 10 ** -(changed @ np.array([HAEMATOXYLIN, EOSIN]))
        assert_allclose(images[k], expected.clip(0, 1), atol=1e-5)


def test_without_jitter_images_stay_the_same(noise):
    images = noise.copy()
    images[0, 0] = 0
    colour = RandomColour(stain=(1e-9, 1e-9), white=1)
    colour.apply(images, draw(colour, 6))
    assert_allclose(images[1:], noise[1:], atol=1e-5)
    assert_allclose(images[0, 0], 0, atol=1e-5)


SIGNED = stats.uniform(-1, 2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda c: (c.stain_scale - 1) / 0.2, SIGNED),
        (lambda c: c.stain_shift / 0.05, SIGNED),
        (lambda c: c.channel_shift / 30, SIGNED),
        (lambda c: c.brightness, stats.uniform(0.5, 1)),
    ],
    ids=["stain scale", "stain shift", "channel shift", "brightness"],
)
def test_draws_are_uniform(values, expected):
    colour = RandomColour((0.2, 0.05), 30, (0.5, 1.5))
    drawn = values(draw(colour, 4000)).reshape(4000, -1)
    for column in drawn.T:
        assert stats.kstest(column, expected.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    "option", [{"brightness_range": (0, 2)}, {"stain_jitter": 0.1}]
)
def test_centred_images_have_no_white(noise, option):
    with pytest.raises(ValueError, match="from 0, black, upwards; X has values down"):
        ImageAugmenter(**option).fit(noise - 0.5)


def test_stain_jitter_needs_rgb_images(noise):
    with pytest.raises(ValueError, match="stain_jitter is for RGB images.* 1 channels"):
        ImageAugmenter(stain_jitter=0.1).fit(noise[..., :1])
