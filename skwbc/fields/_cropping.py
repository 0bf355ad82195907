"""Cut found cells out of their fields."""

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from skwbc._utils.lazy_arrays import LazyArray
from skwbc.datasets._decoding import check_sides
from skwbc.fields._images import check_number, read_field

MARGIN, SIZE = 0.25, (100, 100)


class _CellsOfFields(LazyArray):
    """Cells of several fields. One field is in memory at a time."""

    dtype = np.dtype(np.uint8)

    def __init__(
        self, fields: Sequence[Any], boxes: Sequence[Any], margin: float, size: tuple
    ) -> None:
        super().__init__(sum(map(len, boxes)), (*size, 3))
        self._fields, self._margin, self._size = fields, margin, size
        self._owners = np.repeat(np.arange(len(boxes)), [*map(len, boxes)])
        self._boxes = np.concatenate([np.reshape(each, (-1, 4)) for each in boxes])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self._row_shape), np.uint8)
        for owner in np.unique(self._owners[rows]):
            mask = self._owners[rows] == owner
            field = read_field(self._fields[owner])
            out[mask] = cut(field, self._boxes[rows[mask]], self._margin, self._size)
        return out


def crop_cells(
    image: Any, boxes: Any, *, margin: float = MARGIN, size: Sequence[int] = SIZE
) -> Any:
    """Cut cells out of a field, as the images that classifiers take.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), dtype uint8, path, or list of paths
        The field, or several.
    boxes : array-like of shape (n_cells, 4), or list of these
        Boxes from :func:`find_cells`, (xmin, ymin, xmax, ymax); for a list of fields
        those of each.
    margin : float, default=0.25
        Surroundings on each side, as a fraction of the longer side of the box. A
        classifier should get cells with the surroundings that its training images have.
    size : (int, int), default=(100, 100)
        Height and width of the images in pixels.

    Returns
    -------
    ndarray of shape (n_cells, height, width, 3), dtype uint8
        Square parts of the field, resized to `size`. At the border of the field, cells
        are not in the middle of their images. For a list of fields, a lazy array that
        reads one field at a time.

    Raises
    ------
    ValueError
        If a box is not inside the field, or an argument is out of range.

    See Also
    --------
    find_cells : Find the boxes.

    Examples
    --------
    >>> from skwbc.datasets import make_blood_smear
    >>> from skwbc.fields import crop_cells, find_cells
    >>> fields, _, _ = make_blood_smear(random_state=0)
    >>> cells = crop_cells(fields[0], find_cells(fields[0]))
    >>> cells.shape[1:]
    (100, 100, 3)
    """
    check_number("margin", margin, 0, 10)
    height, width = check_sides(size, "size", ("height", "width"))
    is_one = isinstance(image, str | os.PathLike) or np.ndim(image) == 3
    if is_one:
        return cut(read_field(image), boxes, margin, (height, width))
    if len(image) != len(boxes):
        raise ValueError(
            f"Got {len(image)} fields and boxes of {len(boxes)}; expected the boxes of "
            "each field."
        )
    return _CellsOfFields(list(image), list(boxes), margin, (height, width))


def cut(
    image: np.ndarray, boxes: Any, margin: float, size: tuple[int, int]
) -> np.ndarray:
    """Return the cells of one field, see `crop_cells`."""
    boxes = np.reshape(np.asarray(boxes, dtype=np.intp), (-1, 4))
    height, width = image.shape[:2]
    low, high = boxes[:, :2], boxes[:, 2:]
    if (low < 0).any() or (high > (width, height)).any() or (low >= high).any():
        raise ValueError(
            f"A box is empty or not inside the field of {width} x {height} pixels; "
            "expected (xmin, ymin, xmax, ymax)."
        )
    cells = np.empty((len(boxes), *size, 3), np.uint8)
    for cell, box in zip(cells, boxes, strict=True):
        side = int(np.ceil((box[2:] - box[:2]).max() * (1 + 2 * margin)))
        corner = (box[:2] + box[2:] - side) // 2
        # Real surroundings are better than repeated ones, if the field is large enough.
        room = np.array([width, height]) - side
        inside = np.clip(corner, 0, np.maximum(room, 0))
        x, y = np.where(room >= 0, inside, corner).tolist()
        left, top = max(-x, 0), max(-y, 0)
        right, bottom = max(x + side - width, 0), max(y + side - height, 0)
        part = image[y + top : y + side - bottom, x + left : x + side - right]
        sides = top, bottom, left, right
        square = cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE)
        how = cv2.INTER_AREA if side > max(size) else cv2.INTER_LINEAR
        cell[...] = cv2.resize(square, size[::-1], interpolation=how)
    return cells
