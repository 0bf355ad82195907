"""Random affine warps, one for each image, drawn as Keras' ImageDataGenerator does.

All parameters of an image are composed into one matrix, so that the image is
interpolated only once, bilinearly. OpenCV 5 does that to float rounding; OpenCV 4
rounds the coordinates to 1/32 pixel. Flips and shifts by whole pixels are copies.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}


class Warps(NamedTuple):
    """Drawn parameters, one entry per image.

    Attributes
    ----------
    rotation : ndarray of shape (n,)
        Degrees.
    shift : ndarray of shape (n, 2)
        Rows and columns, in pixels.
    shear : ndarray of shape (n,)
        Degrees.
    zoom : ndarray of shape (n, 2)
        Factors for rows and columns; a factor below 1 enlarges.
    flip : ndarray of shape (n, 2), bool
        Whether to flip up and down, and left and right, after everything else.
    """

    rotation: np.ndarray
    shift: np.ndarray
    shear: np.ndarray
    zoom: np.ndarray
    flip: np.ndarray


class Moves(NamedTuple):
    """Warps of images of one size, one entry per image.

    Attributes
    ----------
    interpolate : ndarray of shape (n,), bool
        False if flips and a shift by whole pixels are all there is.
    matrices : ndarray of shape (n, 2, 3)
        Maps from output to input coordinates, (column, row) as in OpenCV.
    """

    interpolate: np.ndarray
    matrices: np.ndarray


class ShiftRange(NamedTuple):
    """Distribution of shifts along one axis, in pixels.

    Attributes
    ----------
    limit : float, default=0
        Without `choices`, shifts are uniform between ± this.
    choices : tuple of float, default=()
        Shifts are one of these, with a random sign.
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
    """Distribution of warps. See `ImageAugmenter` for the terms.

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

    # Uniform numbers that each image takes, whatever the options are.
    NUMBERS = 10

    @property
    def is_identity(self) -> bool:
        """True if no draw can change an image."""
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
        """Compose the parameters into one map per image of the given size."""
        interpolate = (
            (warps.shift != np.rint(warps.shift)).any(axis=1)
            | (warps.zoom != 1).any(axis=1)
            | (warps.rotation != 0)
            | (warps.shear != 0)
        )
        return Moves(interpolate, _matrices(warps, height, width))

    def apply(self, images: np.ndarray, moves: Moves, out: np.ndarray) -> None:
        """Warp each image by its own map.

        Parameters
        ----------
        images : ndarray of shape (n, height, width, channels)
            C-contiguous images of any type that casts to float32. They are not changed.
        moves : Moves
            From :meth:`compose`.
        out : ndarray of shape (n, height, width, channels), float32
            C-contiguous array for the warped images.
        """
        channels = images.shape[3]
        if channels in (1, 3, 4):
            self._warp(images, moves, out)
        else:
            # OpenCV takes at most 4 channels at a time, and rounds coordinates for 2.
            first = 0
            for size in [4] * (channels // 4) + [[], [1], [1, 1], [3]][channels % 4]:
                part = slice(first, first + size)
                warped = np.empty((*images.shape[:3], size), np.float32)
                self._warp(np.ascontiguousarray(images[..., part]), moves, warped)
                out[..., part] = warped
                first += size

    def _warp(self, images: np.ndarray, moves: Moves, out: np.ndarray) -> None:
        """Warp images of 1, 3 or 4 channels."""
        size, border = images.shape[2:0:-1], BORDERS[self.fill_mode]
        cval = (self.cval,) * 4
        for image, interpolate, matrix, target in zip(images, *moves, out, strict=True):
            image = image.astype(np.float32, copy=False)
            flags = cv2.INTER_LINEAR if interpolate else cv2.INTER_NEAREST
            flags |= cv2.WARP_INVERSE_MAP
            cv2.warpAffine(image, matrix, size, target, flags, border, cval)


def _matrices(warps: Warps, height: int, width: int) -> np.ndarray:
    """Compose maps from output to input (column, row), about the centre.

    The order is that of Keras: rotation, then shift, shear and zoom; flips come last.
    """
    # The product of a rotation, a shear and zooms is written out entry by entry, since
    # batches are small and each call to NumPy takes its time.
    angle, shear = np.deg2rad(warps.rotation), np.deg2rad(warps.shear)
    cos, sin = np.cos(angle), np.sin(angle)
    row_shift, column_shift = warps.shift.T
    row_zoom, column_zoom = (warps.zoom * np.where(warps.flip, -1, 1)).T
    x, y = width / 2 - 0.5, height / 2 - 0.5
    out = np.empty((len(angle), 2, 3))
    out[:, 0, 0] = cos * column_zoom
    out[:, 1, 0] = -sin * column_zoom
    # Rotation and shear together turn this axis.
    out[:, 0, 1] = np.sin(angle - shear) * row_zoom
    out[:, 1, 1] = np.cos(angle - shear) * row_zoom
    out[:, 0, 2] = cos * column_shift + sin * row_shift + x
    out[:, 1, 2] = cos * row_shift - sin * column_shift + y
    out[:, :, 2] -= out[:, :, 0] * x + out[:, :, 1] * y
    return out
