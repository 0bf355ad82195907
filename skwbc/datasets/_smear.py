"""Shapes that deposit stain on a smear, in micrometres."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

NUCLEAR, AZURE, EOSIN, HAEMOGLOBIN = range(4)
SHAPE_BITS = 4  # fixed-point bits of the coordinates given to OpenCV


@dataclass
class Smear:
    """Amounts of stain, and the scale and randomness that shapes share."""

    rng: np.random.Generator
    stains: np.ndarray  # (4, height, width) float32
    scale: float  # pixels per micrometre

    @property
    def size(self):
        """Width and height in micrometres."""
        return np.array(self.stains.shape[:0:-1]) / self.scale


class Window(NamedTuple):
    """The part of the smear around a shape, clipped at the border."""

    area: tuple
    centre: np.ndarray  # (x, y) of the shape in pixels of the window
    shape: tuple


def noise(rng, shape, period, octaves=1):
    """Return smooth noise of about unit variance; `period` is in pixels."""
    total = None
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        grid = [int(np.ceil(side / step)) + 1 for side in shape]
        finer = rng.standard_normal(grid, dtype=np.float32) * (1.3 / 2**octave)
        total = finer if total is None else finer + _enlarged(total, grid)
    return _enlarged(total, shape)


def _enlarged(values, shape):
    return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_CUBIC)


def open_window(smear, centre, radius):
    """Return the window `radius` micrometres around `centre`; None if outside."""
    x, y = np.asarray(centre) * smear.scale
    reach = radius * smear.scale + 2
    rows, columns = smear.stains.shape[1:]
    top, bottom = max(int(y - reach), 0), min(int(y + reach) + 1, rows)
    left, right = max(int(x - reach), 0), min(int(x + reach) + 1, columns)
    if top >= bottom or left >= right:
        return None
    area = slice(top, bottom), slice(left, right)
    return Window(area, np.array([x - left, y - top]), (bottom - top, right - left))


def blob(smear, window, radius, *, irregularity=0.05, aspect=1.0):
    """Return the distance from the centre relative to a smooth random contour.

    The contour is an ellipse whose radius is perturbed by low-order Fourier terms:
    the result is 1 on it and less inside.
    """
    rng = smear.rng
    rows, columns = window.shape
    x = np.arange(columns, dtype=np.float32) - np.float32(window.centre[0])
    y = np.arange(rows, dtype=np.float32) - np.float32(window.centre[1])
    x, y = np.meshgrid(x, y)
    turn = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    stretch = np.float32(np.sqrt(aspect))
    along, across = (x * cos + y * sin) / stretch, (y * cos - x * sin) * stretch
    distance, angle = cv2.cartToPolar(along, across)
    angles = np.linspace(0, 2 * np.pi, 512, endpoint=False)
    orders = np.arange(2, 7)[:, None]
    heights = rng.normal(0, irregularity, (5, 1)) * 2 / orders
    phases = rng.uniform(0, 2 * np.pi, (5, 1))
    contour = 1 + (heights * np.cos(orders * angles + phases)).sum(axis=0)
    inverse = (1 / (np.maximum(contour, 0.3) * radius * smear.scale)).astype("f4")
    step = (angle * np.float32(512 / (2 * np.pi))).astype(np.intp)
    return distance * inverse.take(step, mode="wrap")


def inside(distance, edge):
    """Return a soft mask of relative distances below 1."""
    return np.clip((1 - distance) / np.float32(edge) + 0.5, 0, 1)


def fixed(points):
    """Convert pixel coordinates to the fixed-point form of OpenCV's sub-pixels."""
    return np.round(np.asarray(points) * 2**SHAPE_BITS).astype(np.int32)


def draw_discs(mask, centres, radii, values):
    discs = zip(fixed(centres), fixed(radii), values, strict=True)
    for centre, radius, value in discs:
        cv2.circle(mask, centre.tolist(), int(radius), float(value), -1, 8, SHAPE_BITS)


def draw_oval(mask, centre, axes, turn):
    centre, axes = fixed(centre).tolist(), fixed(axes).tolist()
    cv2.ellipse(mask, centre, axes, turn, 0, 360, 255, -1, 8, SHAPE_BITS)
