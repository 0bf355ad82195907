"""A network as plain data: its architecture and its weights, nothing of its training.

Pickling a Keras model takes the optimizer's state along, which doubles or trebles the
file and is of no use to predict.
"""

import json
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import keras
import numpy as np

from skwbc.cnn._seeding import seeded_build

_REGISTER = (
    "Register layers and functions of your own with "
    "keras.saving.register_keras_serializable, in a module that is imported before a "
    "model is loaded."
)


class PackedNetwork(NamedTuple):
    """An architecture as Keras writes it, and the weights in Keras' order."""

    architecture: str
    weights: list[np.ndarray]


def pack(network: keras.Model) -> PackedNetwork:
    """Take from a network what prediction needs."""
    return PackedNetwork(_describe(network), network.get_weights())


def unpack(packed: PackedNetwork) -> Any:
    """Build the network again. It is not compiled.

    Raises
    ------
    ValueError
        If the architecture has a layer that Keras does not know.
    """
    network = _build(packed.architecture)
    put_weights(network, packed.weights)
    return network


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
        If a file could not tell how to build it, or would tell it wrongly: of a
        function that is not registered Keras writes down the name alone, and takes
        its own function of that name.
    """
    copy = _build(_describe(network))
    layers, copies = network._flatten_layers(), copy._flatten_layers()
    for layer, again in zip(layers, copies, strict=True):
        for name, part in vars(layer).items():
            read = getattr(again, name, None)
            if not (isinstance(part, FunctionType) and isinstance(read, FunctionType)):
                continue
            # TensorFlow's functions are what Keras' own of these names are made of.
            if comes_from_keras(read) and not comes_from_keras(part, "tensorflow"):
                raise ValueError(
                    f"The function {part.__qualname__!r}, which is {name} of the layer "
                    f"{layer.name!r}, cannot be told from Keras' own of that name in a "
                    f"file. {_REGISTER}"
                )
    return copy


def check_copy(
    copy: keras.Model, network: keras.Model, images: Callable[[], np.ndarray]
) -> None:
    """Check that a copy computes what the network does, with the network's weights.

    Parameters
    ----------
    copy : keras.Model
        What :func:`bare_copy` made of the network. It is given the weights.
    network : keras.Model
        Left alone if its layers are Keras' own, of which all is in a file.
    images : callable
        Returns a few images to try, float32.

    Raises
    ------
    ValueError
        If they differ.
    """
    own = [layer for layer in network._flatten_layers() if not is_plain_layer(layer)]
    if not own:
        return
    given = network.get_weights()
    alike = [w.shape for w in given] == [w.shape for w in copy.get_weights()]
    if alike:
        put_weights(copy, given)
        seen = images()

        def differ(one: keras.Model, other: keras.Model) -> bool:
            first, second = (
                keras.ops.convert_to_numpy(each(seen, training=False)).astype(float)
                for each in (one, other)
            )
            return not np.allclose(first, second, rtol=1e-2, atol=1e-4, equal_nan=True)

        # Some draw numbers whenever they are asked.
        alike = not differ(network, copy) or differ(network, network)
    if not alike:
        raise ValueError(
            "The network would compute something else once it is stored and read "
            "again: a file has settings (get_config) and weights, and not all that "
            f"{', '.join(repr(layer.name) for layer in own)} knows is in these. Keep "
            f"it in weights (add_weight) or settings. {_REGISTER}"
        )


def predicting_copy(network: keras.Model, image_shape: tuple[int, ...]) -> keras.Model:
    """Copy a network as a graph of what it does when it is not being trained.

    Parameters
    ----------
    network : keras.Model
        Trained.
    image_shape : tuple of int
        (height, width, channels) of what it takes.

    Returns
    -------
    keras.Model
        What a converter to another format can read.
    """
    copy = unpack(pack(network))
    for layer in copy._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            # As variables of no shape converters cannot read them.
            layer.mean, layer.variance = (
                keras.ops.convert_to_numpy(each)
                for each in (layer.mean, layer.variance)
            )
    # Otherwise layers such as RandomFlip would be at work in the graph.
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, copy(inputs, training=False))


def put_weights(network: keras.Model, weights: list[np.ndarray]) -> None:
    """Give a network its weights, and to layers what they derive from those."""
    network.set_weights(weights)
    for layer in network._flatten_layers():
        # Such as Normalization.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _describe(network: keras.Model) -> str:
    architecture = json.loads(network.to_json())
    architecture.pop("compile_config", None)
    return json.dumps(architecture)


def _build(architecture: str) -> Any:
    try:
        # Its initial weights will be overwritten, but they are drawn all the same.
        with seeded_build(0):
            return keras.models.model_from_json(architecture)
    except (TypeError, ValueError) as error:
        # Keras tells of each level in turn, with all of its settings.
        cause = str(error).split("Exception encountered: ")[-1]
        cause = cause.partition("Full object config:")[0].strip()
        raise ValueError(
            f"The network of this classifier cannot be built again. {_REGISTER} Keras "
            f"says: {cause}"
        ) from error


def is_plain_layer(layer: keras.layers.Layer) -> bool:
    """Tell whether a layer is Keras' own, with no function of somebody else's.

    Of a function the description has only the name.
    """
    if isinstance(layer, keras.layers.Lambda) or hasattr(layer, "finalize_state"):
        # The latter keep constants besides their variables, as Normalization does.
        return False
    parts = [v for v in vars(layer).values() if isinstance(v, FunctionType)]
    return all(map(comes_from_keras, [type(layer), *parts]))


def comes_from_keras(part: Any, *others: str) -> bool:
    """Tell whether a class or function is defined in Keras, or in other packages."""
    return (part.__module__ or "").partition(".")[0] in ("keras", *others)
