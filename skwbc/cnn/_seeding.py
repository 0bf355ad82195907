"""Seeding what Keras draws, and leaving every global generator as it was.

Keras seeds its initialisers and dropout layers when they are made, with numbers from
Python's global ``random``, and keeps those seeds with the layers. Seeding ``random``
would do, were it not that other threads draw from it as well: the network's seeds would
then depend on them. So Keras is lent a generator of our own for as long as one thread
builds a network. No global generator is touched; neither is TensorFlow's, nor the
determinism of its operations.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import keras
from keras.src.random import seed_generator

# The loan is to the module, so networks are built one at a time.
_building = threading.RLock()


class _Lent:
    """Python's ``random``, with draws of its own for one thread."""

    def __init__(self, seed: int) -> None:
        self._own = random.Random(seed)
        self._thread = threading.get_ident()

    def randint(self, low: int, high: int) -> int:
        """Draw from the lent generator, or from ``random`` for another thread."""
        is_ours = threading.get_ident() == self._thread
        return (self._own if is_ours else random).randint(low, high)

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)


@contextmanager
def seeded_build(seed: int) -> Iterator[None]:
    """Let the layers that this thread makes in the block take their seeds from `seed`.

    Parameters
    ----------
    seed : int
        The same seed makes the same initial weights and dropout.
    """
    with _building:
        kept = seed_generator.python_random
        seed_generator.python_random = _Lent(seed)
        try:
            yield
        finally:
            seed_generator.python_random = kept


@contextmanager
def seeded_training(seed: int) -> Iterator[None]:
    """Let dropout in the block take its numbers from `seed` on PyTorch, too.

    There Keras' dropout draws from PyTorch's global generator, whatever seed its layer
    has; it is left as it was. Other backends draw from the layers' own seeds.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    """
    if keras.backend.backend() != "torch":
        yield
        return
    torch: Any = import_module("torch")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
