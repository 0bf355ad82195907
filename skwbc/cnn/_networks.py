"""Checks of networks and of their outputs."""

import pkgutil
import threading
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from skwbc.cnn._keras_compat import layers_of

# Rounding error of probabilities in half precision.
_ROUNDING = 1e-2
# Layers that builders have returned and that still exist.
_earlier_layers: "weakref.WeakSet[keras.layers.Layer]" = weakref.WeakSet()
_earlier_layers_lock = threading.Lock()


def find_builder(
    model: Callable[..., Any] | str, name: str = "model"
) -> Callable[..., Any]:
    """Return the function that builds networks.

    Parameters
    ----------
    model : callable or str
        The function, or its import path.
    name : str, default="model"
        Name of the parameter, for the messages.

    Raises
    ------
    ValueError
        If there is no function at an import path.
    """
    if not isinstance(model, str):
        return model
    expected = "expected the import path of a function, as 'package.module:function'"
    if ":" not in model:
        raise ValueError(f"{name}={model!r}; {expected}.")
    try:
        builder = pkgutil.resolve_name(model)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name}={model!r}; {expected}. {error}.") from error
    if not callable(builder):
        raise ValueError(f"{name}={model!r} is a {type(builder).__name__}; {expected}.")
    return builder


def check_network(network: Any, image_shape: tuple[int, ...], n_classes: int) -> None:
    """Check that a builder returned a new network with one output per class.

    A `keras.Sequential` without an input shape is built.

    Parameters
    ----------
    network : object
        Returned by the builder.
    image_shape : tuple of int
        (height, width, channels).
    n_classes : int
        For 2 classes a single output is accepted, too.

    Raises
    ------
    TypeError
        If it is not a Keras model.
    ValueError
        If its output has another shape, or one of its trainable layers was in an
        earlier network.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"model has to return a Keras model; it returned {type(network).__name__}."
        )
    if isinstance(network, keras.Sequential) and not network.built:
        network.build((None, *image_shape))
    shape = getattr(network, "output_shape", None)
    if shape is None:
        raise ValueError(
            f"The network, a {type(network).__name__}, has no known output shape. Make "
            "it with keras.Sequential or keras.Model(inputs, outputs), starting from "
            "keras.layers.Input(meta['image_shape_'])."
        )
    expected = [(None, n_classes)] + [(None, 1)] * (n_classes == 2)
    if shape not in expected:
        raise ValueError(
            f"The network's output has shape {shape}, but {n_classes} classes need "
            f"{' or '.join(map(str, expected))}. Give the function that builds it an "
            "argument `meta`, and use meta['n_classes_']."
        )
    layers = [layer for layer in layers_of(network) if layer.trainable_weights]
    with _earlier_layers_lock:
        reused = [layer.name for layer in layers if layer in _earlier_layers]
        _earlier_layers.update(layers)
    if reused:
        raise ValueError(
            f"The function that builds the network returned {reused[0]!r} a second "
            "time. Its weights were trained on other images, such as those held out in "
            "another fold. Make all layers inside the function, or set trainable=False "
            "for those that are shared."
        )


def with_maps(network: keras.Model) -> keras.Model:
    """Put before the outputs of a network what its last layer computes them from.

    Parameters
    ----------
    network : keras.Model
        Trained.

    Returns
    -------
    keras.Model
        With the same variables and the output [features, outputs], one row per image;
        `network` itself if it is not a graph of layers, or its last one takes no rows.
    """
    layers = [layer for layer in network.layers if layer.weights]
    graph = isinstance(network, keras.Sequential) or hasattr(network, "operations")
    try:
        maps = layers[-1].input
        if not graph or len(maps.shape) != 2:
            return network
        # Not the precision of the global policy.
        dtype = network.outputs[0].dtype
        join = keras.layers.Concatenate(name="maps_and_outputs", dtype=dtype)
        joined = join([maps, network.outputs[0]])
        (inputs,) = network.inputs
        return keras.Model(inputs, joined, name="with_maps")
    except (AttributeError, IndexError, ValueError):
        # Layers of networks that are written in Python have no inputs.
        return network


def as_proba(outputs: np.ndarray) -> np.ndarray:
    """Turn the outputs of a network into probabilities.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_outputs)
        From a softmax, or from one or several sigmoids.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Rows sum to one.

    Raises
    ------
    ValueError
        If an output is not between 0 and 1.
    """
    if np.any((outputs < -_ROUNDING) | (outputs > 1 + _ROUNDING)):
        raise ValueError(
            "The network has to return probabilities, from 0 to 1, but it returned "
            f"{outputs.min():.3g} to {outputs.max():.3g}. End it with a softmax, or "
            "with a sigmoid if it has a single output, and fit again."
        )
    if outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    total = outputs.sum(axis=1, keepdims=True)
    # Several sigmoids may all be zero.
    empty = total == 0
    return np.where(empty, 1 / outputs.shape[1], outputs / np.where(empty, 1, total))
