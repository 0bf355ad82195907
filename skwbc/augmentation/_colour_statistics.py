"""From images to rows of statistics of their colours."""

from numbers import Real
from typing import Any, Self

import cv2
import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.fitting import store_fitted
from skwbc._utils.row_cache import cached_rows
from skwbc._utils.sklearn_compat import Interval, fit_context
from skwbc.augmentation._appearance import check_scale
from skwbc.augmentation._colour import optical_densities
from skwbc.augmentation._images import ImageTransformer, check_images, float_batches

_CHANNELS = (
    *("red", "green", "blue"),
    *("haematoxylin", "eosin", "residual"),
    *("hue", "saturation", "value"),
)
_PERCENTILES = (5, 25, 50, 75, 95)
_STATISTICS = ("mean", "std", "skewness", *(f"p{p}" for p in _PERCENTILES))
# Hues above this are cyan up to rounding. No other hue of uint8 comes that close to 1.
_NEARLY_CYAN = np.float32(1 - 1e-4)
_POSITIVE = Interval(Real, 0, None, closed="neither")


class ColourStatistics(ImageTransformer):
    """Describe the colours of a cell by moments and percentiles.

    The nine channels are red, green and blue; the densities of haematoxylin and eosin
    and of what neither explains [1]_; and hue, saturation and value. Each is described
    by its mean, standard deviation, skewness and percentiles 5, 25, 50, 75 and 95.
    These 72 features per image are independent of shapes, and do not change when the
    cell is turned. After a scaler they are enough for a linear classifier of stained
    cells, the baseline that any network has to beat first. For images that are not RGB,
    such as grey ones, the channels themselves are described by 8 features each.

    Parameters
    ----------
    radius : float or None, default=0.8
        Pixels further from the centre than this are left out; 1 is half the shorter
        side. Images of single cells show the cell in the middle and its neighbours in
        the corners. None uses all pixels.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images that ``fit`` was given.
    white_level_ : float
        Pixel value of white: 255 for uint8. For other types it is the least of 1, 255,
        4095 and 65535 that is not exceeded in ``fit``; floats may exceed it by a tenth.

    References
    ----------
    .. [1] A. C. Ruifrok, D. A. Johnston. "Quantification of histochemical staining by
       color deconvolution." Analytical and Quantitative Cytology and Histology 23(4),
       2001.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skwbc import ColourStatistics
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(6, random_state=0)
    >>> ColourStatistics().fit_transform(X).shape
    (18, 72)
    >>> clf = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    >>> clf.fit(X, y).predict(X).shape
    (18,)
    """

    __module__ = "skwbc"  # where pickles look for it

    _parameter_constraints: dict = {"radius": [_POSITIVE, None]}
    _gives_arrays = True

    def __init__(self, radius: float | None = 0.8) -> None:
        self.radius = radius

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Store the shape of the images, and which pixel value is white.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type; RGB if they have 3 channels.
        y : None
            Ignored.

        Returns
        -------
        ColourStatistics
            The transformer itself.

        Raises
        ------
        ValueError
            If `X` is not an array of images, `radius` leaves no pixel, or images hold
            NaN or infinity.
        """
        X = check_images(X, type(self).__name__)
        shape = tuple(X.shape[1:])
        if not _disc(shape, self.radius).any():
            raise ValueError(
                f"radius={self.radius} leaves no pixel of images of {shape[0]} x "
                f"{shape[1]} pixels. Choose a larger one."
            )
        store_fitted(self, **self._look_at(X))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size that ``fit`` was given.

        Returns
        -------
        ndarray of shape (n_samples, 72), float64
            (n_samples, 8 * channels) for images that are not RGB. The first columns are
            the means of all channels, then come their standard deviations, and so on;
            see :meth:`get_feature_names_out`.

        Raises
        ------
        ValueError
            If `X` is not an array of images of that size, or holds NaN or infinity.
        """
        X = self._check(X)
        check_scale(self._appearance, X, type(self).__name__)
        disc = _disc(self.image_shape_, self.radius)
        scale = np.float32(1 / self.white_level_)

        def describe(images: np.ndarray) -> np.ndarray:
            return np.array([_describe(image[disc] * scale) for image in images])

        key = type(self), self._transform_key
        batches = float_batches(X, type(self).__name__)
        return np.concatenate([cached_rows(each, describe, key) for each in batches])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (72,), object
            Such as "mean_red" and "p95_eosin"; "mean_0" and "p95_0" for images that are
            not RGB.
        """
        check_is_fitted(self, "image_shape_")
        n_channels = self.image_shape_[2]
        channels = _CHANNELS if n_channels == 3 else range(n_channels)
        names = [f"{name}_{channel}" for name in _STATISTICS for channel in channels]
        return np.array(names, dtype=object)

    @property
    def _transform_key(self) -> tuple:
        """Equal for transformers that do the same (see ``ensemble/_together.py``)."""
        return self.radius, self.white_level_, self.image_shape_


def _disc(shape: tuple[int, ...], radius: float | None) -> np.ndarray:
    """Return a mask of the pixels within the radius of the centre."""
    height, width = shape[:2]
    if radius is None:
        return np.ones((height, width), bool)
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    return distance < radius * min(height, width) / 2


def _describe(pixels: np.ndarray) -> np.ndarray:
    """Return the statistics of float32 pixels of shape (n_pixels, channels)."""
    values = pixels.clip(0, 1)
    if values.shape[1] == 3:
        values = _colours(values)
    # One row per channel, so that its pixels are contiguous in memory.
    values = np.ascontiguousarray(values.T, dtype=np.float64)
    mean = values.mean(axis=1)
    deviations = values - mean[:, np.newaxis]
    squares = deviations * deviations
    std = np.sqrt(squares.mean(axis=1))
    third = np.einsum("cp,cp->c", squares, deviations) / values.shape[1]
    skewness = third / np.maximum(std, 1e-6) ** 3
    percentiles = np.percentile(values, _PERCENTILES, axis=1, overwrite_input=True)
    return np.concatenate([mean, std, skewness, percentiles.ravel()])


def _colours(rgb: np.ndarray) -> np.ndarray:
    """Return RGB, densities of the stains, and HSV, shape (n_pixels, 9)."""
    hsv = cv2.cvtColor(rgb[np.newaxis], cv2.COLOR_RGB2HSV)[0]
    # The hues of stained smears lie on both sides of red, so cut the circle at cyan.
    hue = (hsv[:, 0] + 180) % 360 / 360
    hsv[:, 0] = np.where(hue > _NEARLY_CYAN, 0, hue)
    return np.hstack([rgb, optical_densities(rgb), hsv])
