"""The augmenting, standardising transformer."""

from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skwbc._random import draw_seed
from skwbc._sklearn_compat import Interval, StrOptions, fit_context
from skwbc.augmentation._affine import BORDERS, RandomAffine
from skwbc.augmentation._images import check_images
from skwbc.augmentation._lazy import AugmentedImages
from skwbc.augmentation._standardise import Standardisation


class ImageAugmenter(TransformerMixin, BaseEstimator):
    """Augment images while a classifier is fitted, and standardise them always.

    The transformer has two faces. ``transform`` is deterministic: it standardises.
    ``fit_transform``, which a pipeline calls while it is fitted, returns
    :class:`AugmentedImages` when an option below is random: an array-like that augments
    the images, and then standardises them, whenever a batch is drawn. So training
    images are changed and those to predict never are.

    The options have the names and the meaning they have in Keras'
    ``ImageDataGenerator``.

    Parameters
    ----------
    rotation_range : float, default=0
        Rotate by an angle drawn uniformly from ±`rotation_range` degrees, 0 to 180.
    width_shift_range : float, default=0
        Shift sideways by a distance drawn uniformly from ±`width_shift_range`: a
        fraction of the width if below 1, pixels otherwise.
    height_shift_range : float, default=0
        Shift up or down likewise, by a fraction of the height or by pixels.
    zoom_range : float or pair of float, default=0
        Zoom height and width by factors drawn uniformly from the pair; a number z from
        0 to 1 (excluded) is short for (1 - z, 1 + z). A factor below 1 enlarges.
    horizontal_flip : bool, default=False
        Flip left and right, every second time on average.
    vertical_flip : bool, default=False
        Flip top and bottom, every second time on average.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default="nearest"
        What is seen beyond the border: the nearest pixel, `cval`, the image mirrored,
        or the image repeated.
    cval : float, default=0
        The value beyond the border with ``fill_mode="constant"``, on the scale of the
        input.
    rescale : float, default=None
        Factor for all pixel values, 1/255 for instance.
    samplewise_center : bool, default=False
        Subtract from each image its own mean over rows, columns and channels, after
        `rescale`.
    random_state : int, RandomState instance or None, default=None
        Decides what is drawn. The global NumPy state is never touched: None takes fresh
        entropy.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``.

    See Also
    --------
    AugmentedImages : What ``fit_transform`` returns.

    Examples
    --------
    >>> import numpy as np
    >>> from skwbc import ImageAugmenter
    >>> X = np.random.default_rng(0).integers(256, size=(5, 16, 16, 3), dtype=np.uint8)
    >>> augmenter = ImageAugmenter(rescale=1 / 255, samplewise_center=True,
    ...                            rotation_range=180, horizontal_flip=True)
    >>> augmenter.fit_transform(X)
    AugmentedImages(shape=(5, 16, 16, 3), dtype=float32)
    >>> type(augmenter.transform(X))
    <class 'numpy.ndarray'>
    """

    _parameter_constraints: dict = {
        "rotation_range": [Interval(Real, 0, 180, closed="both")],
        "width_shift_range": [Interval(Real, 0, None, closed="left")],
        "height_shift_range": [Interval(Real, 0, None, closed="left")],
        "zoom_range": [Interval(Real, 0, 1, closed="left"), tuple, list],
        "horizontal_flip": ["boolean"],
        "vertical_flip": ["boolean"],
        "fill_mode": [StrOptions(set(BORDERS))],
        "cval": [Interval(Real, None, None, closed="neither")],
        "rescale": [Interval(Real, 0, None, closed="neither"), None],
        "samplewise_center": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        rotation_range=0.0,
        width_shift_range=0.0,
        height_shift_range=0.0,
        zoom_range=0.0,
        horizontal_flip=False,
        vertical_flip=False,
        fill_mode="nearest",
        cval=0.0,
        rescale=None,
        samplewise_center=False,
        random_state=None,
    ):
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.zoom_range = zoom_range
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.fill_mode = fill_mode
        self.cval = cval
        self.rescale = rescale
        self.samplewise_center = samplewise_center
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and remember the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images, of any real numeric type.
        y : None
            Ignored; there for scikit-learn's pipelines.

        Returns
        -------
        ImageAugmenter
            The augmenter itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range or `X` is no array of images.
        """
        self._zoom()
        self.image_shape_ = tuple(check_images(X, type(self).__name__).shape[1:])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Standardise images. Nothing is random here.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``. They are not changed.

        Returns
        -------
        ndarray of shape (n_samples, height, width, channels), float32
            Standardised images.

        Raises
        ------
        ValueError
            If `X` is no array of images of that size, or holds NaN or infinity.
        """
        check_is_fitted(self)
        owner = type(self).__name__
        X = check_images(X, owner, image_shape=self.image_shape_)
        return self._standardisation().apply_to_all(X, owner)

    def fit_transform(self, X: Any, y: Any = None) -> "AugmentedImages | np.ndarray":
        """Fit, and return the images to train on.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images, of any real numeric type. Kept as they are, not copied.
        y : None
            Ignored.

        Returns
        -------
        AugmentedImages or ndarray of shape (n_samples, height, width, channels)
            Lazy images that are augmented at each draw; the same float32 array as from
            ``transform`` if no option is random.
        """
        self.fit(X)
        affine = self._affine()
        if affine.is_identity:
            return self.transform(X)
        X = check_images(X, type(self).__name__)
        seed = draw_seed(self.random_state)
        return AugmentedImages(X, affine, self._standardisation(), seed)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "image_shape_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _standardisation(self) -> Standardisation:
        return Standardisation(self.rescale, self.samplewise_center)

    def _affine(self) -> RandomAffine:
        height, width, _ = self.image_shape_
        return RandomAffine(
            rotation=float(self.rotation_range),
            shift=(
                _in_pixels(self.height_shift_range, height),
                _in_pixels(self.width_shift_range, width),
            ),
            zoom=self._zoom(),
            flip=(bool(self.vertical_flip), bool(self.horizontal_flip)),
            fill_mode=self.fill_mode,
            cval=float(self.cval),
        )

    def _zoom(self) -> tuple[float, float]:
        zoom = self.zoom_range
        if isinstance(zoom, Real):
            return 1.0 - float(zoom), 1.0 + float(zoom)
        numbers = len(zoom) == 2 and all(isinstance(factor, Real) for factor in zoom)
        if not numbers or not 0 < zoom[0] <= zoom[1]:
            raise ValueError(
                f"zoom_range={zoom!r}: expected a number from 0 to 1 (excluded), or a "
                "pair of factors (from, to) with 0 < from <= to."
            )
        return float(zoom[0]), float(zoom[1])


def _in_pixels(shift: float, side: int) -> float:
    return float(shift) * side if shift < 1 else float(shift)
