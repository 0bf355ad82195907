"""Training and evaluation of a compiled network, one epoch at a time."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from skwbc.cnn._batches import Batch
from skwbc.cnn._keras_compat import run_batches
from skwbc.cnn._metrics import as_floats

Logs = dict[str, float]


class Trainer:
    """Takes the steps that Keras compiles, on any backend.

    Parameters
    ----------
    network : keras.Model
        Compiled; trained in place.
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        self._best: list[np.ndarray] | None = None

    def train(
        self, batches: Iterable[Batch], rates: Iterator[float] | None = None
    ) -> Logs:
        """Take a training step on each batch; return the metrics.

        Parameters
        ----------
        batches : iterable of Batch
            An epoch.
        rates : iterator of float, default=None
            The learning rate of each step. By default it is not changed.

        Returns
        -------
        dict of str to float
            Each metric over the samples of all batches.
        """
        return self._take("train", self._set_rates(batches, rates))

    def evaluate(self, batches: Iterable[Batch]) -> Logs:
        """Return the metrics over the samples of all batches."""
        return self._take("test", batches)

    def keep_weights(self) -> None:
        """Keep a copy of the current weights."""
        self._best = self.network.get_weights()

    def restore_weights(self) -> None:
        """Return to the weights that were kept last, if any were."""
        if self._best is not None:
            self.network.set_weights(self._best)
        self._best = None

    def _set_rates(
        self, batches: Iterable[Batch], rates: Iterator[float] | None
    ) -> Iterator[Batch]:
        for batch in batches:
            if rates is not None:
                self.network.optimizer.learning_rate = next(rates)
            yield batch

    def _take(self, kind: str, batches: Iterable[Batch]) -> Logs:
        return run_batches(self.network, kind, batches, as_floats)
