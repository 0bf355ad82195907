"""The part of an augmenter that is not random: bringing pixel values to one scale."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

# Keras adds it to standard deviations before it divides by them.
_TINY = np.float32(1e-6)


class Whitening(NamedTuple):
    """Zero-phase component analysis.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_values), float32
        Orthonormal directions in which the training images vary.
    scale : ndarray of shape (n_components,), float32
        What coordinates along them are multiplied by.
    """

    components: np.ndarray
    scale: np.ndarray

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return whitened images, new."""
        coordinates = images.reshape(len(images), -1) @ self.components.T
        coordinates *= self.scale
        return (coordinates @ self.components).reshape(images.shape)


@dataclass(frozen=True, eq=False)
class Standardisation:
    """What is done to the pixel values of each image, in this order.

    Attributes
    ----------
    preprocessing_function : callable or None
        Takes and returns one image.
    rescale : float or None
        Factor.
    samplewise_center, samplewise_std : bool
        Subtract the image's own mean; then divide by its own standard deviation.
    mean, std : ndarray or None
        Subtracted, and divided by; one for each channel, and of a shape that broadcasts
        over images.
    whitening : Whitening or None
        Comes last.
    """

    preprocessing_function: Callable[[np.ndarray], Any] | None = None
    rescale: float | None = None
    samplewise_center: bool = False
    samplewise_std: bool = False
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    whitening: Whitening | None = None

    @property
    def settings(self) -> tuple | None:
        """All that the result depends on besides the image.

        None if that was learnt from other images, or is somebody else's function.
        """
        theirs = self.preprocessing_function, self.mean, self.std, self.whitening
        if any(each is not None for each in theirs):
            return None
        return self.rescale, self.samplewise_center, self.samplewise_std

    def prepare(self, images: np.ndarray) -> None:
        """Do the first two, which come before statistics are taken, in place."""
        if self.preprocessing_function is not None:
            for image in images:
                image[...] = self._preprocess(image)
        if self.rescale is not None:
            images *= np.float32(self.rescale)

    def apply(self, images: np.ndarray) -> None:
        """Standardise C-contiguous float32 images in place."""
        self.prepare(images)
        # OpenCV adds up in double precision, and several times as quickly as NumPy.
        rows = images.reshape(len(images), -1)
        if self.samplewise_center:
            rows -= np.float32(cv2.reduce(rows, 1, cv2.REDUCE_AVG, dtype=cv2.CV_64F))
        if self.samplewise_std:
            # The mean is zero: samplewise_center comes along.
            norms = np.array([[cv2.norm(row)] for row in rows])
            rows /= np.float32(norms / np.sqrt(rows.shape[1])) + _TINY
        if self.mean is not None:
            images -= self.mean
        if self.std is not None:
            images /= self.std + _TINY
        if self.whitening is not None:
            images[...] = self.whitening.apply(images)

    def _preprocess(self, image: np.ndarray) -> np.ndarray:
        assert self.preprocessing_function is not None
        result = np.asarray(self.preprocessing_function(image))
        if result.shape != image.shape or result.dtype.kind not in "buif":
            raise ValueError(
                "preprocessing_function has to return an image of the shape it is "
                f"given, {image.shape}, with real numbers in it; it returned an array "
                f"of shape {result.shape} and dtype {result.dtype}."
            )
        return result
