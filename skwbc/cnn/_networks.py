"""What a classifier has to know of the networks that builders give it."""

import math
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np


def find_builder(model: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return the function that builds networks.

    Parameters
    ----------
    model : callable or str
        The function, or its import path.

    Raises
    ------
    ValueError
        If there is no function at an import path.
    """
    if not isinstance(model, str):
        return model
    wanted = "expected the import path of a function, as 'package.module:function'"
    if ":" not in model:
        raise ValueError(f"model={model!r}; {wanted}.")
    try:
        found = pkgutil.resolve_name(model)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"model={model!r}; {wanted}. {error}.") from error
    if not callable(found):
        raise ValueError(f"model={model!r} is a {type(found).__name__}; {wanted}.")
    return found


def check_network(network: Any, n_classes: int) -> None:
    """Check that a builder returned a network with an output for each class.

    Parameters
    ----------
    network : object
        What the builder returned.
    n_classes : int
        For 2 classes a single output will do, too.

    Raises
    ------
    TypeError
        If it is no Keras model.
    ValueError
        If its output has another shape.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"model has to return a Keras model; it returned {type(network).__name__}."
        )
    shape = getattr(network, "output_shape", None)
    good = [(None, n_classes)] + [(None, 1)] * (n_classes == 2)
    if shape not in good:
        raise ValueError(
            f"The network's output has shape {shape}, but {n_classes} classes need "
            f"{' or '.join(map(str, good))}. Let the function that builds it take an "
            "argument `meta` and use meta['n_classes_']."
        )


def encode(codes: np.ndarray, network: keras.Model, n_classes: int) -> np.ndarray:
    """Encode classes as the output and the loss of a compiled network want them.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), int
        Positions in the sorted classes.
    network : keras.Model
        Compiled, and checked by :func:`check_network`.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
        The codes for a sparse loss, a column for a single output, one-hot rows
        otherwise.
    """
    if network.output_shape[-1] == 1:
        return codes.astype(np.float32)[:, np.newaxis]
    loss = network.loss
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    if name is None:
        name = getattr(loss, "__name__", type(loss).__name__)
    if str(name).lower().startswith("sparse"):
        return codes
    return np.eye(n_classes, dtype=np.float32)[codes]


def cosine_rates(
    optimizer: keras.optimizers.Optimizer, steps: int, warmup_fraction: float
) -> Iterator[float]:
    """Give the learning rate of each training step, rising, then along a cosine.

    The values are those of ``keras.optimizers.schedules.CosineDecay``, which
    would become part of what is compiled, anew for each number of steps.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Its learning rate becomes the highest.
    steps : int
        Training steps in all.
    warmup_fraction : float
        Part of them in which it rises from zero.

    Returns
    -------
    iterator of float
        As many values as there are steps.

    Raises
    ------
    ValueError
        If the optimizer has a schedule already.
    """
    if not isinstance(optimizer.learning_rate, keras.Variable):
        raise ValueError(
            "learning_rate_schedule='cosine' needs an optimizer whose learning rate is "
            "a number; this one has a schedule of its own. Choose "
            "learning_rate_schedule='constant' to follow that."
        )
    peak = float(optimizer.learning_rate)
    warmup = round(warmup_fraction * steps)

    def rates() -> Iterator[float]:
        yield from (peak * step / warmup for step in range(warmup))
        fall = max(steps - warmup, 1)
        for step in range(steps - warmup):
            yield peak * (1 + math.cos(math.pi * step / fall)) / 2

    return rates()
