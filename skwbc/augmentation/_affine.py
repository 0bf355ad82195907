"""Random affine warps: drawn as Keras' ImageDataGenerator draws them, one for an image.

All parameters of an image are composed into one matrix, so that it is interpolated
once, bilinearly, whatever was asked for. OpenCV 5 does that to float rounding; OpenCV 4
rounds the coordinates to 1/32 pixel. Moves by whole pixels and flips are copies.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import cv2
import numpy as np

from skwbc.augmentation._opencv import scratch

BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
# The numbers of channels that OpenCV warps at a time, and does not round for.
_EXACT = (1, 3, 4)
# Pixels from which on it pays to bring three channels to four.
_LARGE = 2500


class Warps(NamedTuple):
    """Drawn parameters, an entry for each image.

    Attributes
    ----------
    rotation : ndarray of shape (n,)
        Degrees.
    shift : ndarray of shape (n, 2)
        Rows and columns, in pixels.
    shear : ndarray of shape (n,)
        Degrees.
    zoom : ndarray of shape (n, 2)
        Factors for rows and columns; below 1 enlarges.
    flip : ndarray of shape (n, 2), bool
        Whether top and bottom, and left and right, change places after all else.
    """

    rotation: np.ndarray
    shift: np.ndarray
    shear: np.ndarray
    zoom: np.ndarray
    flip: np.ndarray


class Moves(NamedTuple):
    """What warps mean for images of one size, an entry for each image.

    Attributes
    ----------
    interpolate : ndarray of shape (n,), bool
        Whether it is more than a move by whole pixels and flips.
    matrices : ndarray of shape (n, 2, 3)
        Maps from output to input, of (column, row), as OpenCV counts.
    shift, flip : ndarray of shape (n, 2)
        As in `Warps`.
    beyond : tuple of int
        How many pixels the maps reach beyond the border at most: left or right, and
        top or bottom.
    """

    interpolate: np.ndarray
    matrices: np.ndarray
    shift: np.ndarray
    flip: np.ndarray
    beyond: tuple[int, int]

    def select(self, images: slice) -> Self:
        """Return the moves of some of the images."""
        return self._replace(
            interpolate=self.interpolate[images],
            matrices=self.matrices[images],
            shift=self.shift[images],
            flip=self.flip[images],
        )


class ShiftRange(NamedTuple):
    """What a shift along one axis is drawn from, in pixels.

    Attributes
    ----------
    limit : float, default=0
        Uniform between ± this, if there are no `choices`.
    choices : tuple of float, default=()
        One of these, with a random sign.
    """

    limit: float = 0.0
    choices: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.limit) or any(self.choices)

    def draw(self, size: np.ndarray, sign: np.ndarray) -> np.ndarray:
        """Turn two sets of uniform numbers from 0 to 1 into shifts."""
        if not self.choices:
            return (2 * size - 1) * self.limit
        number = (size * len(self.choices)).astype(int)
        # The product may be rounded up.
        number = np.minimum(number, len(self.choices) - 1)
        return np.array(self.choices)[number] * np.where(sign < 0.5, -1.0, 1.0)


@dataclass(frozen=True)
class RandomAffine:
    """The distribution that warps are drawn from. See `ImageAugmenter` for the terms.

    Ranges are in degrees (`rotation`, `shear`), in pixels of rows and columns
    (`shift`), or factors from and to (`zoom`); `flip` is for rows and columns.
    """

    rotation: float = 0.0
    shift: tuple[ShiftRange, ShiftRange] = (ShiftRange(), ShiftRange())
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    flip: tuple[bool, bool] = (False, False)
    fill_mode: str = "nearest"
    cval: float = 0.0

    # How many uniform numbers each image takes, whatever the options are.
    NUMBERS = 10

    @property
    def is_identity(self) -> bool:
        """Whether no draw can change an image."""
        return not (
            any(self.flip)
            or self.rotation
            or self.shear
            or any(map(bool, self.shift))
            or self.zoom != (1.0, 1.0)
        )

    def draw(self, numbers: np.ndarray) -> Warps:
        """Turn uniform numbers from 0 to 1, of shape (n, NUMBERS), into warps."""
        rows, columns = self.shift
        smallest, largest = self.zoom
        return Warps(
            rotation=(2 * numbers[:, 0] - 1) * self.rotation,
            shift=np.stack(
                [
                    rows.draw(numbers[:, 1], numbers[:, 2]),
                    columns.draw(numbers[:, 3], numbers[:, 4]),
                ],
                axis=1,
            ),
            shear=(2 * numbers[:, 5] - 1) * self.shear,
            zoom=smallest + numbers[:, 6:8] * (largest - smallest),
            flip=(numbers[:, 8:10] < 0.5) & np.array(self.flip),
        )

    def compose(self, warps: Warps, height: int, width: int) -> Moves:
        """Turn parameters into one map for each image of a size."""
        interpolate = (
            (warps.shift != np.rint(warps.shift)).any(axis=1)
            | (warps.zoom != 1).any(axis=1)
            | (warps.rotation != 0)
            | (warps.shear != 0)
        )
        matrices = _matrices(warps, height, width)
        beyond = _beyond(matrices, height, width)
        return Moves(interpolate, matrices, warps.shift, warps.flip, beyond)

    def apply(self, images: np.ndarray, moves: Moves, out: np.ndarray) -> None:
        """Warp each image by its own map.

        Parameters
        ----------
        images : ndarray of shape (n, height, width, channels)
            Of type uint8, uint16 or float32, and C-contiguous. Left as they are.
        moves : Moves
            From :meth:`compose`.
        out : ndarray of shape (n, height, width, channels), float32
            Where the warped images are written, C-contiguous.
        """
        warped = np.flatnonzero(moves.interpolate).tolist()
        channels = images.shape[3]
        if warped and channels in _EXACT:
            self._warp(images, moves, warped, out)
        elif warped:
            first = 0
            while first < channels:
                width = max(c for c in _EXACT if c <= channels - first)
                part = slice(first, first + width)
                layers = np.ascontiguousarray(images[..., part])
                target = np.empty(layers.shape, np.float32)
                self._warp(layers, moves, warped, target)
                out[..., part] = target
                first += width
        for k in np.flatnonzero(~moves.interpolate).tolist():
            self._move(images[k], moves.shift[k], moves.flip[k], out[k])

    def _warp(
        self, images: np.ndarray, moves: Moves, chosen: list[int], out: np.ndarray
    ) -> None:
        """Interpolate the chosen images, of 1, 3 or 4 channels, into `out`."""
        n, height, width, channels = images.shape
        border, cval = BORDERS[self.fill_mode], (self.cval,) * 4
        size, flags = (width, height), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        target, matrices = out, moves.matrices
        side, top = moves.beyond
        # OpenCV takes less than half the time for four channels as for three, and for
        # an image that has what lies beyond its border. Both are quick to add, and
        # quickest before the values become floats.
        quick = channels == 3 and height * width >= _LARGE
        pad = quick and border != cv2.BORDER_CONSTANT and max(side, top) <= min(size)
        if quick:
            target = scratch("warped", (n, height, width, 4), np.float32)
            layers = scratch("layers", target.shape, images.dtype)
            cv2.cvtColor(_rows(images), cv2.COLOR_RGB2RGBA, _rows(layers))
            images = layers
        if pad:
            matrices = matrices + np.array([[0, 0, side], [0, 0, top]])
            height, width = height + 2 * top, width + 2 * side
        # One image at a time, which stays in the processor's cache.
        padded = scratch("padded", (height, width, images.shape[3]), images.dtype)
        floats = scratch("floats", padded.shape, np.float32)
        convert = images.dtype != np.float32
        for k in chosen:
            image = images[k]
            if pad:
                image = cv2.copyMakeBorder(image, top, top, side, side, border, padded)
            if convert:
                np.copyto(floats, image)
                image = floats
            cv2.warpAffine(image, matrices[k], size, target[k], flags, border, cval)
        if quick:
            cv2.cvtColor(_rows(target), cv2.COLOR_RGBA2RGB, _rows(out))

    def _move(
        self, image: np.ndarray, shift: np.ndarray, flip: np.ndarray, out: np.ndarray
    ) -> None:
        """Shift by whole pixels, then flip."""
        step = np.where(flip, -1, 1)
        target = out[:: step[0], :: step[1]]
        if not shift.any():
            target[...] = image
            return
        rows, outside_rows = self._sources(image.shape[0], int(shift[0]))
        columns, outside_columns = self._sources(image.shape[1], int(shift[1]))
        target[...] = image.take(rows, axis=0).take(columns, axis=1)
        if self.fill_mode == "constant":
            target[outside_rows] = self.cval
            target[:, outside_columns] = self.cval

    def _sources(self, side: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where each pixel along a side comes from, and which lie beyond it."""
        wanted = np.arange(side) + shift
        outside = (wanted < 0) | (wanted >= side)
        if self.fill_mode == "wrap":
            return wanted % side, outside
        if self.fill_mode == "reflect":
            wanted %= 2 * side
            return np.minimum(wanted, 2 * side - 1 - wanted), outside
        return wanted.clip(0, side - 1), outside


def _rows(images: np.ndarray) -> np.ndarray:
    """Return images one below the other, as one image that shares their memory."""
    n, height, width, channels = images.shape
    return images.reshape(n * height, width, channels)


def _matrices(warps: Warps, height: int, width: int) -> np.ndarray:
    """Compose maps from output to input (column, row), about the centre.

    The order is that of Keras: rotation, then shift, shear and zoom; flips come last.
    """
    # Of the product of a rotation R, a shear S and zooms, entry by entry: batches are
    # small, and each call to NumPy counts.
    angle, shear = np.deg2rad(warps.rotation), np.deg2rad(warps.shear)
    cos, sin = np.cos(angle), np.sin(angle)
    row_shift, column_shift = warps.shift.T
    row_zoom, column_zoom = (warps.zoom * np.where(warps.flip, -1, 1)).T
    x, y = width / 2 - 0.5, height / 2 - 0.5
    out = np.empty((len(angle), 2, 3))
    out[:, 0, 0] = cos * column_zoom
    out[:, 1, 0] = -sin * column_zoom
    # Turned by both angles, in one.
    out[:, 0, 1] = np.sin(angle - shear) * row_zoom
    out[:, 1, 1] = np.cos(angle - shear) * row_zoom
    out[:, 0, 2] = cos * column_shift + sin * row_shift + x
    out[:, 1, 2] = cos * row_shift - sin * column_shift + y
    out[:, :, 2] -= out[:, :, 0] * x + out[:, :, 1] * y
    return out


def _beyond(matrices: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Return how far maps reach beyond the sides and beyond top and bottom."""
    x, y = (width - 1) / 2, (height - 1) / 2
    horizontal, vertical, offset = matrices.transpose(2, 0, 1)
    extent = np.abs(horizontal) * x + np.abs(vertical) * y
    middle = horizontal * x + vertical * y + offset
    reached = np.maximum(extent + middle, extent - middle + (2 * x, 2 * y))
    side, top = reached.max(axis=0, initial=0.0) - (2 * x, 2 * y)
    # One more for rounding errors.
    return max(math.ceil(side) + 1, 0), max(math.ceil(top) + 1, 0)
