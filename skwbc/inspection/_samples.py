"""Names and pixel values of the samples in plots, tables and reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skwbc._utils.sklearn_compat import num_samples
from skwbc.augmentation._images import pixel_range
from skwbc.datasets import ImageFiles


def sample_names(X: Any, names: Sequence[Any] | None, default: str = "{}") -> list[str]:
    """Return one name per sample.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples.
    names : sequence of length n_samples or None
        Names chosen by the user. By default the files of an
        :class:`~skwbc.datasets.ImageFiles`, and positions for other data.
    default : str, default="{}"
        Format string for the name of the sample at a position.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If the numbers of names and samples differ.
    """
    n_samples = num_samples(X)
    if names is None:
        numbered = [default.format(position) for position in range(n_samples)]
        names = X.filenames if isinstance(X, ImageFiles) else numbered
    if len(names) != n_samples:
        raise ValueError(
            f"Got {len(names)} names for {n_samples} samples; expected one per sample."
        )
    return [str(name) for name in names]


def scale_pixels(
    images: np.ndarray, value_range: tuple[float, float] | None = None
) -> np.ndarray:
    """Scale pixel values to fractions from 0, black, to 1, white.

    Parameters
    ----------
    images : ndarray
        Images of any real data type.
    value_range : (float, float), default=None
        Values of black and white; by default those of :func:`pixel_range`.
    """
    low, high = pixel_range(images) if value_range is None else value_range
    return ((images - low) / (high - low)).clip(0, 1)
