"""The part of an augmenter that is not random: bringing pixel values to one scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skwbc.augmentation._images import as_finite_float32


@dataclass(frozen=True)
class Standardisation:
    """Rescaling, then centring each image on its own mean."""

    rescale: float | None = None
    samplewise_center: bool = False

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Standardise float32 `images` in place, and return them."""
        if self.rescale is not None:
            images *= np.float32(self.rescale)
        if self.samplewise_center:
            images -= images.mean(axis=(1, 2, 3), keepdims=True)
        return images

    def apply_to_all(self, images: Any, owner: str, rows: int = 64) -> np.ndarray:
        """Standardise an array-like of any type, some rows at a time, into a new one.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width, channels)
            Read in slices, so a memory map or a lazy array is never loaded twice.
        owner : str
            Name of the estimator, for the messages.
        rows : int, default=64
            Images at a time.

        Returns
        -------
        ndarray of shape (n_samples, height, width, channels), float32
        """
        out = np.empty(images.shape, np.float32)
        for start in range(0, len(out), rows):
            part = slice(start, start + rows)
            out[part] = self.apply(as_finite_float32(images[part], owner))
        return out
