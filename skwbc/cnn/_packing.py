"""A network as plain data: its architecture and its weights, nothing of its training.

Pickling a Keras model takes the optimizer's state along, which doubles or trebles the
file and is of no use to predict.
"""

import json
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
            if comes_from_keras(read) and not comes_from_keras(part):
                raise ValueError(
                    f"The function {part.__qualname__!r}, which is {name} of the layer "
                    f"{layer.name!r}, cannot be told from Keras' own of that name in a "
                    f"file. {_REGISTER}"
                )
    return copy


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


def comes_from_keras(part: Any) -> bool:
    """Tell whether a class or function is defined in Keras."""
    return part.__module__.partition(".")[0] == "keras"
