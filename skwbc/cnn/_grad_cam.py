"""Grad-CAM: class activation maps from gradients."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np

from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.identity import Kept, identity
from skwbc.cnn._copies import pack, unpack
from skwbc.cnn._keras_compat import run_through_layers
from skwbc.cnn._processes import check_process
from skwbc.cnn._settings import check_keras_settings
from skwbc.cnn._views import View, turn_back


class _Halves(NamedTuple):
    """A network cut in two at its last maps.

    `front` turns images into maps. `back` takes the maps, and also the images, for
    networks with connections past the maps. `variables` are those of both, in the order
    of the whole network. With `scores` the outputs are the inputs of the softmax or
    sigmoid at the end, otherwise they are the network's probabilities.
    """

    front: keras.Model
    back: keras.Model
    variables: list[Any]
    scores: bool


# Without values, so that all members of an ensemble share one.
_halves = Kept(8)


def class_activation_maps(
    network: keras.Model,
    X: Any,
    targets: np.ndarray,
    size: tuple[int, int],
    views: Sequence[View] = (),
) -> np.ndarray:
    """Return maps of the regions that speak for a class, by Grad-CAM [1]_.

    A map is the sum of the last maps of the network, each weighted by the mean gradient
    of the class's score with respect to it. Negative values are set to zero.

    Parameters
    ----------
    network : keras.Model
        Built, from images to probabilities.
    X : array-like of shape (n_samples, height, width, channels)
        Standardised images.
    targets : ndarray of shape (n_samples,), int
        The position of a class for each image.
    size : tuple of int
        The height and width to which the maps are enlarged.
    views : sequence of callable, default=()
        Turn or flip a batch of images, as returned by :func:`views_of`. The mean over
        their maps is returned, each turned back.

    Returns
    -------
    ndarray of shape (n_samples, height, width), float32
        0 or more, on any scale.

    Raises
    ------
    ValueError
        If the network has no maps of more than one pixel after a trained layer.

    References
    ----------
    .. [1] R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra.
       "Grad-CAM: visual explanations from deep networks via gradient-based
       localization." ICCV 2017.
    """
    check_process()
    check_keras_settings("epsilon")
    halves, with_values = _halves_of(network)
    height, width = size
    batch_size = max(1, PREDICTION_BATCH // max(1, len(views)))
    enlarged = []
    for images, codes, _ in Batches(X, targets, None, size=batch_size).in_order():
        if views:
            images = np.concatenate([view(images) for view in views])
        with with_values():
            maps = _map(halves, images, np.tile(codes, max(1, len(views))))
        if views:
            stacks = np.split(maps, len(views))
            turned = [turn_back(*pair) for pair in zip(views, stacks, strict=True)]
            maps = np.mean(turned, axis=0)
        enlarged += [cv2.resize(each, (width, height)) for each in maps]
    return np.stack(enlarged)


def native_size(network: keras.Model, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the size of maps of images of a shape before they are enlarged."""
    front = _halves_of(network)[0].front
    return front.compute_output_shape([(1, *shape)])[1:3]


def _map(halves: _Halves, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
    inputs = keras.ops.convert_to_tensor(images)
    n_outputs = halves.back.output_shape[-1]
    # With a single output, the score of the first class is minus that of the second.
    directions = (
        2.0 * codes[:, np.newaxis] - 1.0 if n_outputs == 1 else np.eye(n_outputs)[codes]
    )
    signs = keras.ops.convert_to_tensor(directions.astype(np.float32))

    def score(maps: Any) -> Any:
        outputs = halves.back([maps, inputs], training=False)
        outputs = keras.ops.cast(outputs, "float32")
        if not halves.scores:
            outputs = _log_odds(outputs)
        return keras.ops.sum(outputs * signs)

    maps = halves.front([inputs], training=False)
    gradients = keras.ops.convert_to_numpy(_gradient(score, maps))
    weights = gradients.astype(np.float32).mean(axis=(1, 2))
    features = keras.ops.convert_to_numpy(maps).astype(np.float32)
    return np.maximum(np.einsum("nhwc,nc->nhw", features, weights), 0.0)


def _log_odds(proba: Any) -> Any:
    """Return a score per class for a network that does not end in a known layer."""
    epsilon = keras.config.epsilon()
    proba = keras.ops.clip(proba, epsilon, 1 - epsilon)
    return keras.ops.log(proba) - keras.ops.log(1 - proba)


def _gradient(score: Callable[[Any], Any], maps: Any) -> Any:
    """Return the gradient of a score with respect to maps."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(maps)
            value = score(maps)
        return tape.gradient(value, maps)
    if backend == "jax":
        import jax

        return jax.grad(score)(maps)
    if backend == "torch":
        import torch

        with torch.enable_grad():
            maps = maps.detach().requires_grad_()
            return torch.autograd.grad(score(maps), maps)[0]
    raise NotImplementedError(
        f"grad_cam cannot take gradients on Keras' backend {backend!r}. Set "
        "KERAS_BACKEND to tensorflow, jax or torch."
    )


def _halves_of(
    network: keras.Model,
) -> tuple[_Halves, Callable[[], AbstractContextManager[Any]]]:
    """Return the halves of a network, and a context in which they have its values."""
    key = identity(network, compiled=False)
    if key is None:
        return _cut(network), nullcontext
    halves = _halves.get(key, lambda: _without_values(_cut(network)))
    values = [keras.ops.convert_to_tensor(each.value) for each in network.variables]
    mapping = list(zip(halves.variables, values, strict=True))
    return halves, lambda: keras.StatelessScope(state_mapping=mapping)


def _without_values(halves: _Halves) -> _Halves:
    from skwbc.cnn._compiled.tensorflow import empty

    empty(halves.variables)
    return halves


def _cut(network: keras.Model) -> _Halves:
    """Cut a copy of a network, as the network itself belongs to the caller.

    The copy has the layers of nested networks at the top level, and ends before the
    softmax. The gradient of a probability close to one vanishes, and so does that of
    its logarithm once it is rounded to one.
    """
    copy = unpack(pack(network))
    calls = []

    def call_layer(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        calls.append((layer, args, outputs))
        return outputs

    inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in copy.inputs]
    outputs = run_through_layers(copy, inputs, call_layer)
    maps = _last_maps(calls)
    if maps is None:
        raise ValueError(
            "grad_cam needs a network with maps of more than one pixel: a layer with "
            "outputs of shape (n_samples, height, width, channels), at or after the "
            "first layer with weights. This network has "
            f"{', '.join(type(layer).__name__ for layer in network.layers)}."
        )
    last, args, _ = calls[-1]
    ends = keras.activations.softmax, keras.activations.sigmoid
    scores = True
    if isinstance(last, keras.layers.Softmax):
        outputs = args[0]
    elif getattr(last, "activation", None) in ends:
        last.activation = keras.activations.linear
        outputs = last(*args)
    else:
        scores = False
    return _Halves(
        front=keras.Model(inputs, maps),
        back=keras.Model([maps, *inputs], outputs),
        variables=copy.variables,
        scores=scores,
    )


def _last_maps(calls: list[tuple[Any, tuple, Any]]) -> Any:
    """Return the last output of a layer with more than one pixel, or None.

    Layers before the first one with weights do not count: they return the image.
    """
    maps = None
    has_weights = False
    for layer, _, outputs in calls:
        weights = getattr(layer, "weights", ())
        has_weights = has_weights or any(len(weight.shape) > 1 for weight in weights)
        for tensor in keras.tree.flatten(outputs):
            if has_weights and len(tensor.shape) == 4 and tensor.shape[1:3] != (1, 1):
                maps = tensor
    return maps
