"""From images to rows of figures about their colours."""

from numbers import Real
from typing import Any, Self

import cv2
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.sklearn_compat import Interval, fit_context
from skwbc._utils.versions import Stamped
from skwbc.augmentation._colour import optical_densities
from skwbc.augmentation._images import check_images
from skwbc.augmentation._statistics import white_level

_CHANNELS = (
    *("red", "green", "blue"),
    *("haematoxylin", "eosin", "residual"),
    *("hue", "saturation", "value"),
)
_PERCENTILES = (5, 25, 50, 75, 95)
_FIGURES = ("mean", "std", "skewness", *(f"p{p}" for p in _PERCENTILES))
_AT_A_TIME = 64
# Hues above it, of 1, are cyan up to rounding; no other hue of uint8 is so near to it.
_NEARLY_CYAN = np.float32(1 - 1e-4)


class ColourStatistics(Stamped, TransformerMixin, BaseEstimator):
    """Describe the colours of a cell by moments and percentiles.

    Of red, green and blue, of the densities of haematoxylin and eosin and of what
    neither explains [1]_, and of hue, saturation and value it takes mean, standard
    deviation, skewness and the percentiles 5, 25, 50, 75 and 95: 72 figures an image,
    which say nothing of shapes and do not change when the cell is turned. Behind a
    scaler they are enough for a linear classifier of stained cells that any network
    has to beat first. Of images that are not RGB, grey ones for instance, each channel
    is described as it is, by 8 figures.

    Parameters
    ----------
    radius : float or None, default=0.8
        Pixels further from the centre than this are left out: 1 is half the shorter
        side. Images of single cells have the cell in the middle, and its neighbours in
        the corners. None takes all pixels.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``.
    white_level_ : float
        The value of white: 255 for uint8; for other types the least of 1, 255, 4095
        and 65535 that no value seen by ``fit`` exceeds, floats by more than a tenth.

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

    _parameter_constraints: dict = {
        "radius": [Interval(Real, 0, None, closed="neither"), None],
    }
    _takes_lazy_arrays = _gives_arrays = True

    def __init__(self, radius: float | None = 0.8) -> None:
        self.radius = radius

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the shape of the images, and which value is white.

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
            If `X` is no array of images, or `radius` leaves no pixel.
        """
        X = check_images(X, type(self).__name__)
        shape = tuple(X.shape[1:])
        if not _disc(shape, self.radius).any():
            raise ValueError(
                f"radius={self.radius} leaves no pixel of images of {shape[0]} x "
                f"{shape[1]} pixels. Choose a larger one."
            )
        high = 0.0
        if X.dtype != np.uint8:
            high = max(float(np.max(images)) for images in _parts(X))
        self.white_level_ = white_level(X.dtype, high)
        self.image_shape_ = shape
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, 72), float64
            (n_samples, 8 * channels) for images that are not RGB. For each statistic in
            turn its value for each channel; names are in
            :meth:`get_feature_names_out`.

        Raises
        ------
        ValueError
            If `X` is no array of images of that size.
        """
        check_is_fitted(self)
        X = check_images(X, type(self).__name__, image_shape=self.image_shape_)
        disc = _disc(self.image_shape_, self.radius)
        scale = np.float32(1 / self.white_level_)
        return np.array(
            [
                _describe(np.asarray(image, np.float32)[disc] * scale)
                for images in _parts(X)
                for image in images
            ]
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the figures.

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
        check_is_fitted(self)
        n_channels = self.image_shape_[2]
        channels = _CHANNELS if n_channels == 3 else range(n_channels)
        names = [f"{figure}_{channel}" for figure in _FIGURES for channel in channels]
        return np.array(names, dtype=object)

    @property
    def _transform_key(self) -> tuple:
        """Transformers with the same key do the same (see ``_together``)."""
        return self.radius, self.white_level_, self.image_shape_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "image_shape_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def _parts(X: Any):
    """Yield images, some at a time: they may be more than fit into memory."""
    for start in range(0, X.shape[0], _AT_A_TIME):
        yield read_rows(X, slice(start, start + _AT_A_TIME))


def _disc(shape: tuple[int, ...], radius: float | None) -> np.ndarray:
    """Return which pixels are within the radius of the centre."""
    height, width = shape[:2]
    if radius is None:
        return np.ones((height, width), bool)
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2)
    return distance < radius * min(height, width) / 2


def _describe(pixels: np.ndarray) -> np.ndarray:
    """Return the figures of float32 pixels from 0 to 1, shape (n_pixels, channels)."""
    values = pixels.clip(0, 1)
    if values.shape[1] == 3:
        values = _colours(values)
    # A row for each channel, whose pixels are then beside each other in memory.
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
    # The hues of stained smears lie on both sides of red: the circle is cut at cyan.
    hue = (hsv[:, 0] + 180) % 360 / 360
    hsv[:, 0] = np.where(hue > _NEARLY_CYAN, 0, hue)
    return np.hstack([rgb, optical_densities(rgb), hsv])
