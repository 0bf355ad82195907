"""A network as plain data: its architecture and its weights, nothing of its training.

Pickling a Keras model takes the optimizer's state along, which doubles or trebles the
file and is of no use to predict.
"""

import json
from typing import Any, NamedTuple

import keras
import numpy as np

from skwbc.cnn._seeding import seeded_build


class PackedNetwork(NamedTuple):
    """An architecture as Keras writes it, and the weights in Keras' order."""

    architecture: str
    weights: list[np.ndarray]


def pack(network: keras.Model) -> PackedNetwork:
    """Take from a network what prediction needs."""
    architecture = json.loads(network.to_json())
    architecture.pop("compile_config", None)
    return PackedNetwork(json.dumps(architecture), network.get_weights())


def unpack(packed: PackedNetwork) -> Any:
    """Build the network again. It is not compiled.

    Raises
    ------
    ValueError
        If the architecture has a layer that Keras does not know.
    """
    try:
        # Its initial weights are overwritten below, but they are drawn all the same.
        with seeded_build(0):
            network = keras.models.model_from_json(packed.architecture)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The network of this classifier cannot be built again. If it has layers "
            "of your own, register them with keras.saving.register_keras_serializable "
            "in a module that is imported before loading. Keras says: "
            f"{error}"
        ) from error
    network.set_weights(packed.weights)
    for layer in network._flatten_layers():
        # Layers such as Normalization derive constants from their weights.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return network
