"""Passing images forward through networks, compiled once for all that are alike."""

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.identity import identity
from skwbc.cnn._views import View

# Passes images through networks that are alike, and returns the outputs of each.
Forward = Callable[[Sequence[keras.Model], np.ndarray], list[np.ndarray]]

# By network, and by what networks compute: one compiled pass serves all members of an
# ensemble, and any number of images.
_of_network: "weakref.WeakKeyDictionary[keras.Model, Forward]"
_of_network = weakref.WeakKeyDictionary()
_of_kind: dict[str, Forward] = {}
_compiling = threading.Lock()
# Kinds that are kept at the most, for networks that may still come.
_MOST = 32


def predict_in_batches(
    networks: Sequence[keras.Model], X: Any, views: Sequence[View] = ()
) -> list[np.ndarray]:
    """Return what networks give for the same images.

    Parameters
    ----------
    networks : sequence of keras.Model
        With one output each. Those that are alike are asked together.
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    views : sequence of callable, default=()
        Turn or flip a batch of images. The mean over them is returned.

    Returns
    -------
    list of ndarray of shape (n_samples, n_outputs), float64
        One for each network.
    """
    forward = _together(networks)
    size = max(1, PREDICTION_BATCH // max(1, len(views)))
    outputs: list[list[np.ndarray]] = [[] for _ in networks]
    for images, *_ in Batches(X, np.zeros(len(X)), None, size=size).in_order():
        n_images = len(images)
        if views:
            # In one pass, of which each costs something however few images it has.
            images = np.concatenate([view(images) for view in views])
        for parts, seen in zip(outputs, forward(networks, images), strict=True):
            if views:
                seen = seen.reshape(len(views), n_images, -1).mean(axis=0)
            parts.append(seen)
    return [np.concatenate(parts).astype(np.float64) for parts in outputs]


def _together(networks: Sequence[keras.Model]) -> Forward:
    """Return what passes images through these networks."""
    each = [_pass_through(network) for network in networks]
    if all(forward is each[0] for forward in each):
        return each[0]
    return lambda networks, images: [
        forward([network], images)[0]
        for forward, network in zip(each, networks, strict=True)
    ]


def _pass_through(network: keras.Model) -> Forward:
    forward = _of_network.get(network)
    if forward is None:
        with _compiling:
            forward = _of_network[network] = _find(network)
    return forward


def _find(network: keras.Model) -> Forward:
    if keras.backend.backend() != "tensorflow":
        return _directly

    from skwbc.cnn._compiled import tensorflow as _tensorflow

    kind = identity(network, compiled=False)
    if kind is None or not _tensorflow.is_plainly_run(network):
        return _directly
    if kind not in _of_kind:
        while len(_of_kind) >= _MOST:
            del _of_kind[next(iter(_of_kind))]
        _of_kind[kind] = _tensorflow.compile_prediction(network) or _directly
    return _of_kind[kind]


def _directly(networks: Sequence[keras.Model], images: np.ndarray) -> list[np.ndarray]:
    outputs = (network(images, training=False) for network in networks)
    return [keras.ops.convert_to_numpy(each) for each in outputs]
