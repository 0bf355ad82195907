"""Batches of images and targets."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skwbc._utils.lazy_arrays import positions_of, read_ahead, read_rows
from skwbc._utils.progress import raise_if_stopped
from skwbc.augmentation import AugmentedImages
from skwbc.augmentation._images import as_finite_float32


class Batch(NamedTuple):
    """Images with their targets, and the weights of the samples or None."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None


@dataclass
class Batches:
    """Batches of images in memory, in files, or augmented when they are read.

    Parameters
    ----------
    images : AugmentedImages or array-like of shape (n_samples, height, width, channels)
        One batch at a time is converted to float32.
    targets : ndarray of shape (n_samples, ...)
        Encoded labels.
    weights : ndarray of shape (n_samples,) or None
        Weights of the samples in the loss.
    size : int
        Samples per batch; the last batch of an epoch may have fewer.
    seed : int
        Determines the order of the samples in each epoch. Augmentation is determined by
        the seed of the augmented images.
    """

    images: Any
    targets: np.ndarray
    weights: np.ndarray | None
    size: int = field(kw_only=True)
    seed: int = field(kw_only=True, default=0)

    def __len__(self) -> int:
        return math.ceil(len(self.targets) / self.size)

    def in_order(self) -> Iterator[Batch]:
        """Yield all samples once, in their order."""
        yield from read_ahead(self._cut(None, epoch=0), len(self))

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """Yield all samples once, in a random order that depends on `epoch`."""
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.targets))
        yield from read_ahead(self._cut(order, epoch), len(self))

    def _cut(self, order: np.ndarray | None, epoch: int) -> Iterator[Batch]:
        """Yield batches in an order; None is the given order, without copying."""
        if order is None and isinstance(self.images, AugmentedImages):
            order = np.arange(len(self.targets))
        for number in range(len(self)):
            raise_if_stopped()
            rows: Any = slice(number * self.size, (number + 1) * self.size)
            rows = rows if order is None else order[rows]
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
