"""Frozen networks, which describe images: of Keras, or in ONNX files.

All estimators of a process that hold the same network hold the same object, after
loading as well. So a fold ensemble has its network once, in memory and in its file.
"""

import functools
import hashlib
import inspect
import json
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from sklearn.utils import gen_batches

from skwbc._utils.onnx_sessions import first_line, open_session
from skwbc.cnn._architectures import build_compact_cnn, build_residual_cnn
from skwbc.cnn._compiled.identity import config_without_names
from skwbc.cnn._compiled.prediction import predict_in_batches
from skwbc.cnn._copies import bare_copy, check_copy, pack, put_weights, unpack
from skwbc.cnn._keras_compat import seeded_build
from skwbc.cnn._networks import find_builder
from skwbc.cnn._processes import check_process
from skwbc.cnn._settings import check_keras_settings

# The networks of this package. Their last maps, side by side, describe an image.
# They take RGB images of any size, divided by 255 and less the mean of each.
NETWORKS = {"blood_cells": (build_compact_cnn, build_residual_cnn)}
# The layer of those maps.
_MAPS = -4

_building = threading.RLock()
_encoders: "weakref.WeakValueDictionary[str, Encoder]" = weakref.WeakValueDictionary()
_lock = threading.RLock()


class Encoder:
    """A network that turns images into rows of features.

    Parameters
    ----------
    content : object
        What a file has of it.
    digest : str
        Equal for networks that compute the same.

    Attributes
    ----------
    input_shape : tuple of int or None
        (height, width, channels); None for a length that is not fixed.
    """

    __module__ = "skwbc.cnn"  # where pickles look for its subclasses

    input_shape: tuple[int | None, ...]

    def __init__(self, content: Any, digest: str) -> None:
        self.content = content
        self.digest = digest

    @classmethod
    def shared(cls, content: Any, digest: str) -> Self:
        """Return the encoder with a digest; make it if there is none."""
        with _lock:
            encoder = _encoders.get(digest)
            if encoder is None:
                encoder = _encoders[digest] = cls(content, digest)
            return encoder  # type: ignore[return-value]

    def __reduce__(self):
        return share_encoder, (type(self), self.content, self.digest)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return features, (n_samples, n_features), of float32 images."""
        raise NotImplementedError


def share_encoder(kind: type[Encoder], content: Any, digest: str) -> Encoder:
    """Return the encoder of a file; a function, because cloudpickle copies methods."""
    return kind.shared(content, digest)


share_encoder.__module__ = "skwbc.cnn"  # the address in pickles


class KerasEncoder(Encoder):
    """A Keras network with one row of outputs per image."""

    __module__ = "skwbc.cnn"

    def __init__(self, content: Any, digest: str) -> None:
        # In a forked process it stays the content of a file.
        network = unpack(content) if isinstance(content, dict) else content
        super().__init__(network, digest)

    @property
    def network(self) -> keras.Model:
        """The network."""
        check_process()
        return self.content

    @property
    def input_shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """Shape of an image."""
        return self.network.input_shape[1:]

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return features of images."""
        return predict_in_batches([self.network], images)[0]

    def __reduce__(self):
        return share_encoder, (type(self), pack(self.content), self.digest)


class OnnxEncoder(Encoder):
    """The bytes of an ONNX file, whose first output describes images."""

    __module__ = "skwbc.cnn"

    def __init__(self, content: bytes, digest: str) -> None:
        super().__init__(content, digest)
        session = self._session
        inputs = session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type != "tensor(float)":
            listing = ", ".join(f"{each.type} of shape {each.shape}" for each in inputs)
            raise ValueError(
                "expected one input, a batch of images in float32 with four axes; it "
                f"takes {listing}"
            )
        sides = [side if isinstance(side, int) else None for side in shape]
        is_colour = [side in (1, 3) for side in sides]
        # As PyTorch writes them, unless only the last axis can be that of the channels.
        self.channels_first = is_colour[1] or not is_colour[3]
        self.n_images = sides[0]
        self.input_shape = tuple(
            sides[axis] for axis in ((2, 3, 1) if self.channels_first else (1, 2, 3))
        )

    @property
    def _session(self) -> Any:
        # A forked process opens its own, as it would wait for threads of its parent.
        process, session = self.__dict__.get("_opened", (None, None))
        if process != os.getpid():
            session = open_session(self.content)
            self._opened = (os.getpid(), session)
        return session

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return features of images."""
        if self.channels_first:
            images = images.transpose(0, 3, 1, 2)
        session, rows = self._session, []
        name = session.get_inputs()[0].name
        for part in gen_batches(len(images), self.n_images or len(images)):
            batch = images[part]
            missing = (self.n_images or len(batch)) - len(batch)
            batch = np.concatenate([batch, *[batch[-1:]] * missing])
            try:
                output = session.run(None, {name: np.ascontiguousarray(batch)})[0]
            except Exception as error:
                # Those of ONNX Runtime have no base class of their own.
                raise ValueError(
                    f"The ONNX network failed on images of shape {batch.shape}: "
                    f"{first_line(error)}. Set image_size to the size that it takes."
                ) from error
            rows.append(output[: len(batch) - missing])
        output = np.concatenate(rows)
        if output.ndim == 4:
            return output.mean(axis=(2, 3) if self.channels_first else (1, 2))
        return output.mean(axis=1) if output.ndim == 3 else output


def find_encoder(
    network: Any, image_shape: tuple[int, ...], owner: str
) -> tuple[Encoder, bool]:
    """Return the encoder that a parameter describes, and whether it is of this package.

    Parameters
    ----------
    network : str, path-like, keras.Model or callable
        Parameter of :class:`~skwbc.NetworkFeatures`.
    image_shape : tuple of int
        (height, width, channels) of the images that a network is built for.
    owner : str
        Name of the estimator, for the messages.

    Raises
    ------
    ValueError, TypeError
        If there is no such network, or it does not turn images into rows.
    """
    if isinstance(network, str) and network in NETWORKS:
        return _shipped(network), True
    path = network if isinstance(network, str | os.PathLike) else None
    if path is not None and os.fspath(path).endswith(".onnx"):
        return _from_file(Path(path)), False
    if isinstance(network, str) and ":" not in network:
        raise ValueError(
            f"network={network!r}; expected one of {sorted(NETWORKS)}, a Keras model, "
            "a function that builds one or its import path 'package.module:function', "
            "or an .onnx file."
        )
    check_process()
    check_keras_settings("floatx", "dtype_policy")
    if not isinstance(network, keras.Model):
        build = find_builder(network, "network")
        meta = {"meta": {"image_shape_": image_shape}}
        takes_meta = "meta" in inspect.signature(build).parameters
        # Random weights are the same in all folds.
        with seeded_build(0):
            network = build(**meta if takes_meta else {})
        if not isinstance(network, keras.Model):
            raise TypeError(
                f"network has to return a Keras model; it returned "
                f"{type(network).__name__}."
            )
    return _freeze(_with_rows(network, image_shape, owner)), False


def _shipped(name: str) -> Encoder:
    # Members in several threads ask for it at the same time.
    with _building:
        return _build_shipped(name)


@functools.cache
def _build_shipped(name: str) -> Encoder:
    check_process()
    check_keras_settings("floatx", "dtype_policy")
    return _freeze(side_by_side([(build, name) for build in NETWORKS[name]]))


def side_by_side(
    networks: Sequence[tuple[Callable[..., keras.Model], str | os.PathLike]],
) -> keras.Model:
    """Join the last maps of networks of this package, and average them over pixels.

    Parameters
    ----------
    networks : sequence of (callable, str or path-like)
        Functions that build them, and their weights.

    Returns
    -------
    keras.Model
        For RGB images of any size.
    """
    shape = (None, None, 3)
    inputs = keras.layers.Input(shape)
    meta = {"image_shape_": shape, "n_classes_": 2}
    maps = []
    with seeded_build(0):
        for build, weights in networks:
            network = build(meta, weights=weights)
            body = keras.Model(network.inputs[0], network.layers[_MAPS].output)
            maps.append(body(inputs))
    pool = keras.layers.GlobalAveragePooling2D(data_format="channels_last")
    return keras.Model(inputs, pool(keras.layers.Concatenate()(maps)))


def _from_file(path: Path) -> Encoder:
    if not path.is_file():
        raise FileNotFoundError(f"network={str(path)!r}: there is no such file.")
    content = path.read_bytes()
    try:
        return OnnxEncoder.shared(content, hashlib.sha256(content).hexdigest())
    except ValueError as error:
        raise ValueError(
            f"network={str(path)!r} is no ONNX network for images: {error}."
        ) from error


def _freeze(network: keras.Model) -> Encoder:
    """Return the encoder of a copy, which further training does not change."""
    weights = network.get_weights()
    total = hashlib.sha256(
        json.dumps(config_without_names(network), sort_keys=True).encode()
    )
    for array in weights:
        total.update(f"{array.shape} {array.dtype}".encode())
        total.update(array.tobytes())
    digest = total.hexdigest()
    with _lock:
        if (encoder := _encoders.get(digest)) is not None:
            return encoder
        copy = bare_copy(network)
        put_weights(copy, weights)
        shape = [1, *(side or 32 for side in network.input_shape[1:])]
        check_copy(copy, network, lambda: np.full(shape, 0.5, np.float32))
        return KerasEncoder.shared(copy, digest)


def _with_rows(
    network: keras.Model, image_shape: tuple[int, ...], owner: str
) -> keras.Model:
    """Add the mean over pixels, or over tokens, to a network that ends in maps."""
    if isinstance(network, keras.Sequential) and not network.built:
        network.build((None, *image_shape))
    # Networks that are written in Python have none.
    inputs, outputs = (
        getattr(network, name, None) or [] for name in ("inputs", "outputs")
    )
    ranks = [len(each.shape) for each in (*inputs, *outputs)]
    if ranks not in ([4, 2], [4, 3], [4, 4]):
        raise ValueError(
            f"{owner} needs a network with one input, a batch of images, and one "
            "output with 2, 3 or 4 axes. Make it with keras.Sequential or "
            "keras.Model(inputs, outputs)."
        )
    if ranks[1] == 2:
        return network
    layers = keras.layers
    pool = layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D
    # Not the format and the precision of the global settings.
    pool = pool[ranks[1] - 3](data_format="channels_last", dtype=outputs[0].dtype)
    return keras.Model(inputs[0], pool(outputs[0]))
