"""Standardisation of pixel values, and the statistics of images that it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from sklearn.preprocessing import StandardScaler

from skwbc._utils.sklearn_compat import num_samples
from skwbc.augmentation._images import float_batches

# Keras adds it to standard deviations before it divides by them.
_TINY = np.float32(1e-6)


class Whitening(NamedTuple):
    """Zero-phase component analysis.

    Attributes
    ----------
    components : ndarray of shape (n_components, n_values), float32
        Orthonormal directions in which the training images vary.
    scale : ndarray of shape (n_components,), float32
        Factors for the coordinates along them.
    """

    components: np.ndarray
    scale: np.ndarray

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return whitened images in a new array."""
        coordinates = images.reshape(len(images), -1) @ self.components.T
        coordinates *= self.scale
        return (coordinates @ self.components).reshape(images.shape)


@dataclass(frozen=True, eq=False)
class Standardisation:
    """Steps that bring pixel values to one scale, in the order of the attributes.

    Attributes
    ----------
    preprocessing_function : callable or None
        Takes and returns one image.
    rescale : float or None
        Factor.
    samplewise_center, samplewise_std : bool
        Subtract the image's own mean; then divide by its own standard deviation.
    mean, std : ndarray or None
        Subtract, and divide by, one value per channel. The arrays broadcast over
        images.
    whitening : Whitening or None
        The last step.
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
        """Everything besides the image that the result depends on.

        None if some of it was learnt from other images, or is a function of the user.
        """
        others = self.preprocessing_function, self.mean, self.std, self.whitening
        if any(each is not None for each in others):
            return None
        return self.rescale, self.samplewise_center, self.samplewise_std

    def prepare(self, images: np.ndarray) -> None:
        """Apply the first two steps, after which statistics are computed, in place."""
        if self.preprocessing_function is not None:
            for image in images:
                image[...] = self._preprocess(image)
        if self.rescale is not None:
            images *= np.float32(self.rescale)

    def apply(self, images: np.ndarray) -> None:
        """Standardise C-contiguous float32 images in place."""
        self.prepare(images)
        # OpenCV sums in double precision, and several times as fast as NumPy.
        rows = images.reshape(len(images), -1)
        if self.samplewise_center:
            rows -= np.float32(cv2.reduce(rows, 1, cv2.REDUCE_AVG, dtype=cv2.CV_64F))
        if self.samplewise_std:
            # The mean is zero, since samplewise_center is on as well.
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
                "preprocessing_function must return an image of real numbers that has "
                f"the shape of its input, {image.shape}; it returned an array of shape "
                f"{result.shape} and dtype {result.dtype}."
            )
        return result


def moments(
    X: Any, standardisation: Standardisation, channel_axis: int, owner: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel of prepared images.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images.
    standardisation : Standardisation
        Prepares them.
    channel_axis : int
        The axis of the channels in `X`.
    owner : str
        Name of the estimator, for error messages.

    Returns
    -------
    mean, std : ndarray of shape (channels,), float64
        Computed in double precision.
    """
    scaler = StandardScaler()
    for images in float_batches(X, owner):
        standardisation.prepare(images)
        channels = np.moveaxis(images, channel_axis, -1)
        scaler.partial_fit(channels.reshape(-1, channels.shape[-1]))
    return scaler.mean_, np.sqrt(scaler.var_)


def fit_whitening(
    X: Any, steps: Standardisation, mean: np.ndarray, epsilon: float, owner: str
) -> Whitening:
    """Compute the directions in which images vary, and how much.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Small images: all of them are held as float64.
    steps : Standardisation
        Prepares them.
    mean : ndarray
        Subtracted from each prepared image.
    epsilon : float
        Added to singular values before dividing by them.
    owner : str
        Name of the estimator, for error messages.

    Returns
    -------
    Whitening
        Without the directions in which the images do not vary beyond rounding errors.
    """
    rows = np.empty((num_samples(X), int(np.prod(X.shape[1:]))))
    start = 0
    for images in float_batches(X, owner):
        steps.prepare(images)
        images -= mean
        rows[start : start + len(images)] = images.reshape(len(images), -1)
        start += len(images)
    _, singular, components = np.linalg.svd(rows, full_matrices=False)
    # The precision is that of the float32 images.
    negligible = max(rows.shape) * np.finfo(np.float32).eps * singular.max(initial=0.0)
    kept = singular > negligible
    scale = np.sqrt(len(rows)) / (singular[kept] + epsilon)
    return Whitening(components[kept].astype(np.float32), scale.astype(np.float32))
