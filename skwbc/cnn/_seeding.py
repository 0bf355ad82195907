"""Seeding what Keras draws, and leaving every global generator as it was.

Keras seeds its initialisers and dropout layers from Python's ``random`` when they are
made, and keeps those seeds with the layers. So it is enough to seed while a network is
built; NumPy's generator is seeded along for builders of the user's own. TensorFlow's
global seed and its op determinism are never touched.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Global generators serve one builder at a time.
_building = threading.RLock()


@contextmanager
def seeded_build(seed: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators; restore their states afterwards."""
    with _building:
        python_state, numpy_state = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
