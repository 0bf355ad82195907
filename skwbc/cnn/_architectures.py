"""Networks for small images of single cells.

A builder takes `meta`, a dict of what the classifier knows when it is fitted, of which
these use ``image_shape_`` and ``n_classes_``, and returns a network that is not yet
compiled. Other arguments of a builder are set on the classifier as ``model__name``.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from skwbc.cnn._pretrained import load_pretrained

# That of images here, whatever Keras is told for other networks.
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
            # Pooled before it is rectified: the same values from a quarter of the work.
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

    The size of the image hardly matters to the number of parameters (0.4 million by
    default), because the last maps are averaged and not flattened [1]_. The first
    convolution steps by two pixels, and all but the last are followed by a pooling, so
    the work is done on small maps: four convolutions of an image of 100 x 100 pixels
    take a tenth of the arithmetic that they would take at full size.

    Parameters
    ----------
    meta : mapping
        With ``image_shape_`` (height, width, channels) and ``n_classes_``.
    filters : sequence of int, default=(32, 64, 128, 256)
        Maps of each convolution, in order.
    dropout : float, default=0.3
        Rate before the last layer, from 0 to 1 (excluded).
    weights : "blood_cells", str, path-like or None, default=None
        What the convolutions begin with. None draws them. "blood_cells" takes weights
        that were trained to tell the five classes of
        :func:`~skwbc.datasets.make_blood_cells` apart, drawn images of which colours,
        sizes and sharpness were varied widely; no photograph was used. They are for
        the default `filters`. Anything else is a file written by
        ``benchmarks/pretrain.py``. The last layer is always drawn. Images of one
        channel are taken for grey RGB images; with two, or more than three, the first
        convolution is drawn, too.

    Returns
    -------
    keras.Model
        Ends in a softmax over the classes.

    Raises
    ------
    ValueError
        If `weights` are not for these `filters`, or not a file of weights.
    FileNotFoundError
        If there is no such file.

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
            # Pooled before it is normalised, which is a quarter of the work.
            x = layers.MaxPooling2D(2, padding="same", data_format=_FORMAT)(x)
        # Few steps are taken, so the running averages have to follow fast.
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D(data_format=_FORMAT)(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(meta["n_classes_"], activation="softmax")(x)
    network = keras.Model(inputs, outputs)
    if weights is not None:
        load_pretrained(network, weights)
    return network


# Where pickles look for them.
for _builder in (build_article_cnn, build_compact_cnn):
    _builder.__module__ = "skwbc"
