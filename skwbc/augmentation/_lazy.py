"""Lazy images that are augmented, or only standardised, when they are read."""

from typing import Any

import numpy as np

from skwbc._utils.lazy_arrays import LazyArray, as_index, positions_of, read_rows
from skwbc.augmentation._plan import AugmentationPlan, Draws


class _LazyImages(LazyArray):
    """Images that a plan changes when they are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, images: Any, plan: AugmentationPlan) -> None:
        super().__init__(len(images), images.shape[1:])
        self._images = images
        self._plan = plan


class StandardisedImages(_LazyImages):
    """A lazy array of images, standardised each time they are read.

    ``ImageAugmenter.transform`` returns it for images that are not in memory.
    ``np.asarray`` reads them all.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, channels)
        The original images, a memory map or a lazy array.
    plan : AugmentationPlan
        How to standardise them.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, height, width, channels).
    dtype : dtype
        float32.
    """

    __module__ = "skwbc.augmentation"  # where pickles look for it

    def _read(self, rows: np.ndarray) -> np.ndarray:
        positions = positions_of(self._images, rows)
        return self._plan.apply(read_rows(self._images, rows), positions=positions)


class AugmentedImages(_LazyImages):
    """A lazy array of images, augmented anew each time a batch of them is drawn.

    ``ImageAugmenter.fit_transform`` returns it, so the last step of a pipeline is
    trained on it. It holds the original images. An estimator that knows this class,
    such as :class:`~skwbc.CNNClassifier`, calls :meth:`draw` for each batch of each
    epoch. Any other estimator treats it as an array and gets one augmented draw,
    which is always the same for the same image.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, channels)
        The original images.
    plan : AugmentationPlan
        How to augment and standardise them.
    seed : int
        Seed of the one draw that conversion to an array gives. Estimators may derive
        the seeds of their draws from it.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, height, width, channels).
    dtype : dtype
        float32, the type of the draws.
    ndim : int
        4.
    seed : int
        The parameter.

    Notes
    -----
    Indexing by an int reads one image. Indexing by a slice, a boolean mask or an array
    of int returns a lazy selection.

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

    __module__ = "skwbc"  # where pickles look for it

    def __init__(self, images: Any, plan: AugmentationPlan, seed: int) -> None:
        super().__init__(images, plan)
        self.seed = seed

    def draw(self, indices: Any, rng: Any) -> np.ndarray:
        """Draw an augmented batch.

        Parameters
        ----------
        indices : array-like of int
            Positions of the images, in the order of the batch.
        rng : Generator, int or sequence of int
            Source of randomness: a generator, which is advanced, or a seed for one.
            Nothing else influences the draw, so several threads may call it.

        Returns
        -------
        ndarray of shape (len(indices), height, width, channels), float32
            Augmented, then standardised images.
        """
        rows = self._rows[as_index(indices)]
        return self._augment(rows, self._draw_parameters(len(rows), rng))

    def draw_parameters(self, n: int, rng: Any) -> dict[str, np.ndarray]:
        """Return the parameters that :meth:`draw` uses for `n` images and this `rng`.

        Parameters
        ----------
        n : int
            Number of images.
        rng : Generator, int or sequence of int
            As for :meth:`draw`.

        Returns
        -------
        dict of str to ndarray of shape (n,) or (n, 2)
            ``rotation`` and ``shear`` in degrees; ``shift`` in pixels, ``zoom`` and
            ``flip``, each for rows and for columns; ``stain_scale`` and
            ``stain_shift`` (optical density), each for haematoxylin and for eosin;
            ``channel_shift``; ``brightness``.
        """
        warps, colours = self._draw_parameters(n, rng)
        return {**warps._asdict(), **colours._asdict()}

    def _draw_parameters(self, n: int, rng: Any) -> Draws:
        numbers = np.random.default_rng(rng).random((n, AugmentationPlan.NUMBERS))
        return self._plan.draw(numbers)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Augment each image with its own generator, so that subsets agree."""
        numbers = np.empty((len(rows), AugmentationPlan.NUMBERS))
        for row, image_numbers in zip(rows, numbers, strict=True):
            np.random.default_rng((self.seed, int(row))).random(out=image_numbers)
        return self._augment(rows, self._plan.draw(numbers))

    def _augment(self, rows: np.ndarray, draws: Draws) -> np.ndarray:
        positions = positions_of(self._images, rows)
        return self._plan.apply(read_rows(self._images, rows), draws, positions)
