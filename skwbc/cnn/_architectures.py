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
        weights for the default `filters`, trained on 17,603 photographs of eight types
        of blood cells from two laboratories [2]_ [3]_, and on drawn ones. Anything else
        is a file written by ``benchmarks/pretrain.py``. The last layer is always
        random. Images
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
    .. [2] A. Acevedo et al. "A dataset of microscopic peripheral blood cell images for
       development of automatic recognition systems." Data in Brief 30, 2020. Hospital
       Clinic of Barcelona, CC BY 4.0.
    .. [3] White blood cells of Chulalongkorn University, MIT licence.
    """
    x = inputs = layers.Input(meta["image_shape_"])
    for stage, maps in enumerate(filters, start=1):
        x = _convolve(x, maps, *((5, 2) if stage == 1 else (3, 1)))
        if stage < len(filters):
            # Pooling before the normalisation saves three quarters of its work.
            x = layers.MaxPooling2D(2, padding="same", data_format=_FORMAT)(x)
        x = layers.ReLU()(_normalise(x))
    return _end("compact", inputs, x, meta, dropout, weights)


def build_residual_cnn(
    meta: Mapping[str, Any],
    filters: Sequence[int] = (24, 48, 80, 128),
    blocks: Sequence[int] = (2, 2, 1),
    dropout: float = 0.3,
    weights: str | os.PathLike | None = None,
) -> keras.Model:
    """Build a small residual network.

    A convolution of 5 x 5 pixels with a stride of two, pooling, and blocks of two
    convolutions beside a shortcut [1]_. With the default arguments it has 0.5 million
    parameters, a third more than the compact network, and takes two to three times as
    long. Its pretrained maps are part of :class:`NetworkFeatures`, where nothing is
    trained.

    Parameters
    ----------
    meta : mapping
        With ``image_shape_`` (height, width, channels) and ``n_classes_``.
    filters : sequence of int, default=(24, 48, 80, 128)
        Number of maps of the first convolution, then of each stage.
    blocks : sequence of int, default=(2, 2, 1)
        Number of blocks of each stage. All stages but the first halve the size of the
        maps.
    dropout : float, default=0.3
        Rate before the last layer, from 0 to 1 (excluded).
    weights : "blood_cells", str, path-like or None, default=None
        Initial weights, as in :func:`build_compact_cnn`.

    Returns
    -------
    keras.Model
        Ends in a softmax over the classes.

    Raises
    ------
    ValueError
        If `filters` does not have one number more than `blocks`, `weights` are for
        other `filters` or `blocks`, or not a file of weights.
    FileNotFoundError
        If the file does not exist.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun. "Deep residual learning for image
       recognition." CVPR 2016.
    """
    if len(filters) != len(blocks) + 1:
        raise ValueError(
            f"filters={filters!r} has {len(filters)} numbers and blocks={blocks!r} "
            f"{len(blocks)}; expected one for the first convolution and one per stage."
        )
    inputs = layers.Input(meta["image_shape_"])
    x = _convolve(inputs, filters[0], 5, 2)
    x = layers.MaxPooling2D(2, padding="same", data_format=_FORMAT)(x)
    x = layers.ReLU()(_normalise(x))
    for stage, (maps, count) in enumerate(zip(filters[1:], blocks, strict=True)):
        for block in range(count):
            step = 2 if block == 0 and stage > 0 else 1
            shortcut = x
            if step > 1:
                shortcut = layers.AveragePooling2D(
                    2, padding="same", data_format=_FORMAT
                )(shortcut)
            if block == 0:
                shortcut = _normalise(_convolve(shortcut, maps, 1))
            x = layers.ReLU()(_normalise(_convolve(x, maps, 3, step)))
            x = _normalise(_convolve(x, maps, 3))
            x = layers.ReLU()(layers.Add()([x, shortcut]))
    return _end("residual", inputs, x, meta, dropout, weights)


def _convolve(x: Any, maps: int, side: int, step: int = 1) -> Any:
    return layers.Conv2D(
        maps, side, step, padding="same", data_format=_FORMAT, use_bias=False
    )(x)


def _normalise(x: Any) -> Any:
    # The running averages have to adapt in few training steps.
    return layers.BatchNormalization(momentum=0.9)(x)


def _end(
    kind: str,
    inputs: Any,
    x: Any,
    meta: Mapping[str, Any],
    dropout: float,
    weights: str | os.PathLike | None,
) -> keras.Model:
    """Average the maps, add dropout and softmax, and load the weights."""
    x = layers.GlobalAveragePooling2D(data_format=_FORMAT)(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(meta["n_classes_"], activation="softmax")(x)
    network = keras.Model(inputs, outputs)
    if weights is not None:
        load_pretrained(network, weights, kind)
    return network


# The address in pickles.
for _builder in (build_article_cnn, build_compact_cnn, build_residual_cnn):
    _builder.__module__ = "skwbc"
