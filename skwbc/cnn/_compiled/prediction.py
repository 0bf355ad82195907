"""Passing images through networks, compiled once per kind of network."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.identity import Kept, identity
from skwbc.cnn._views import View

# Passes images through networks of one kind, and returns the outputs of each.
Forward = Callable[[Sequence[keras.Model], np.ndarray], list[np.ndarray]]

_forwards = Kept(32)
# Looking up the identity of a network takes longer than predicting one image.
_of_network: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def predict_in_batches(
    networks: Sequence[keras.Model], X: Any, views: Sequence[View] = ()
) -> list[np.ndarray]:
    """Return the outputs of several networks for the same images.

    Parameters
    ----------
    networks : sequence of keras.Model
        With one output each. Those of one kind predict in one call.
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    views : sequence of callable, default=()
        Turn or flip a batch of images. The mean over them is returned.

    Returns
    -------
    list of ndarray of shape (n_samples, n_outputs), float64
        One for each network.
    """
    forward = _forward_for_all(networks)
    size = max(1, PREDICTION_BATCH // max(1, len(views)))
    outputs: list[list[np.ndarray]] = [[] for _ in networks]
    for images, *_ in Batches(X, np.zeros(len(X)), None, size=size).in_order():
        n_images = len(images)
        if views:
            # One call for all views: each call takes time, however few its images are.
            images = np.concatenate([view(images) for view in views])
        for batches, output in zip(outputs, forward(networks, images), strict=True):
            if views:
                output = output.reshape(len(views), n_images, -1).mean(axis=0)
            batches.append(output)
    return [np.concatenate(batches).astype(np.float64) for batches in outputs]


def _forward_for_all(networks: Sequence[keras.Model]) -> Forward:
    forwards = [_forward_for(network) for network in networks]
    if all(forward is forwards[0] for forward in forwards):
        return forwards[0]
    return lambda networks, images: [
        forward([network], images)[0]
        for forward, network in zip(forwards, networks, strict=True)
    ]


def _forward_for(network: keras.Model) -> Forward:
    forward = _of_network.get(network)
    if forward is None:
        key = identity(network, compiled=False)
        forward = _forwards.get(key, lambda: _compile(network)) if key else _directly
        _of_network[network] = forward
    return forward


def _compile(network: keras.Model) -> Forward:
    from skwbc.cnn._compiled.tensorflow import compile_prediction

    return compile_prediction(network) or _directly


def _directly(networks: Sequence[keras.Model], images: np.ndarray) -> list[np.ndarray]:
    outputs = (network(images, training=False) for network in networks)
    return [keras.ops.convert_to_numpy(output) for output in outputs]
