"""What augmenters and descriptions of colour do to images, as nodes of a graph."""

from typing import Any

import numpy as np

from skwbc.augmentation import ColourStatistics, FlattenImages, ImageAugmenter
from skwbc.augmentation._colour import _UNMIX
from skwbc.augmentation._colour_statistics import _NEARLY_CYAN, _PERCENTILES, _disc
from skwbc.augmentation._standardise import _TINY
from skwbc.export._graph import Graph, Value

_AXES = (1, 2, 3)
# What OpenCV adds to what it divides by.
_EPSILON = np.finfo(np.float32).eps


def standardise(augmenter: ImageAugmenter, graph: Graph, images: Value) -> Value:
    """Do what ``ImageAugmenter.transform`` does, the same in the same precision."""
    plan = augmenter._plan.standardisation
    if plan.preprocessing_function is not None:
        raise ValueError(
            "an ImageAugmenter has a preprocessing_function, which is Python code. "
            "Train without it, and do what it does to the images yourself."
        )
    x = graph.cast(images, np.float32)
    if plan.rescale is not None:
        x = graph.add("Mul", x, graph.constant(plan.rescale, np.float32))
    if plan.samplewise_center:
        mean = graph.mean(x, *_AXES, keepdims=True)
        x = graph.add("Sub", x, graph.cast(mean, np.float32))
    if plan.samplewise_std:
        wide = graph.cast(x, np.float64)
        square = graph.mean(graph.add("Mul", wide, wide), *_AXES, keepdims=True)
        std = graph.cast(graph.add("Sqrt", square), np.float32)
        x = graph.add("Div", x, graph.add("Add", std, graph.constant(_TINY)))
    if plan.mean is not None:
        x = graph.add("Sub", x, graph.constant(plan.mean))
    if plan.std is not None:
        x = graph.add("Div", x, graph.constant(plan.std + _TINY))
    if plan.whitening is not None:
        components, scale = plan.whitening
        rows = graph.reshape(x, 0, -1)
        along = graph.add("MatMul", rows, graph.constant(components.T))
        along = graph.add("Mul", along, graph.constant(scale))
        rows = graph.add("MatMul", along, graph.constant(components))
        x = graph.reshape(rows, 0, *augmenter.image_shape_)
    return x


def flatten(flattener: FlattenImages, graph: Graph, images: Value) -> Value:
    """Do what ``FlattenImages.transform`` does."""
    return graph.reshape(images, 0, flattener._n_features_out)


def describe_colours(
    statistics: ColourStatistics, graph: Graph, images: Value
) -> Value:
    """Do what ``ColourStatistics.transform`` does: float64, shape (n, n_figures)."""
    n_channels = statistics.image_shape_[2]
    disc = np.flatnonzero(_disc(statistics.image_shape_, statistics.radius))
    pixels = graph.reshape(graph.cast(images, np.float32), 0, -1, n_channels)
    pixels = graph.add("Gather", pixels, graph.constant(disc, np.int64), axis=1)
    scale = np.float32(1 / statistics.white_level_)
    pixels = graph.add("Mul", pixels, graph.constant(scale))
    ends = [graph.constant(end, np.float32) for end in (0, 1)]
    pixels = graph.add("Clip", pixels, *ends)
    if n_channels == 3:
        parts = [graph.cast(pixels, np.float64), _densities(graph, pixels)]
        parts.append(graph.cast(_hsv(graph, pixels), np.float64))
        values = graph.add("Concat", *parts, axis=2)
        n_channels *= 3
    else:
        values = graph.cast(pixels, np.float64)
    mean = graph.mean(values, 1, keepdims=True)
    deviation = graph.add("Sub", values, mean)
    square = graph.add("Mul", deviation, deviation)
    std = graph.add("Sqrt", graph.mean(square, 1))
    third = graph.mean(graph.add("Mul", square, deviation), 1)
    least = graph.add("Max", std, graph.constant(1e-6))
    cube = graph.add("Mul", graph.add("Mul", least, least), least)
    skewness = graph.add("Div", third, cube)
    percentiles = _percentiles(graph, values, len(disc), n_channels)
    figures = [graph.reshape(mean, 0, n_channels), std, skewness, percentiles]
    return graph.add("Concat", *figures, axis=1)


def _densities(graph: Graph, rgb: Value) -> Value:
    dark = graph.add("Max", rgb, graph.constant(1 / 255, np.float32))
    logarithm = graph.add("Log", graph.cast(dark, np.float64))
    return graph.add("MatMul", logarithm, graph.constant(-_UNMIX / np.log(10)))


def _hsv(graph: Graph, rgb: Value) -> Value:
    """Convert as OpenCV does, with hues cut at cyan, as ``ColourStatistics`` does."""

    def number(value: Any) -> Value:
        return graph.constant(value, np.float32)

    channel_axis = graph.constant([2], np.int64)
    red, green, blue = (
        graph.add("Gather", rgb, graph.constant([k], np.int64), axis=2)
        for k in range(3)
    )
    highest = graph.add("ReduceMax", rgb, channel_axis, keepdims=1)
    lowest = graph.add("ReduceMin", rgb, channel_axis, keepdims=1)
    spread = graph.add("Sub", highest, lowest)
    saturation = graph.add("Div", spread, graph.add("Add", highest, number(_EPSILON)))
    sixth = graph.add("Div", number(60), graph.add("Add", spread, number(_EPSILON)))

    def side(first: Value, second: Value, start: float) -> Value:
        difference = graph.add("Sub", first, second)
        return graph.add("Add", graph.add("Mul", difference, sixth), number(start))

    # Cut at cyan: 180 is red.
    hue = graph.add(
        "Where",
        graph.add("Equal", highest, red, dtype=bool),
        side(green, blue, 180),
        graph.add(
            "Where",
            graph.add("Equal", highest, green, dtype=bool),
            side(blue, red, 300),
            side(red, green, 60),
            dtype=np.float32,
        ),
        dtype=np.float32,
    )
    hue = graph.add("Mod", hue, number(360), fmod=1)
    hue = graph.add("Mul", hue, number(1 / 360))
    is_cyan = graph.add("Greater", hue, number(_NEARLY_CYAN), dtype=bool)
    hue = graph.add("Where", is_cyan, number(0), hue, dtype=np.float32)
    return graph.add("Concat", hue, saturation, highest, axis=2)


def _percentiles(graph: Graph, values: Value, n_pixels: int, n_channels: int) -> Value:
    """Return percentiles of each channel, interpolated as NumPy does."""
    rows = graph.add("Transpose", values, perm=[0, 2, 1])
    rising, _ = graph.add_many(
        "TopK",
        rows,
        graph.constant([n_pixels], np.int64),
        dtypes=[np.float64, np.int64],
        axis=2,
        largest=0,
    )
    position = np.array(_PERCENTILES) / 100 * (n_pixels - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, n_pixels - 1)
    low, high = (
        graph.add("Gather", rising, graph.constant(each), axis=2)
        for each in (below, above)
    )
    rise = graph.add("Sub", high, low)
    step = graph.add("Mul", rise, graph.constant(position - below))
    # Percentiles vary slowest in the figures, but NumPy's are by percentile: transpose.
    found = graph.add("Add", low, step)
    found = graph.add("Transpose", found, perm=[0, 2, 1])
    return graph.reshape(found, 0, len(_PERCENTILES) * n_channels)
