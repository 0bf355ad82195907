"""Compiling a network once for all fits of networks like it.

Compiling takes as long as ten epochs on some tens of images, and TensorFlow never quite
gives back what it compiled. A fold ensemble or a grid search trains dozens of networks
that differ in nothing but the values of their variables. So what was compiled is kept,
without those values, and lent to the next such network.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from skwbc.cnn._compiled.identity import identity
from skwbc.cnn._compiled.trainer import CompiledTrainer, Trainer
from skwbc.cnn._seeding import seeded_build

# Compiled networks that are kept at the most; without values each takes some MB.
_MOST = 8
# Bytes of networks after which to look for those that nobody has any more.
_MUCH = 100_000_000
_garbage = 0
_counting = threading.Lock()


@contextmanager
def trainer_for(network: keras.Model) -> Iterator[Trainer]:
    """Lend a trainer that begins where `network` stands, and take its weights back.

    Parameters
    ----------
    network : keras.Model
        Compiled. After the block it has the weights that were trained; its optimizer
        may be left as it was.

    Yields
    ------
    Trainer
        Its network is `network` or one like it, compiled for an earlier fit. To be used
        within the block and by one thread.
    """
    _collect_garbage(network)
    if keras.backend.backend() != "tensorflow":
        yield Trainer(network)
        return

    from skwbc.cnn._compiled import tensorflow as _tensorflow

    if not _tensorflow.is_plainly_run(network):
        yield Trainer(network)
        return
    key = _key(network)
    if key is None:
        yield CompiledTrainer(network)
        return
    trainer = _kept.take(key) or _copy(network)
    ours = trainer.network
    optimizer = _fresh_optimizer(network)
    try:
        _tensorflow.fill(ours.variables, network.variables)
        _tensorflow.fill(ours.optimizer.variables, optimizer.variables)
        _tensorflow.empty(optimizer.variables)
        yield trainer
        network.set_weights(ours.get_weights())
    finally:
        _tensorflow.empty([*ours.variables, *ours.optimizer.variables])
    # Not after an error, which may have left it in any state.
    _kept.put(key, trainer)


class _Kept:
    """Trainers that nobody uses, those used last at the end; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trainers: list[tuple[str, CompiledTrainer]] = []

    def take(self, key: str) -> CompiledTrainer | None:
        with self._lock:
            for number, (known, trainer) in enumerate(self._trainers):
                if known == key:
                    del self._trainers[number]
                    return trainer
        return None

    def put(self, key: str, trainer: CompiledTrainer) -> None:
        with self._lock:
            self._trainers.append((key, trainer))
            del self._trainers[:-_MOST]


_kept = _Kept()


def _copy(network: keras.Model) -> CompiledTrainer:
    """Make a trainer of its own, for the network may be somebody's who goes on."""
    from skwbc.cnn._compiled import tensorflow as _tensorflow

    with seeded_build(0):
        copy = keras.models.model_from_json(network.to_json())
    _tensorflow.fuse_updates(copy)
    return CompiledTrainer(copy)


def _fresh_optimizer(network: keras.Model) -> keras.optimizers.Optimizer:
    """Make an optimizer as it is before its first step."""
    optimizer = network.optimizer
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(network.trainable_variables)
    return fresh


def _collect_garbage(network: keras.Model) -> None:
    """Free earlier networks, once they are many MB.

    They refer to themselves, and to Python they look small, so that it is in no hurry.
    """
    global _garbage
    with _counting:
        # One network is trained, and another one of its weights is kept for a while.
        _garbage += 8 * network.count_params()
        if _garbage < _MUCH:
            return
        _garbage = 0
    gc.collect()


def _key(network: keras.Model) -> str | None:
    """Return what all networks have in common that one compiled network can stand for.

    None if that cannot be told from how Keras describes the network.
    """
    methods = {"train_step", "test_step", "call", "compute_loss", "compute_metrics"}
    altered = methods & vars(network).keys()
    exempt = any("exclude_from" in name for name in vars(network.optimizer))
    if altered or exempt:
        return None
    return identity(network, compiled=True)
