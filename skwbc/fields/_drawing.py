"""Boxes of cells drawn into a field."""

import string
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

# Colours that also the colour-blind can tell apart (Okabe and Ito), dark ones first.
_COLOURS = (
    *((0, 114, 178), (213, 94, 0), (0, 120, 90), (160, 60, 120)),
    *((120, 90, 0), (70, 70, 160)),
)
_UNLIKE = (60, 60, 60)


def mark_of(label: str, labels: Sequence[str]) -> str:
    """Return the letter of a class, since OpenCV cannot write every name."""
    turn, k = divmod([*labels].index(label), 26)
    return string.ascii_uppercase[k] + str(turn + 1) * (turn > 0)


def draw_boxes(
    image: np.ndarray,
    cells: Sequence[Mapping[str, Any]],
    labels: Sequence[str] = (),
    longest: int = 1200,
) -> np.ndarray:
    """Return a smaller copy of a field with the boxes of its cells.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
        The field.
    cells : sequence of mappings
        Rows of ``count_cells(...).cells``, or only the boxes.
    labels : sequence of str, default=()
        All classes. Boxes get the colour and the letter of their class, and "?" if the
        cell is unlike the training cells.
    longest : int, default=1200
        Longest side of the copy in pixels.
    """
    height, width = image.shape[:2]
    zoom = min(1.0, longest / max(height, width))
    size = (round(width * zoom), round(height * zoom))
    copy = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    thick = max(2, max(size) // 350)
    for cell in cells:
        sides = (cell[side] for side in ("xmin", "ymin", "xmax", "ymax"))
        x, y, right, bottom = (round(side * zoom) for side in sides)
        label = cell.get("predicted")
        mark, colour = "", _COLOURS[0]
        if label is not None:
            k = [*labels].index(label)
            mark, colour = mark_of(label, labels), _COLOURS[k % len(_COLOURS)]
            if not cell["counted"]:
                mark, colour = f"{mark}?", _UNLIKE
        cv2.rectangle(copy, (x, y), (right, bottom), (255, 255, 255), thick + 2)
        cv2.rectangle(copy, (x, y), (right, bottom), colour, thick)
        if mark:
            font, scale = cv2.FONT_HERSHEY_SIMPLEX, thick * 0.35
            (wide, high), _ = cv2.getTextSize(mark, font, scale, thick)
            top = min(y, size[1] - high - 3 * thick)
            corner = (x + wide + 3 * thick, top + high + 3 * thick)
            cv2.rectangle(copy, (x, top), corner, colour, -1)
            place = (x + thick, top + high + thick)
            cv2.putText(copy, mark, place, font, scale, (255, 255, 255), thick)
    return copy
