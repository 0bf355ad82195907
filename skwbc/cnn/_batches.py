"""Cutting images and targets into the batches that a network is shown."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skwbc._utils.lazy_arrays import positions_of, read_rows
from skwbc.augmentation import AugmentedImages
from skwbc.augmentation._images import as_finite_float32


class Batch(NamedTuple):
    """Images with their targets, and the weights of the samples or None."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None


class Batches:
    """Batches over images in memory, in files, or augmented when they are drawn.

    Parameters
    ----------
    images : AugmentedImages or array-like of shape (n_samples, height, width, channels)
        Kept as they are; a batch of them at a time becomes float32.
    targets : ndarray of shape (n_samples, ...)
        What the network is to give.
    weights : ndarray of shape (n_samples,) or None
        Weights of the samples in the loss.
    size : int
        Samples a batch; the last batch of an epoch may have fewer.
    seed : int
        Decides the order of the samples in each epoch. What augmentation draws is
        decided by the seed of the augmented images.
    """

    def __init__(
        self,
        images: Any,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        size: int,
        seed: int = 0,
    ) -> None:
        self.images = images
        self.targets = targets
        self.weights = weights
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return math.ceil(len(self.targets) / self.size)

    def in_order(self) -> Iterator[Batch]:
        """Yield all samples once, as they stand."""
        yield from self._cut(None, epoch=0)

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """Yield all samples once, in an order that `epoch` decides."""
        rng = np.random.default_rng((self.seed, epoch))
        yield from self._cut(rng.permutation(len(self.targets)), epoch)

    def _cut(self, order: np.ndarray | None, epoch: int) -> Iterator[Batch]:
        """Yield batches in an order; None is as they stand, without copying them."""
        if order is None and isinstance(self.images, AugmentedImages):
            order = np.arange(len(self.targets))
        for number in range(len(self)):
            part = slice(number * self.size, (number + 1) * self.size)
            rows = part if order is None else order[part]
            if isinstance(self.images, AugmentedImages):
                seed = (self.images.seed, epoch, number)
                images = self.images.draw(rows, seed)
            else:
                images = read_rows(self.images, rows)
                images = as_finite_float32(
                    images,
                    "CNNClassifier",
                    positions=positions_of(self.images, rows),
                )
            weights = None if self.weights is None else self.weights[rows]
            yield Batch(images, self.targets[rows], weights)
