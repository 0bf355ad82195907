"""Copies of a network: as it is stored in a file, and for other formats.

A stored network is a dict with its architecture, as Keras writes it, and its weights.
Pickling a Keras model itself would include the optimizer's state, which doubles or
triples the size of the file and is not needed for prediction.
"""

import json
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import keras
import numpy as np

from skwbc.cnn._compiled.identity import comes_from_keras, is_plain_layer
from skwbc.cnn._keras_compat import layers_of, seeded_build
from skwbc.cnn._processes import check_process, process_can_run_networks

_REGISTER = (
    "Register layers and functions of your own with "
    "keras.saving.register_keras_serializable, in a module that is imported before a "
    "model is loaded."
)


def pack(network: Any) -> dict[str, Any]:
    """Return the architecture and the weights of a network."""
    if isinstance(network, dict):  # It was loaded in a forked process.
        return network
    return {"architecture": _describe(network), "weights": network.get_weights()}


def unpack(packed: Mapping[str, Any]) -> Any:
    """Build a network from its architecture and weights. It is not compiled.

    In a forked process, where it can neither be built nor run, `packed` is returned. An
    error would end the process of a ``multiprocessing.Pool`` that loads a classifier,
    and the pool would wait for its result for ever. Any use of the classifier raises
    the error.

    Raises
    ------
    ValueError
        If the architecture has a layer that is not registered with Keras.
    """
    if not process_can_run_networks():
        return packed
    check_process()
    network = _build(packed["architecture"])
    put_weights(network, packed["weights"])
    return network


def put_weights(network: keras.Model, weights: list[np.ndarray]) -> None:
    """Set the weights of a network, and what its layers derive from them."""
    network.set_weights(weights)
    for layer in layers_of(network):
        # Normalization is such a layer.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _describe(network: keras.Model) -> str:
    architecture = json.loads(network.to_json())
    architecture.pop("compile_config", None)
    return json.dumps(architecture)


def _build(architecture: str) -> Any:
    """Build a network with random weights; raise a short error if that fails."""
    try:
        # The weights will be overwritten, but drawing them must not advance any
        # global generator.
        with seeded_build(0):
            return keras.models.model_from_json(architecture)
    except (TypeError, ValueError) as error:
        # Keras raises one error per level of nesting, each with the whole config.
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        raise ValueError(
            f"The network of this classifier cannot be rebuilt. {_REGISTER} Keras "
            f"reports: {textwrap.shorten(str(cause), 200)}"
        ) from error


def bare_copy(network: keras.Model) -> keras.Model:
    """Build a network as it will be after loading from a file, with other weights.

    Parameters
    ----------
    network : keras.Model
        Trained or not.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    ValueError
        If the network cannot be rebuilt from a file, or would be rebuilt wrongly: Keras
        stores only the name of a function that is not registered, and when loading it
        takes its own function of that name.
    """
    copy = _build(_describe(network))
    for layer, rebuilt in zip(layers_of(network), layers_of(copy), strict=True):
        for name, function in vars(layer).items():
            loaded = getattr(rebuilt, name, None)
            if not all(isinstance(each, FunctionType) for each in (function, loaded)):
                continue
            # Keras' own functions of these names call those of TensorFlow.
            if comes_from_keras(loaded) and not comes_from_keras(
                function, "tensorflow"
            ):
                raise ValueError(
                    f"The {name} of the layer {layer.name!r} is the function "
                    f"{function.__qualname__!r}. A file stores only that name, and "
                    f"loading it would give Keras' own function. {_REGISTER}"
                )
    return copy


def check_copy(
    copy: keras.Model, network: keras.Model, images: Callable[[], np.ndarray]
) -> None:
    """Check that a copy computes the same as the network, given its weights.

    Parameters
    ----------
    copy : keras.Model
        Returned by :func:`bare_copy` for the network. Its weights are overwritten.
    network : keras.Model
        Not checked if all of its layers are Keras' own, which files store completely.
    images : callable
        Returns a few images to try, float32.

    Raises
    ------
    ValueError
        If their outputs differ.
    """
    custom = [layer for layer in layers_of(network) if not is_plain_layer(layer)]
    if not custom:
        return
    weights = network.get_weights()
    alike = [w.shape for w in weights] == [w.shape for w in copy.get_weights()]
    if alike:
        put_weights(copy, weights)
        batch = images()

        def differ(one: keras.Model, other: keras.Model) -> bool:
            first, second = (
                keras.ops.convert_to_numpy(each(batch, training=False)).astype(float)
                for each in (one, other)
            )
            return not np.allclose(first, second, rtol=1e-2, atol=1e-4, equal_nan=True)

        # Some networks draw random numbers in each call.
        alike = not differ(network, copy) or differ(network, network)
    if not alike:
        raise ValueError(
            "The network would predict differently after being stored and loaded: a "
            "file has the settings (get_config) and the weights of each layer, and "
            f"{', '.join(repr(layer.name) for layer in custom)} depends on something "
            f"else. Keep it in weights (add_weight) or settings. {_REGISTER}"
        )


def predicting_copy(network: keras.Model, image_shape: tuple[int, ...]) -> keras.Model:
    """Copy a network as a graph that only predicts, for converters to other formats.

    Parameters
    ----------
    network : keras.Model
        Trained.
    image_shape : tuple of int
        (height, width, channels) of its images.

    Returns
    -------
    keras.Model
    """
    check_process()
    copy = unpack(pack(network))
    for layer in layers_of(copy):
        if isinstance(layer, keras.layers.Normalization):
            # Converters cannot read them as variables without a shape.
            layer.mean, layer.variance = (
                keras.ops.convert_to_numpy(each)
                for each in (layer.mean, layer.variance)
            )
    # Without training=False layers such as RandomFlip would be active in the graph.
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, copy(inputs, training=False))
