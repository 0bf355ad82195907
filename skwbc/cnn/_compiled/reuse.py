"""Compiling a network once for all fits of networks of its kind, on TensorFlow.

For each kind a copy of the network is made, and its training and evaluation steps are
compiled. A fit borrows this copy: it fills the variables with the initial weights of
its own network, trains, and copies the trained weights back. Between fits the variables
are empty, so that a kept copy takes some MB whatever the size of the network. Two fits
in different threads borrow different copies, which share what is compiled.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from skwbc.cnn._batches import Batch
from skwbc.cnn._compiled import tensorflow as _tensorflow
from skwbc.cnn._compiled.identity import Kept, identity
from skwbc.cnn._compiled.trainer import Logs, Trainer
from skwbc.cnn._copies import bare_copy
from skwbc.cnn._keras_compat import has_hidden_settings
from skwbc.cnn._metrics import as_floats

_trainers, _steps = Kept(8), Kept(8)


class Steps:
    """Compiled steps for all copies of a network, by kind and by arrays of a batch."""

    def __init__(self) -> None:
        # While one thread compiles a step, or takes it for the first time, in which
        # TensorFlow optimises it, the others wait.
        self.lock = threading.RLock()
        self.compiled: dict[tuple, Any] = {}
        self.taken: set[tuple] = set()


class CompiledTrainer(Trainer):
    """Takes Keras' steps, compiled once for batches of any size.

    Keras compiles a step for the first size of a batch and, for another size, a second
    time for all sizes.

    Parameters
    ----------
    network : keras.Model
        Compiled, for TensorFlow; trained in place.
    shared : Steps
        Steps of networks of its kind.
    """

    def __init__(self, network: keras.Model, shared: Steps) -> None:
        super().__init__(network)
        self._shared = shared
        self._steps: dict[tuple, _tensorflow.Step] = {}
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)

    def keep_weights(self) -> None:
        """Keep a copy of the current weights."""
        self._best = _tensorflow.copy_out(self.network.weights, self._best)

    def _take(self, kind: str, batches: Iterable[Batch]) -> Logs:
        logs: dict[str, Any] = {}
        for number, batch in enumerate(batches):
            step = self._compiled(kind, batch)
            if number == 0:
                # The metrics accumulate over the epoch and are read at its end.
                self.network.reset_metrics()
            logs = step(*(array for array in batch if array is not None))
            if number == 0:
                # Raises an error for metrics that are not numbers.
                as_floats(logs)
        return as_floats(logs)

    def _make_metrics(self, batch: Batch) -> None:
        """Make the variables of the metrics, or TensorFlow would compile a step twice.

        A layer may draw random numbers here. Its state is restored, because a borrowed
        trainer does not take this step again.
        """
        variables = self.network.non_trainable_variables
        before = _tensorflow.copy_out(variables)
        self.network.test_step(tuple(a if a is None else a[:1] for a in batch))
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    def _compiled(self, kind: str, batch: Batch) -> _tensorflow.Step:
        arrays = [array for array in batch if array is not None]
        key = (kind, *((array.shape[1:], array.dtype) for array in arrays))
        if key not in self._steps:
            if not self._steps:
                self._make_metrics(batch)
            network, compiled = self.network, self._shared.compiled
            variables = [
                *network.variables,
                *network.metrics_variables,
                *network.optimizer.variables,
            ]
            with self._shared.lock:
                if key not in compiled:
                    compiled[key] = _tensorflow.compile_step(
                        getattr(network, f"{kind}_step"),
                        arrays,
                        variables,
                        jit_compile=network.jit_compile,
                    )
            self._steps[key] = compiled[key](variables)
        return self._steps[key] if key in self._shared.taken else self._first(key)

    def _first(self, key: tuple) -> _tensorflow.Step:
        def take(*arrays: Any) -> dict:
            with self._shared.lock:
                logs = self._steps[key](*arrays)
                self._shared.taken.add(key)
            return logs

        return take


@contextmanager
def compiled_trainer_for(network: keras.Model) -> Iterator[CompiledTrainer]:
    """Yield a compiled trainer, as :func:`skwbc.cnn._training.trainer_for` does."""
    key = None
    if not has_hidden_settings(network):
        key = identity(network, compiled=True)
    if key is None:
        yield CompiledTrainer(network, Steps())
        return
    trainer = _trainers.take(key) or _copy(network, _steps.get(key, Steps))
    shared = trainer.network
    optimizer = _fresh_optimizer(network)
    try:
        _tensorflow.fill(shared.variables, network.variables)
        _tensorflow.fill(shared.optimizer.variables, optimizer.variables)
        # Only the copy needs memory while it is trained.
        _tensorflow.empty([*network.variables, *optimizer.variables])
        yield trainer
    finally:
        _tensorflow.fill(network.variables, shared.variables)
        _tensorflow.empty([*shared.variables, *shared.optimizer.variables])
    # Dropped after an error, which may have left it in any state.
    _trainers.put(key, trainer)


def _copy(network: keras.Model, steps: Steps) -> CompiledTrainer:
    """Make a trainer of a copy: the network itself belongs to the caller."""
    copy = bare_copy(network)
    settings = keras.saving.deserialize_keras_object(network.get_compile_config())
    if not network.jit_compile:
        settings["optimizer"] = _tensorflow.fused(settings["optimizer"])
    copy.compile(**settings)
    return CompiledTrainer(copy, steps)


def _fresh_optimizer(network: keras.Model) -> keras.optimizers.Optimizer:
    """Make an optimizer as it is before its first step."""
    optimizer = network.optimizer
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(network.trainable_variables)
    return fresh
