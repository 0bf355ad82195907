"""Networks for small images of single cells.

A builder takes `meta`, a dict with ``image_shape_``, ``n_classes_`` and ``classes_``,
and returns a network that is not compiled. Other arguments of a builder are set on the
classifier as ``model__name``.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from skwbc.cnn._pretrained import load_pretrained

# The format of images here, whatever the global setting of Keras is.
_FORMAT = "channels_last"


def build_article_cnn(meta: Mapping[str, Any], dropout: float = 0.5) -> keras.Model:
    """Build the network of the article: two convolutions and a wide dense layer.

    For images of 100 x 100 pixels it has 10.3 million parameters, nearly all of them
    between the flattened maps and the dense layer.

    Parameters
    ----------
    meta : mapping
        With ``image_shape_`` (height, width, channels) and ``n_classes_``.
    dropout : float, default=0.5
        Rate before the last layer, from 0 to 1 (excluded).

    Returns
    -------
    keras.Model
        Ends in a softmax over the classes.
    """
    return keras.Sequential(
        [
            layers.Input(meta["image_shape_"]),
            # Pooling before the ReLU gives the same values with a quarter of the work.
            layers.Conv2D(32, 3, padding="same", data_format=_FORMAT),
            layers.MaxPooling2D(2, data_format=_FORMAT),
            layers.ReLU(),
            layers.Conv2D(64, 2, padding="same", data_format=_FORMAT),
            layers.MaxPooling2D(2, data_format=_FORMAT),
            layers.ReLU(),
            layers.Flatten(_FORMAT),
            layers.Dense(256, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def build_compact_cnn(
    meta: Mapping[str, Any],
    filters: Sequence[int] = (32, 64, 128, 256),
    dropout: float = 0.3,
    weights: str | os.PathLike | None = None,
) -> keras.Model:
    """Build a small network of batch-normalised convolutions.

    The number of parameters (0.4 million by default) does not depend on the size of the
    images, because the last maps are averaged and not flattened [1]_. The first
    convolution has a stride of two pixels, and all but the last are followed by
    pooling. On images of 100 x 100 pixels the four convolutions take a tenth of the
    operations that they would take at full size.

    Parameters
    ----------
    meta : mapping
        With ``image_shape_`` (height, width, channels) and ``n_classes_``.
    filters : sequence of int, default=(32, 64, 128, 256)
        Number of maps of each convolution.
    dropout : float, default=0.3
        Rate before the last layer, from 0 to 1 (excluded).
    weights : "blood_cells", str, path-like or None, default=None
        Initial weights of the convolutions. None means random ones. "blood_cells" are
        weights for the default `filters`, trained to distinguish the five classes of
        :func:`~skwbc.datasets.make_blood_cells`: drawn images, with widely varied
        colours, sizes and sharpness, and no photographs. Anything else is a file
        written by ``benchmarks/pretrain.py``. The last layer is always random. Images
        with one channel are treated as grey RGB images; with two, or more than three
        channels, the first convolution is random, too.

    Returns
    -------
    keras.Model
        Ends in a softmax over the classes.

    Raises
    ------
    ValueError
        If `weights` are for other `filters`, or not a file of weights.
    FileNotFoundError
        If the file does not exist.

    References
    ----------
    .. [1] M. Lin, Q. Chen, S. Yan. "Network in network." ICLR 2014.
    """
    x = inputs = layers.Input(meta["image_shape_"])
    for stage, maps in enumerate(filters, start=1):
        side, step = (5, 2) if stage == 1 else (3, 1)
        convolution = layers.Conv2D(
            maps, side, step, padding="same", data_format=_FORMAT, use_bias=False
        )
        x = convolution(x)
        if stage < len(filters):
            # Pooling before the normalisation saves three quarters of its work.
            x = layers.MaxPooling2D(2, padding="same", data_format=_FORMAT)(x)
        # The running averages have to adapt in few training steps.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D(data_format=_FORMAT)(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(meta["n_classes_"], activation="softmax")(x)
    network = keras.Model(inputs, outputs)
    if weights is not None:
        load_pretrained(network, weights)
    return network


# The address in pickles.
for _builder in (build_article_cnn, build_compact_cnn):
    _builder.__module__ = "skwbc"
