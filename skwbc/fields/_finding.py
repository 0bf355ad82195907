"""Find nucleated cells in a field by a small network, at several magnifications."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from skwbc.fields._images import check_number, read_field

# The network finds cells of 20 to 48 pixels; `diameter` is brought to their middle.
_MIDDLE, _SMALLEST = 32, 20
# If typical cells are smaller, others are too small for half the size of the field.
_SMALL = 60
_STRIDE, _BLOCK = 4, 8
# A field with more pixels is not searched for cells that are small in it.
_MAX_PIXELS = 3_000_000
# Boxes of one cell overlap by more, as a fraction of the smaller one.
_OVERLAP = 0.55
MIN_SCORE = 0.3
# Smaller ones, compared with the typical cell of the field, are platelets.
_PLATELET = 0.44
_DENSITY = -np.log10(np.maximum(np.arange(256, dtype=np.float32), 1) / 255)
_of_thread = threading.local()


def find_cells(
    image: Any,
    *,
    diameter: float | None = None,
    min_score: float = MIN_SCORE,
    return_scores: bool = False,
) -> Any:
    """Find the nucleated cells in a field of a stained smear.

    These are white cells and their precursors, and nucleated red cells; red cells and
    platelets are not returned. Magnification, light and stain may be unknown: the
    colours are compared with the background of the field, and cells are searched for at
    several magnifications. Neither scikit-learn's models nor TensorFlow are needed.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8, or path
        An RGB field, or its file.
    diameter : float, default=None
        Diameter of a typical white cell in pixels, if it is known. By default cells of
        40 pixels up to the size of the field are searched for; if there are none, or
        small ones, in a field of at most 3 million pixels also cells from 20 pixels.
    min_score : float, default=0.3
        The score from which a cell is returned. Lower values find more cells, and more
        that are none.
    return_scores : bool, default=False
        Whether to return the scores, too.

    Returns
    -------
    boxes : ndarray of shape (n_cells, 4), dtype int
        (xmin, ymin, xmax, ymax) of the cells in pixels, the most certain first; the
        maxima are exclusive.
    scores : ndarray of shape (n_cells,), dtype float
        Certainties between 0 and 1, not probabilities. Only with `return_scores`.

    Raises
    ------
    ValueError
        If `image` is not an RGB image of 8 bits, or is grey or too large.

    See Also
    --------
    crop_cells : The images of the cells.
    count_cells : Find, classify and count them.

    Notes
    -----
    A fully convolutional network of 54,000 parameters scores the centre and the box of
    a cell at each place, as in [1]_. Its input is the optical density: the logarithm of
    the light of the background, a quadratic surface, divided by that of each pixel. It
    was trained on fields and cells of three laboratories and on drawn fields, with
    varied magnification, stain and light; see ``skwbc/fields/weights/README.md``.

    References
    ----------
    .. [1] X. Zhou, D. Wang, P. Krähenbühl. "Objects as Points", arXiv:1904.07850, 2019.

    Examples
    --------
    >>> from skwbc.datasets import make_blood_smear
    >>> from skwbc.fields import find_cells
    >>> fields, boxes, _ = make_blood_smear(n_cells=4, random_state=0)
    >>> find_cells(fields[0]).shape
    (4, 4)
    """
    check_number("min_score", min_score, 0, 1)
    if diameter is not None:
        check_number("diameter", diameter, 8)
    image = read_field(image)
    light = _light(image)
    if diameter is not None:
        zooms = np.array([_MIDDLE / diameter])
    else:
        zooms = 0.5 ** np.arange(1, 12)
        zooms = zooms[min(image.shape[:2]) * zooms >= _SMALLEST]
    found = [_at(image, light, zoom, min_score) for zoom in zooms]
    sizes = [(each[:, 2:] - each[:, :2]).max(axis=1) for each, _ in found]
    are_small = not any(map(len, sizes)) or np.median(np.concatenate(sizes)) < _SMALL
    can_be_searched = not found or image[..., 0].size <= _MAX_PIXELS
    if diameter is None and are_small and can_be_searched:
        found.append(_at(image, light, 1.0, min_score))
    boxes, scores = map(np.concatenate, zip(*found, strict=True))
    boxes, scores = _one_per_cell(boxes, scores)
    height, width = image.shape[:2]
    limit = np.array([width, height] * 2)
    boxes = np.clip(np.rint(boxes), 0, limit).astype(int)
    kept = _not_platelets(boxes)
    return (boxes[kept], scores[kept]) if return_scores else boxes[kept]


def _light(image: np.ndarray) -> np.ndarray:
    """Fit the light of the background: log10 as a quadratic surface, per channel.

    Returns
    -------
    ndarray of shape (3, 3, 3)
        Coefficients by the powers of y and of x, which go from -1 to 1, and by channel.
    """
    step = max(1, max(image.shape[:2]) // 160)
    some = image[::step, ::step]
    sides = np.array(some.shape[:2])
    n_rows, n_columns = np.maximum(3, np.rint(12 * sides / sides.max())).astype(int)
    rows, columns = sides // (n_rows, n_columns)
    blocks = some[: rows * n_rows, : columns * n_columns]
    blocks = blocks.reshape(n_rows, rows, n_columns, columns, 3).swapaxes(1, 2)
    blocks = blocks.reshape(n_rows * n_columns, -1, 3)
    # The brightest pixels of each block lie between the cells.
    order = blocks.sum(axis=2).argsort(axis=1)[:, int(0.85 * blocks.shape[1]) :]
    bright = np.take_along_axis(blocks, order[..., np.newaxis], axis=1)
    logs = np.log10(np.maximum(np.median(bright, axis=1), 1) / 255)
    y, x = np.indices((n_rows, n_columns)).reshape(2, -1) + 0.5
    x, y = 2 * x / n_columns - 1, 2 * y / n_rows - 1
    terms = np.stack([np.ones_like(x), x, x * x, y, x * y, y * y], axis=1)
    weights = np.ones(len(x))
    for _ in range(10):
        root = np.sqrt(weights)[:, np.newaxis]
        surface = np.linalg.lstsq(terms * root, logs * root, rcond=None)[0]
        rest = (logs - terms @ surface).mean(axis=1)
        # Cells cover places that are darker than the surface.
        spread = 1.5 * np.median(np.abs(rest)) + 1e-3
        weights = np.where(rest < 0, 1 / (1 + (rest / spread) ** 2) ** 2, 1.0)
    light = np.zeros((3, 3, 3))
    light[[0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 0]] = surface
    return light


def _surface(light: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return log10 of the background of a field in a size."""
    sides = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    x, y = (np.vander(side, 3, increasing=True) for side in sides)
    columns = np.einsum("jic,wi->jwc", light, x).reshape(3, -1).astype(np.float32)
    return (y.astype(np.float32) @ columns).reshape(height, width, 3)


def _at(
    image: np.ndarray, light: np.ndarray, zoom: float, min_score: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of the cells that a magnification shows in their size."""
    height, width = (max(1, round(side * zoom)) for side in image.shape[:2])
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (width, height), interpolation=how)
    density = cv2.LUT(small, _DENSITY)
    density += _surface(light, height, width)
    np.clip(density, -0.2, 1.5, out=density)
    padding = 0, -height % _BLOCK, 0, -width % _BLOCK
    padded = cv2.copyMakeBorder(density, *padding, cv2.BORDER_CONSTANT)
    heat, *sides = _network(padded)
    peaks = (heat == cv2.dilate(heat, np.ones((3, 3)))) & (heat >= min_score)
    rows, columns = np.nonzero(peaks)
    centres = np.stack([columns, rows], axis=1) * _STRIDE + (_STRIDE - 1) / 2
    left, top, right, bottom = (side[peaks] for side in sides)
    low, high = centres - np.c_[left, top], centres + np.c_[right, bottom]
    back = np.array([image.shape[1] / width, image.shape[0] / height] * 2)
    return (np.hstack([low, high]) + 0.5) * back, heat[peaks].astype(float)


def _network(density: np.ndarray) -> np.ndarray:
    """Return score, and distances to the sides of the box, in cells of four pixels."""
    if not hasattr(_of_thread, "network"):
        # OpenCV's networks are for one thread each.
        content = np.fromfile(Path(__file__).with_name("weights") / "cells.onnx", "u1")
        _of_thread.network = cv2.dnn.readNetFromONNX(content, cv2.dnn.ENGINE_CLASSIC)
    _of_thread.network.setInput(cv2.dnn.blobFromImage(density))
    return _of_thread.network.forward()[0]


def _not_platelets(boxes: np.ndarray) -> np.ndarray:
    """Return a mask of the boxes that are not much smaller than the typical one."""
    sides = boxes[:, 2:] - boxes[:, :2]
    sizes = sides.max(axis=1)
    order = np.argsort(sizes)
    # Half of the area of all belongs to larger ones, so many platelets do not count.
    areas = sides.prod(axis=1)[order].cumsum()
    middle = np.searchsorted(areas, areas[-1:] / 2)
    typical = sizes[order][middle].max(initial=0)
    return (sides.min(axis=1) > 0) & (sizes >= _PLATELET * typical)


def _one_per_cell(
    boxes: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the most certain of boxes that overlap, the most certain first."""
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept: list[int] = []
    for k, box in enumerate(boxes):
        others = boxes[kept]
        low = np.maximum(others[:, :2], box[:2])
        high = np.minimum(others[:, 2:], box[2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        if (shared < _OVERLAP * np.minimum(areas[kept], areas[k])).all():
            kept.append(k)
    return boxes[kept], scores[kept]
