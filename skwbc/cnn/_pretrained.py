"""Pretrained weights, from which a network starts in place of random ones."""

import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from skwbc._utils.files import replacing

# Names of weights that come with the package; the file's name begins with that of the
# network.
SHIPPED = ("blood_cells",)
# The array that says how weights were made.
_ABOUT = "about"
# Raised by numpy.load or its result for files that do not hold a list of arrays.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile)


def load_pretrained(
    network: keras.Model, weights: str | os.PathLike, kind: str
) -> None:
    """Set the weights of all layers but the last to pretrained ones.

    Parameters
    ----------
    network : keras.Model
        Built, not compiled; changed in place.
    weights : str or path-like
        A name in `SHIPPED`, or a file written by :func:`save_pretrained`.
    kind : {"compact", "residual"}
        The kind of network that the shipped weights are for.

    Raises
    ------
    ValueError
        If the file does not hold weights, or they are for another network.
    FileNotFoundError
        If the file does not exist.
    """
    variables = _all_but_the_last(network)
    stored = _read(weights, kind)
    shapes = [tuple(variable.shape) for variable in variables]
    first = shapes[0]
    if len(stored) == len(shapes) and len(first) == stored[0].ndim == 4:
        stored[0] = _match_channels(stored[0], variables[0])
    if [array.shape for array in stored] != shapes:
        raise ValueError(
            f"weights={os.fspath(weights)!r} are for another network: they have "
            f"convolutions of {_describe([a.shape for a in stored])} maps, this one "
            f"has {_describe(shapes)}. Set filters to the former, or weights=None for "
            "random weights."
        )
    for variable, array in zip(variables, stored, strict=True):
        variable.assign(array)


def save_pretrained(
    network: keras.Model,
    file: str | os.PathLike,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights of all layers but the last, in half precision.

    Parameters
    ----------
    network : keras.Model
        Trained.
    file : str or path-like
        A file ending in ".npz". Half precision keeps three digits, which suffices for
        the start of a training.
    about : mapping, default=None
        How the weights were made, stored as JSON in the array "about".
    """
    arrays = [
        variable.numpy().astype(np.float16) for variable in _all_but_the_last(network)
    ]
    with replacing(file) as temporary:
        notes: dict[str, Any] = {_ABOUT: np.array(json.dumps(about))} if about else {}
        np.savez_compressed(temporary, *arrays, **notes)


def _read(weights: str | os.PathLike, kind: str) -> list[np.ndarray]:
    name = os.fspath(weights)
    path: Any = Path(name)
    if name in SHIPPED:
        path = files("skwbc.cnn").joinpath("weights", f"{kind}_{name}.npz")
    elif not path.exists():
        raise FileNotFoundError(
            f"weights={name!r} is neither one of {list(SHIPPED)} nor an existing file."
        )
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return [
                array.astype(np.float32)
                for key, array in arrays.items()
                if key != _ABOUT
            ]
    except _UNREADABLE as error:
        raise ValueError(
            f"weights={name!r} could not be read as weights of a network; expected an "
            f".npz file written by benchmarks/pretrain.py. {error}"
        ) from error


def _all_but_the_last(network: keras.Model) -> list[Any]:
    return [variable for layer in network.layers[:-1] for variable in layer.weights]


def _match_channels(kernel: np.ndarray, variable: Any) -> np.ndarray:
    """Adapt the first kernel, for RGB images, to another number of channels."""
    channels = variable.shape[2]
    if channels == kernel.shape[2]:
        return kernel
    if channels == 1:
        # Equal to the result for an RGB image with three equal channels.
        return kernel.sum(axis=2, keepdims=True)
    return variable.numpy()


def _describe(shapes: list[tuple[int, ...]]) -> str:
    return str(tuple(shape[-1] for shape in shapes if len(shape) == 4))
