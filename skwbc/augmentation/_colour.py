"""Random changes of colour: stain, channel shift, brightness."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

# Optical density of haematoxylin and eosin in red, green and blue: Ruifrok & Johnston,
# "Quantification of histochemical staining by color deconvolution", Analytical and
# Quantitative Cytology and Histology 23 (2001). The third direction, orthogonal to
# both, is the residual.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
_STAINS /= np.linalg.norm(_STAINS, axis=1, keepdims=True)
_RESIDUAL = np.cross(*_STAINS)
_STAINS = np.vstack([_STAINS, _RESIDUAL / np.linalg.norm(_RESIDUAL)])
_UNMIX = np.linalg.inv(_STAINS)
# Darker pixels count as this fraction of white.
_DARKEST = np.float32(1e-6)


def optical_densities(rgb: np.ndarray) -> np.ndarray:
    """Separate haematoxylin, eosin and the residual.

    Parameters
    ----------
    rgb : ndarray of shape (..., 3)
        Fractions of white, 0 to 1. Darker pixels count as 1 / 255.

    Returns
    -------
    ndarray of shape (..., 3)
        Optical densities (decimal logarithms).
    """
    return -np.log10(np.maximum(rgb, 1 / 255)) @ _UNMIX


class Colours(NamedTuple):
    """Drawn parameters, one entry per image.

    Attributes
    ----------
    stain_scale, stain_shift : ndarray of shape (n, 2)
        Factors for the concentrations of haematoxylin and eosin, and optical densities
        that are added to them.
    channel_shift : ndarray of shape (n,)
        Added to all channels.
    brightness : ndarray of shape (n,)
        Factor.
    """

    stain_scale: np.ndarray
    stain_shift: np.ndarray
    channel_shift: np.ndarray
    brightness: np.ndarray


@dataclass(frozen=True)
class RandomColour:
    """Distribution of changes of colour.

    Attributes
    ----------
    stain : pair of float
        Scales of a stain are within 1 ± the first, shifts within ± the second.
    channel_shift : float
        Shifts are within ± this, on the scale of the input.
    brightness : pair of float
        Factors from and to.
    white : float
        The pixel value that counts as white.
    """

    stain: tuple[float, float] = (0.0, 0.0)
    channel_shift: float = 0.0
    brightness: tuple[float, float] = (1.0, 1.0)
    white: float = 1.0

    # Uniform numbers that each image takes, whatever the options are.
    NUMBERS = 6

    @property
    def is_identity(self) -> bool:
        """True if no draw can change an image."""
        plain = self.brightness == (1.0, 1.0)
        return plain and not (any(self.stain) or self.channel_shift)

    def draw(self, numbers: np.ndarray) -> Colours:
        """Turn uniform numbers from 0 to 1, of shape (n, NUMBERS), into parameters."""
        scale, shift = self.stain
        darkest, brightest = self.brightness
        return Colours(
            stain_scale=1 + (2 * numbers[:, 0:2] - 1) * scale,
            stain_shift=(2 * numbers[:, 2:4] - 1) * shift,
            channel_shift=(2 * numbers[:, 4] - 1) * self.channel_shift,
            brightness=darkest + numbers[:, 5] * (brightest - darkest),
        )

    def apply(self, images: np.ndarray, colours: Colours) -> None:
        """Change float32 images of shape (n, height, width, channels) in place."""
        if any(self.stain):
            matrices = self._stain_matrices(colours)
            for image, matrix in zip(images, matrices, strict=True):
                self._restain(image, matrix)
        if self.channel_shift:
            for image, shift in zip(images, colours.channel_shift, strict=True):
                low, high, *_ = cv2.minMaxLoc(image.reshape(len(image), -1))
                image += np.float32(shift)
                # Values leave the range at one end only.
                if shift > 0:
                    np.minimum(image, np.float32(high), out=image)
                else:
                    np.maximum(image, np.float32(low), out=image)
        if self.brightness != (1.0, 1.0):
            for image, factor in zip(images, colours.brightness, strict=True):
                image *= np.float32(factor)
                if factor > 1:
                    np.minimum(image, np.float32(self.white), out=image)

    def _stain_matrices(self, colours: Colours) -> np.ndarray:
        """Return maps of logarithms (red, green, blue, 1) to (red, green, blue)."""
        scale = np.ones((len(colours.stain_scale), 3))
        scale[:, :2] = colours.stain_scale
        linear = np.einsum("si,ns,js->nij", _STAINS, scale, _UNMIX)
        density = colours.stain_shift @ _STAINS[:2]
        # An optical density is a negative decimal logarithm.
        offset = -np.log(10) * density
        return np.concatenate([linear, offset[..., np.newaxis]], axis=2)

    def _restain(self, image: np.ndarray, matrix: np.ndarray) -> None:
        np.multiply(image, np.float32(1 / self.white), out=image)
        np.maximum(image, _DARKEST, out=image)
        cv2.log(image, dst=image)
        logarithms = cv2.transform(image, matrix)
        np.minimum(logarithms, 0, out=logarithms)
        cv2.exp(logarithms, dst=image)
        np.multiply(image, np.float32(self.white), out=image)
