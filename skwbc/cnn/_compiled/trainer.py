"""Taking the training and evaluation steps of an epoch on a compiled network."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from skwbc.cnn._batches import Batch

Logs = dict[str, float]


class Trainer:
    """Takes the steps that Keras compiles, whatever it runs on.

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
            Gives the learning rate of each step. By default it is left as it is.

        Returns
        -------
        dict of str to float
            Each metric over the samples of all batches.
        """
        return self._take("train", self._rated(batches, rates))

    def evaluate(self, batches: Iterable[Batch]) -> Logs:
        """Return the metrics over the samples of all batches."""
        return self._take("test", batches)

    def keep_weights(self) -> None:
        """Remember the weights as they are now."""
        self._best = self.network.get_weights()

    def restore_weights(self) -> None:
        """Go back to the weights that were kept last, if any were; forget them."""
        if self._best is not None:
            self.network.set_weights(self._best)
        self._best = None

    def _rated(
        self, batches: Iterable[Batch], rates: Iterator[float] | None
    ) -> Iterator[Batch]:
        """Set the learning rate before each batch is taken."""
        for batch in batches:
            if rates is not None:
                self.network.optimizer.learning_rate = next(rates)
            yield batch

    def _take(self, kind: str, batches: Iterable[Batch]) -> Logs:
        network = self.network
        step = getattr(network, f"{kind}_on_batch")
        logs: Logs = {}
        network.reset_metrics()
        try:
            for number, batch in enumerate(batches):
                logs = step(*batch, return_dict=True)
                if number == 0:
                    # The metrics add up over the epoch, of which not all are means.
                    # Newer versions of Keras would reset them before each batch.
                    network.reset_metrics = lambda: None
        finally:
            if "reset_metrics" in vars(network):
                del network.reset_metrics
        return {name: float(value) for name, value in logs.items()}


class CompiledTrainer(Trainer):
    """Takes the same steps with TensorFlow, compiled once for batches of any size.

    Keras compiles a step for the first size of batch and, when it meets another one, a
    second time for all sizes.

    Parameters
    ----------
    network : keras.Model
        Compiled, for TensorFlow; trained in place.
    """

    def __init__(self, network: keras.Model) -> None:

        from skwbc.cnn._compiled import tensorflow as _tensorflow

        super().__init__(network)
        self._tensorflow = _tensorflow
        self._steps: dict[tuple, Callable[..., dict]] = {}
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)

    def keep_weights(self) -> None:
        """Remember the weights as they are now."""
        self._best = self._tensorflow.copy_out(self.network.weights, self._best)

    def _take(self, kind: str, batches: Iterable[Batch]) -> Logs:
        logs: dict[str, Any] = {}
        for number, batch in enumerate(batches):
            step = self._compiled(kind, batch)
            if number == 0:
                # The metrics add up over the epoch; they are read at its end.
                self.network.reset_metrics()
            logs = step(*(part for part in batch if part is not None))
        return {name: float(value) for name, value in logs.items()}

    def _make_metrics(self, batch: Batch) -> None:
        """Make the metrics' variables, or TensorFlow would compile a step twice."""
        # Layers may draw numbers here, which a trainer that is lent again does not.
        state = self.network.non_trainable_variables
        kept = self._tensorflow.copy_out(state)
        self.network.test_step(tuple(p if p is None else p[:1] for p in batch))
        for variable, value in zip(state, kept, strict=True):
            variable.assign(value)

    def _compiled(self, kind: str, batch: Batch) -> Callable[..., dict]:
        parts = [part for part in batch if part is not None]
        key = (kind, *((part.shape[1:], part.dtype) for part in parts))
        if key not in self._steps:
            if not self._steps:
                self._make_metrics(batch)
            self._steps[key] = self._tensorflow.compile_step(
                getattr(self.network, f"{kind}_step"),
                parts,
                jit_compile=self.network.jit_compile,
            )
        return self._steps[key]
