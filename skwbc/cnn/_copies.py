"""Copies of a network: as it is stored, and as other formats can read it."""

from collections.abc import Callable
from types import FunctionType

import keras
import numpy as np

from skwbc.cnn._compiled.identity import comes_from_keras, is_plain_layer
from skwbc.cnn._packing import REGISTER, build, describe, pack, put_weights, unpack


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
    copy = build(describe(network))
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
                    f"file. {REGISTER}"
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
            f"it in weights (add_weight) or settings. {REGISTER}"
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
