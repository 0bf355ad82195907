"""Training and evaluation of a compiled network, one epoch at a time."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras
import numpy as np

from skwbc.cnn._batches import Batch
from skwbc.cnn._compiled.identity import runs_on_tensorflow
from skwbc.cnn._keras_compat import run_batches

Logs = dict[str, float]

# Bytes of networks after which Python's garbage collector is called.
_GARBAGE_LIMIT = 100_000_000
_garbage = 0


@contextmanager
def trainer_for(network: keras.Model) -> Iterator["Trainer"]:
    """Yield a trainer that starts from a network, and copy the trained weights back.

    Parameters
    ----------
    network : keras.Model
        Compiled. It has the trained weights after the block; its optimizer may stay as
        it was.

    Yields
    ------
    Trainer
        Its network is `network`, or another of its kind that was compiled for an
        earlier fit. Not to be used after the block or by several threads.
    """
    _collect_garbage(network)
    if not runs_on_tensorflow(network):
        yield Trainer(network)
        return

    from skwbc.cnn._compiled.reuse import compiled_trainer_for

    with compiled_trainer_for(network) as trainer:
        yield trainer


def _collect_garbage(network: keras.Model) -> None:
    """Free earlier networks once they take many MB.

    They contain reference cycles, and as Python objects they are small, so the garbage
    collector would not run for a long time.
    """
    global _garbage
    # The network, and the copy of it that keeps the best weights.
    _garbage += 8 * network.count_params()
    if _garbage >= _GARBAGE_LIMIT:
        _garbage = 0
        gc.collect()


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
        return run_batches(self.network, kind, batches)
