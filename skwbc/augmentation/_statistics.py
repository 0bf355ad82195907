"""What an augmenter learns from images: their range, moments and components.

Images are read some at a time, so that they may be more than fit into memory.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from skwbc._utils.lazy_arrays import positions_of, read_rows
from skwbc._utils.sklearn_compat import num_samples
from skwbc.augmentation._images import as_finite_float32
from skwbc.augmentation._standardise import Standardisation, Whitening

# Bytes of float32 images that are looked at together.
_AT_A_TIME = 2**22
_WHITES = (1, 255, 4095, 65535)


class Moments(NamedTuple):
    """Mean and standard deviation of each channel, of shape (channels,), float64."""

    mean: np.ndarray
    std: np.ndarray


def check_values(X: Any, owner: str) -> tuple[float, float]:
    """Read all images, refuse NaN and infinity, and return the range of values.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images.
    owner : str
        Name of the estimator, for the messages.

    Returns
    -------
    low, high : float
        Smallest and largest value.
    """
    low, high = np.inf, -np.inf
    for images in _in_batches(X, owner):
        low, high = min(low, float(images.min())), max(high, float(images.max()))
    return low, high


def white_level(dtype: np.dtype, high: float) -> float:
    """Tell which pixel value is white.

    Parameters
    ----------
    dtype : dtype
        Type of the images.
    high : float
        Their largest value.

    Returns
    -------
    float
        255 for uint8, 1 for bool. For other types the least of 1, 255, 4095 and 65535
        (fractions, 8, 12 and 16 bits) that no value exceeds, or else `high`. Floats
        may exceed it by a tenth, as they do after an interpolation.
    """
    if dtype == np.uint8:
        return 255.0
    most = 1.1 if dtype.kind == "f" else 1.0
    return float(next((white for white in _WHITES if high <= most * white), high))


def moments(
    X: Any, standardisation: Standardisation, channel_axis: int, owner: str
) -> Moments:
    """Return mean and standard deviation of each channel of prepared images.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images.
    standardisation : Standardisation
        Prepares them.
    channel_axis : int
        Which axis of `X` has the channels.
    owner : str
        Name of the estimator, for the messages.

    Returns
    -------
    Moments
        Merged batch by batch (Chan, Golub & LeVeque, 1983) in double precision.
    """
    axes = tuple(axis for axis in range(4) if axis != channel_axis)
    count = 0
    mean = squares = np.zeros(X.shape[channel_axis])
    for images in _in_batches(X, owner):
        standardisation.prepare(images)
        n = images.size // len(mean)
        batch_mean = images.mean(axis=axes, dtype=np.float64)
        batch_squares = images.var(axis=axes, dtype=np.float64) * n
        difference = batch_mean - mean
        total = count + n
        mean = mean + difference * (n / total)
        squares = squares + batch_squares + difference**2 * (count * n / total)
        count = total
    return Moments(mean, np.sqrt(squares / count))


def fit_whitening(
    X: Any, standardisation: Standardisation, epsilon: float, owner: str
) -> Whitening:
    """Find the directions in which images vary, and how much.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images. All of them are held as float64, which is why this is for small ones.
    standardisation : Standardisation
        Prepares and centres them.
    epsilon : float
        Added to singular values before they are divided by.
    owner : str
        Name of the estimator, for the messages.

    Returns
    -------
    Whitening
        Without the directions in which the images do not vary beyond rounding errors.
    """
    rows = np.empty((num_samples(X), int(np.prod(X.shape[1:]))))
    start = 0
    for images in _in_batches(X, owner):
        standardisation.prepare(images)
        images -= standardisation.mean
        rows[start : start + len(images)] = images.reshape(len(images), -1)
        start += len(images)
    _, singular, components = np.linalg.svd(rows, full_matrices=False)
    # The precision is that of the float32 images.
    negligible = max(rows.shape) * np.finfo(np.float32).eps * singular.max(initial=0.0)
    kept = singular > negligible
    scale = np.sqrt(len(rows)) / (singular[kept] + epsilon)
    return Whitening(components[kept].astype(np.float32), scale.astype(np.float32))


def _in_batches(X: Any, owner: str) -> Iterator[np.ndarray]:
    """Yield new float32 arrays of images in order."""
    size = max(1, _AT_A_TIME // (4 * int(np.prod(X.shape[1:]))))
    for rows in gen_batches(num_samples(X), size):
        images = read_rows(X, rows)
        # New, since what is yielded may be changed.
        out = np.empty(images.shape, np.float32)
        positions = positions_of(X, rows)
        yield as_finite_float32(images, owner, positions=positions, out=out)
