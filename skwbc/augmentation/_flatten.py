"""From images to rows of pixel values, for classifiers of rows."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.fitting import store_fitted
from skwbc.augmentation._images import ImageTransformer, check_images


class FlattenImages(ClassNamePrefixFeaturesOutMixin, ImageTransformer):
    """Turn each image into one row of values.

    Use it between an :class:`ImageAugmenter` and classifiers such as
    ``LogisticRegression`` or ``SVC``. Lazy images are read; augmented ones are drawn
    once.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of each image that ``fit`` was given.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from sklearn.pipeline import make_pipeline
    >>> from skwbc import FlattenImages, ImageAugmenter
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(6, image_size=(16, 16), random_state=0)
    >>> augmenter = ImageAugmenter(rescale=1 / 255, rotation_range=180, random_state=0)
    >>> clf = make_pipeline(augmenter, FlattenImages(), SVC())
    >>> clf.fit(X, y).predict(X).shape
    (18,)
    """

    __module__ = "skwbc"  # where pickles look for it

    _gives_arrays = True
    _preserves_dtype = ("float64", "float32")

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type. The channels may come first, too.
        y : None
            Ignored.

        Returns
        -------
        FlattenImages
            The transformer itself.

        Raises
        ------
        ValueError
            If `X` is not an array of images.
        """
        X = check_images(X, type(self).__name__)
        shape = tuple(X.shape[1:])
        store_fitted(self, image_shape_=shape, _n_features_out=int(np.prod(shape)))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Flatten images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size that ``fit`` was given.

        Returns
        -------
        ndarray of shape (n_samples, height * width * channels)
            Rows of the data type of `X`.

        Raises
        ------
        ValueError
            If `X` is not an array of images of that size.
        """
        X = self._check(X)
        return np.asarray(X).reshape(X.shape[0], -1)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Turn rows back into images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height * width * channels)
            Flattened images, or coefficients of a linear model.

        Returns
        -------
        ndarray of shape (n_samples, height, width, channels)
            Images of the data type of `X`.

        Raises
        ------
        ValueError
            If the number of values per row differs from that per image.
        """
        check_is_fitted(self, "image_shape_")
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self._n_features_out:
            raise ValueError(
                f"{type(self).__name__} expected rows of {self._n_features_out} values "
                f"for images of shape {self.image_shape_}, got an array of shape "
                f"{X.shape}."
            )
        return X.reshape(-1, *self.image_shape_)
