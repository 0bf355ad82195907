"""Random affine warps: drawn as Keras' ImageDataGenerator draws them, one for an image.

All parameters of an image are composed into one matrix, so that it is interpolated
once, bilinearly, whatever was asked for. OpenCV 5 does that to float rounding; OpenCV 4
rounds the coordinates to 1/32 pixel.
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
# The largest number of channels that OpenCV warps at a time.
_CHANNELS = 4


class Warps(NamedTuple):
    """Drawn parameters, an entry for each image.

    Attributes
    ----------
    rotation : ndarray of shape (n,)
        Degrees.
    shift : ndarray of shape (n, 2)
        Rows and columns, in pixels.
    zoom : ndarray of shape (n, 2)
        Factors for rows and columns; below 1 enlarges.
    flip : ndarray of shape (n, 2), bool
        Whether top and bottom, and left and right, change places after all else.
    """

    rotation: np.ndarray
    shift: np.ndarray
    zoom: np.ndarray
    flip: np.ndarray


@dataclass(frozen=True)
class RandomAffine:
    """The distribution that warps are drawn from. See `ImageAugmenter` for the terms.

    Ranges are in degrees (`rotation`), in pixels of rows and columns (`shift`), or
    factors from and to (`zoom`); `flip` is for rows and columns.
    """

    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: tuple[float, float] = (1.0, 1.0)
    flip: tuple[bool, bool] = (False, False)
    fill_mode: str = "nearest"
    cval: float = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether no draw can change an image."""
        return not (any(self.flip) or self._interpolates)

    @property
    def _interpolates(self) -> bool:
        return bool(self.rotation or any(self.shift) or self.zoom != (1.0, 1.0))

    def draw(self, n: int, rng: np.random.Generator) -> Warps:
        """Draw `n` warps, advancing `rng` by as much whatever the options are."""
        shift = np.array(self.shift)
        return Warps(
            rotation=rng.uniform(-self.rotation, self.rotation, n),
            shift=rng.uniform(-shift, shift, (n, 2)),
            zoom=rng.uniform(*self.zoom, (n, 2)),
            flip=(rng.random((n, 2)) < 0.5) & np.array(self.flip),
        )

    def apply(self, images: np.ndarray, warps: Warps) -> np.ndarray:
        """Warp each image by its own parameters.

        Parameters
        ----------
        images : ndarray of shape (n, height, width, channels), float32
            Left as they are.
        warps : Warps
            From :meth:`draw`.

        Returns
        -------
        ndarray of shape (n, height, width, channels), float32
            The warped images, new.
        """
        if not self._interpolates:
            out = images.copy()
            rows, columns = warps.flip.T
            out[rows] = out[rows, ::-1]
            out[columns] = out[columns, :, ::-1]
            return out
        height, width = images.shape[1:3]
        out = np.empty_like(images)
        for image, matrix, warped in zip(
            images, _matrices(warps, height, width), out, strict=True
        ):
            self._warp(image, matrix, warped)
        return out

    def _warp(self, image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
        height, width, channels = image.shape
        # OpenCV counts x before y.
        swapped = matrix[::-1, [1, 0, 2]]
        for first in range(0, channels, _CHANNELS):
            part = slice(first, first + _CHANNELS)
            warped = cv2.warpAffine(
                np.ascontiguousarray(image[..., part]),
                swapped,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=BORDERS[self.fill_mode],
                borderValue=(self.cval,) * _CHANNELS,
            )
            out[..., part] = warped.reshape(height, width, -1)


def _matrices(warps: Warps, height: int, width: int) -> np.ndarray:
    """Compose maps from output to input (row, column), about the centre.

    The order is that of Keras: rotation, then shift, then zoom; flips come last.
    """
    angle = np.deg2rad(warps.rotation)
    linear = np.empty((len(angle), 2, 2))
    linear[:, 0, 0] = linear[:, 1, 1] = np.cos(angle)
    linear[:, 1, 0] = np.sin(angle)
    linear[:, 0, 1] = -linear[:, 1, 0]
    offset = np.einsum("nij,nj->ni", linear, warps.shift)
    linear *= (warps.zoom * np.where(warps.flip, -1, 1))[:, np.newaxis]
    centre = np.array([height / 2 - 0.5, width / 2 - 0.5])
    offset += centre - linear @ centre
    return np.concatenate([linear, offset[..., np.newaxis]], axis=2)
