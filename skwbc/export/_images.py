"""Transformers of images as nodes of a graph, each like its ``transform``."""

import numpy as np

from skwbc.augmentation import ColourStatistics, FlattenImages, ImageAugmenter
from skwbc.augmentation._appearance import TINY, cell_weights, has_colours, n_scales
from skwbc.augmentation._colour import _UNMIX
from skwbc.augmentation._colour_statistics import _NEARLY_CYAN, _PERCENTILES, _disc
from skwbc.augmentation._standardise import _TINY
from skwbc.export._graph import Value, join

_AXES = (1, 2, 3)
# OpenCV adds it to divisors.
_EPSILON = np.finfo(np.float32).eps


def standardise(augmenter: ImageAugmenter, images: Value) -> Value:
    """Standardise images, step by step in the same precision."""
    plan = augmenter._plan.standardisation
    if plan.preprocessing_function is not None:
        raise ValueError(
            "an ImageAugmenter has a preprocessing_function, which is Python code. "
            "Train without it, and preprocess the images yourself."
        )
    x = images.cast(np.float32)
    if plan.rescale is not None:
        x *= plan.rescale
    if plan.samplewise_center:
        x -= x.mean(*_AXES, keepdims=True).cast(np.float32)
    if plan.samplewise_std:
        wide = x.cast(np.float64)
        std = (wide * wide).mean(*_AXES, keepdims=True).apply("Sqrt")
        x /= std.cast(np.float32) + _TINY
    if plan.mean is not None:
        x -= plan.mean
    if plan.std is not None:
        x /= plan.std + _TINY
    if plan.whitening is not None:
        components, scale = plan.whitening
        coordinates = x.reshape(0, -1) @ components.T * scale
        x = (coordinates @ components).reshape(0, *augmenter.image_shape_)
    return x


def flatten(flattener: FlattenImages, images: Value) -> Value:
    """Turn each image into a row."""
    return images.reshape(0, flattener._n_features_out)


def describe_colours(statistics: ColourStatistics, images: Value) -> Value:
    """Compute statistics of the colours: float64, shape (n, n_statistics)."""
    n_channels = statistics.image_shape_[2]
    disc = np.flatnonzero(_disc(statistics.image_shape_, statistics.radius))
    pixels = images.cast(np.float32).reshape(0, -1, n_channels)
    pixels = pixels.apply("Gather", disc, axis=1) * (1 / statistics.white_level_)
    pixels = pixels.apply("Clip", np.float32(0), np.float32(1))
    values = pixels.cast(np.float64)
    if n_channels == 3:
        hsv = _hsv(pixels).cast(np.float64)
        values = values.apply("Concat", _densities(pixels), hsv, axis=2)
        n_channels *= 3
    mean = values.mean(1, keepdims=True)
    deviation = values - mean
    square = deviation * deviation
    std = square.mean(1).apply("Sqrt")
    divisor = std.apply("Max", 1e-6)
    skewness = (square * deviation).mean(1) / (divisor * divisor * divisor)
    percentiles = _percentiles(values, len(disc), n_channels)
    mean = mean.reshape(0, n_channels)
    return mean.apply("Concat", std, skewness, percentiles, axis=1)


def describe_look(images: Value, shape: tuple[int, ...], white: float) -> list[Value]:
    """Describe how images of a shape look, as ``look`` does."""
    height, width, n_channels = shape
    values = images.cast(np.float32).cast(np.float64) / white
    values = values.apply("Transpose", perm=[0, 3, 1, 2])
    by_row, by_column, folded = cell_weights(height, width)
    sums = (values @ by_column).apply("Transpose", perm=[0, 1, 3, 2]) @ by_row
    layout = _with_colours(sums.reshape(0, n_channels, -1) @ folded, n_channels)
    spaces, texture = [layout.reshape(0, -1)], []
    n = n_scales(height, width)
    for scale in range(n):
        height, width = height // 2, width // 2
        values = values.apply("Slice", [0, 0], [2 * height, 2 * width], [2, 3])
        n_values = n_channels
        if has_colours(scale, n):
            values = _with_colours(values, n_channels)
            n_values = 2 * n_channels - 1
        blocks = values.reshape(0, n_values, height, 2, width, 2)
        means = blocks.mean(3, 5)
        within = (values * values).mean(2, 3) - (means * means).mean(2, 3)
        texture.append((within.apply("Max", 0.0) + TINY).apply("Log") * 0.5)
        values = means.apply("Slice", [0], [n_channels], [1])
    if texture:
        spaces.append(join("Concat", texture, axis=1))
    return spaces


def _with_colours(values: Value, n_channels: int) -> Value:
    """Append the differences between each channel and the one before it."""
    if n_channels == 1:
        return values
    before = values.apply("Gather", np.arange(n_channels - 1), axis=1)
    after = values.apply("Gather", np.arange(1, n_channels), axis=1)
    return values.apply("Concat", after - before, axis=1)


def _densities(rgb: Value) -> Value:
    at_least = rgb.apply("Max", np.float32(1 / 255)).cast(np.float64)
    return at_least.apply("Log") @ (-_UNMIX / np.log(10))


def _hsv(rgb: Value) -> Value:
    """Convert as OpenCV does, with hues cut at cyan, as ``ColourStatistics`` does."""
    red, green, blue = (rgb.apply("Gather", [k], axis=2) for k in range(3))
    highest = rgb.apply("ReduceMax", [2], keepdims=1)
    spread = highest - rgb.apply("ReduceMin", [2], keepdims=1)
    saturation = spread / (highest + _EPSILON)
    sixth = rgb.graph.constant(60, np.float32) / (spread + _EPSILON)

    def choose(condition: Value, value: Value, other: Value) -> Value:
        return condition.apply("Where", value, other, dtype=np.float32)

    # Cut at cyan: 180 is red.
    is_red, is_green = (highest.apply("Equal", c, dtype=bool) for c in (red, green))
    other = choose(is_green, (blue - red) * sixth + 300, (red - green) * sixth + 60)
    hue = choose(is_red, (green - blue) * sixth + 180, other)
    hue = hue.apply("Mod", np.float32(360), fmod=1) * (1 / 360)
    is_cyan = hue.apply("Greater", _NEARLY_CYAN, dtype=bool)
    hue = choose(is_cyan, rgb.graph.constant(0, np.float32), hue)
    return hue.apply("Concat", saturation, highest, axis=2)


def _percentiles(values: Value, n_pixels: int, n_channels: int) -> Value:
    """Return percentiles of each channel, interpolated as NumPy does."""
    rows = values.apply("Transpose", perm=[0, 2, 1])
    rising = rows.apply("TopK", [n_pixels], axis=2, largest=0, n_outputs=2)
    position = np.array(_PERCENTILES) / 100 * (n_pixels - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, n_pixels - 1)
    low = rising.apply("Gather", below, axis=2)
    rise = rising.apply("Gather", above, axis=2) - low
    percentiles = low + rise * (position - below)
    # ColourStatistics lists all channels of one percentile before the next percentile.
    percentiles = percentiles.apply("Transpose", perm=[0, 2, 1])
    return percentiles.reshape(0, len(_PERCENTILES) * n_channels)
