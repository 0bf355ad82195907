"""Images that are augmented when they are asked for."""

import operator
from typing import Any

import numpy as np

from skwbc.augmentation._affine import RandomAffine
from skwbc.augmentation._images import as_finite_float32
from skwbc.augmentation._standardise import Standardisation


class AugmentedImages:
    """A lazy array of images, augmented anew whenever a batch of them is drawn.

    This is what ``ImageAugmenter.fit_transform`` returns, and so what the last step of
    a pipeline is trained on. It holds the untouched images. A consumer that knows it,
    such as :class:`~skwbc.CNNClassifier`, calls :meth:`draw` for each batch of each
    epoch. Any other takes it for an array and gets one augmented draw, always the
    same for the same image.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, channels)
        The images as they came in.
    affine : RandomAffine
        What to draw warps from.
    standardisation : Standardisation
        What is done to the pixel values of the warped images.
    seed : int
        Decides the one draw that array conversion gives, and is there for consumers to
        derive generators from.
    rows : ndarray of int, default=None
        Which of `images` these are; all, by default.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, height, width, channels).
    dtype : dtype
        float32, the type of what is drawn.
    ndim : int
        4.
    seed : int
        As given.

    Examples
    --------
    >>> import numpy as np
    >>> from skwbc import ImageAugmenter
    >>> X = np.random.default_rng(0).random((6, 8, 8, 3))
    >>> augmented = ImageAugmenter(rotation_range=180, random_state=0).fit_transform(X)
    >>> augmented.shape
    (6, 8, 8, 3)
    >>> first = augmented.draw([0, 1], np.random.default_rng(1))
    >>> second = augmented.draw([0, 1], np.random.default_rng(2))
    >>> bool(np.array_equal(first, second))
    False
    """

    ndim = 4
    dtype = np.dtype(np.float32)

    def __init__(
        self,
        images: Any,
        affine: RandomAffine,
        standardisation: Standardisation,
        seed: int,
        rows: np.ndarray | None = None,
    ) -> None:
        self._images = images
        self._affine = affine
        self._standardisation = standardisation
        self.seed = seed
        self._rows = np.arange(len(images)) if rows is None else rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (n_samples, height, width, channels)."""
        return (len(self._rows), *self._images.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"AugmentedImages(shape={self.shape}, dtype={self.dtype})"

    def draw(self, indices: Any, rng: Any) -> np.ndarray:
        """Draw an augmented batch.

        Parameters
        ----------
        indices : array-like of int
            Which images, in which order.
        rng : Generator, int or sequence of int
            Where the randomness comes from: a generator, which is advanced, or a seed
            for one. Nothing else influences the draw, so it may be called in several
            threads.

        Returns
        -------
        ndarray of shape (len(indices), height, width, channels), float32
            Warped, then standardised.
        """
        rows = self._rows[np.asarray(indices)]
        batch = as_finite_float32(self._images[rows], type(self).__name__)
        warps = self._affine.draw(len(rows), np.random.default_rng(rng))
        warped = self._affine.apply(batch, warps)
        return self._standardisation.apply(warped)

    def __getitem__(self, key: Any) -> Any:
        """Return one drawn image for an int, and a lazy selection for all else.

        Parameters
        ----------
        key : int, slice, boolean mask or array-like of int
            Selects images. As in NumPy it may come in a tuple before an ellipsis.

        Returns
        -------
        ndarray of shape (height, width, channels) or AugmentedImages
        """
        if isinstance(key, tuple):
            if len(key) == 2 and key[1] is Ellipsis:
                return self[key[0]]
            raise IndexError(
                "AugmentedImages can be indexed along its first axis only; use "
                "np.asarray(images)[...] to index pixels of one draw."
            )
        if not isinstance(key, slice) and np.ndim(key) == 0:
            row = self._rows[operator.index(key)]
            return self._one_draw(np.array([row]))[0]
        rows = self._rows[key if isinstance(key, slice) else np.asarray(key)]
        return AugmentedImages(
            self._images, self._affine, self._standardisation, self.seed, rows
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("AugmentedImages are made when asked for: always a copy.")
        out = self._one_draw(self._rows)
        return out if dtype is None else out.astype(dtype, copy=False)

    def _one_draw(self, rows: np.ndarray) -> np.ndarray:
        """Augment each image by a generator of its own, so that a subset agrees."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for row, image in zip(rows, out, strict=True):
            warp = self._affine.draw(1, np.random.default_rng((self.seed, int(row))))
            batch = as_finite_float32(self._images[row : row + 1], type(self).__name__)
            image[...] = self._affine.apply(batch, warp)[0]
        return self._standardisation.apply(out)
