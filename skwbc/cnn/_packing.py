"""A network as plain data: its architecture and its weights, nothing of its training.

Pickling a Keras model takes the optimizer's state along, which doubles or trebles the
file and is of no use to predict.
"""

import json
from typing import Any, NamedTuple

import keras
import numpy as np

from skwbc.cnn._seeding import seeded_build

# What makes a network such as a file can tell.
REGISTER = (
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
    return PackedNetwork(describe(network), network.get_weights())


def unpack(packed: PackedNetwork) -> Any:
    """Build the network again. It is not compiled.

    Raises
    ------
    ValueError
        If the architecture has a layer that Keras does not know.
    """
    network = build(packed.architecture)
    put_weights(network, packed.weights)
    return network


def put_weights(network: keras.Model, weights: list[np.ndarray]) -> None:
    """Give a network its weights, and to layers what they derive from those."""
    network.set_weights(weights)
    for layer in network._flatten_layers():
        # Such as Normalization.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def describe(network: keras.Model) -> str:
    """Return the architecture of a network as Keras writes it."""
    architecture = json.loads(network.to_json())
    architecture.pop("compile_config", None)
    return json.dumps(architecture)


def build(architecture: str) -> Any:
    """Build a network of drawn weights; say in a line why that cannot be done."""
    try:
        # Its initial weights will be overwritten, but they are drawn all the same.
        with seeded_build(0):
            return keras.models.model_from_json(architecture)
    except (TypeError, ValueError) as error:
        # Keras tells of each level in turn, with all of its settings.
        cause = str(error).split("Exception encountered: ")[-1]
        cause = cause.partition("Full object config:")[0].strip()
        raise ValueError(
            f"The network of this classifier cannot be built again. {REGISTER} Keras "
            f"says: {cause}"
        ) from error
