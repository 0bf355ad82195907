"""Passing images forward through networks, compiled once for all that are alike."""

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from skwbc._members import PREDICTION_BATCH
from skwbc.cnn._batches import Batches
from skwbc.cnn._identity import identity
from skwbc.cnn._views import View

Forward = Callable[[keras.Model, np.ndarray], np.ndarray]

# By network, and by what networks compute: one compiled pass serves all members of an
# ensemble, and any number of images.
_of_network: "weakref.WeakKeyDictionary[keras.Model, Forward]"
_of_network = weakref.WeakKeyDictionary()
_of_kind: dict[str, Forward] = {}
_compiling = threading.Lock()
# Kinds that are kept at the most, for networks that may still come.
_MOST = 32


def predict_in_batches(
    network: keras.Model, X: Any, views: Sequence[View] = ()
) -> np.ndarray:
    """Return what a network gives for images.

    Parameters
    ----------
    network : keras.Model
        With one output.
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    views : sequence of callable, default=()
        Turn or flip a batch of images. The mean over them is returned.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float64
    """
    forward = _of_network.get(network)
    if forward is None:
        with _compiling:
            forward = _of_network[network] = _find(network)
    size = max(1, PREDICTION_BATCH // max(1, len(views)))
    outputs = []
    for images, *_ in Batches(X, np.zeros(len(X)), None, size=size).in_order():
        if not views:
            outputs.append(forward(network, images))
            continue
        # In one pass, of which each costs something however few images it has.
        seen = forward(network, np.concatenate([view(images) for view in views]))
        outputs.append(seen.reshape(len(views), len(images), -1).mean(axis=0))
    return np.concatenate(outputs).astype(np.float64)


def _find(network: keras.Model) -> Forward:
    if keras.backend.backend() != "tensorflow":
        return _directly
    from skwbc.cnn import _tensorflow

    kind = identity(network, compiled=False)
    if kind is None or not _tensorflow.is_plainly_run(network):
        return _directly
    if kind not in _of_kind:
        while len(_of_kind) >= _MOST:
            del _of_kind[next(iter(_of_kind))]
        _of_kind[kind] = _tensorflow.compile_prediction(network) or _directly
    return _of_kind[kind]


def _directly(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(network(images, training=False))
