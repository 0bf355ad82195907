"""What a classifier has to know of the networks that builders give it."""

import math
import pkgutil
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

# Layers that builders have returned, as long as somebody has them.
_returned: "weakref.WeakSet[keras.layers.Layer]" = weakref.WeakSet()
_remembering = threading.Lock()


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


def check_network(network: Any, image_shape: tuple[int, ...], n_classes: int) -> None:
    """Check that a builder returned a fresh network with an output for each class.

    A `keras.Sequential` that was not told what it takes is built.

    Parameters
    ----------
    network : object
        What the builder returned.
    image_shape : tuple of int
        (height, width, channels).
    n_classes : int
        For 2 classes a single output will do, too.

    Raises
    ------
    TypeError
        If it is no Keras model.
    ValueError
        If its output has another shape, or a layer of it that can be trained was in
        a network before.
    """
    if not isinstance(network, keras.Model):
        raise TypeError(
            f"model has to return a Keras model; it returned {type(network).__name__}."
        )
    if isinstance(network, keras.Sequential) and not network.built:
        network.build((None, *image_shape))
    shape = getattr(network, "output_shape", None)
    if shape is None:
        raise ValueError(
            f"The network, a {type(network).__name__}, does not say what it takes and "
            "gives. Make it by keras.Sequential or keras.Model(inputs, outputs), and "
            "let it begin with keras.layers.Input(meta['image_shape_'])."
        )
    good = [(None, n_classes)] + [(None, 1)] * (n_classes == 2)
    if shape not in good:
        raise ValueError(
            f"The network's output has shape {shape}, but {n_classes} classes need "
            f"{' or '.join(map(str, good))}. Let the function that builds it take an "
            "argument `meta` and use meta['n_classes_']."
        )
    trained = [layer for layer in network._flatten_layers() if layer.trainable_weights]
    with _remembering:
        old = next((layer for layer in trained if layer in _returned), None)
        _returned.update(trained)
    if old is not None:
        raise ValueError(
            f"The function that builds the network returned {old.name!r} a second "
            "time. What it learnt of other images, such as those held out in another "
            "fold, would not be forgotten. Make all layers inside the function, or set "
            "trainable=False for those that stay."
        )


def check_loss(network: keras.Model) -> None:
    """Check that the loss of a compiled network is one on probabilities.

    Parameters
    ----------
    network : keras.Model
        Compiled, and checked by :func:`check_network`.

    Raises
    ------
    ValueError
        If the loss takes the outputs for logits, or cannot learn from a single one.
    """
    loss = _loss_of(network)
    is_single = network.output_shape[-1] == 1
    if getattr(loss, "from_logits", False):
        raise ValueError(
            f"The loss {type(loss).__name__} has from_logits=True, but the network has "
            "to give probabilities. Let it end in a "
            f"{'sigmoid' if is_single else 'softmax'}, and leave from_logits out."
        )
    of_several = ("categorical", "sparsecategorical")
    if is_single and any(name.startswith(of_several) for name in _names_of(loss)):
        raise ValueError(
            "The network has a single output, from which a categorical loss learns "
            "nothing. Give loss='binary_crossentropy', or let the network end in a "
            "softmax over both classes."
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
    if any(name.startswith("sparse") for name in _names_of(_loss_of(network))):
        return codes
    return np.eye(n_classes, dtype=np.float32)[codes]


def _loss_of(network: keras.Model) -> Any:
    """Return the loss of a network with one output, for which a list may stand."""
    loss = network.loss
    while isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    return loss


def _names_of(loss: Any) -> list[str]:
    """Return all that a loss is called, its classes too, in plain small letters."""
    if isinstance(loss, str):
        names = [loss]
    elif hasattr(loss, "__name__"):
        names = [loss.__name__]
    else:
        names = [str(getattr(loss, "name", ""))]
        names += [kind.__name__ for kind in type(loss).__mro__]
    return [name.replace("_", "").lower() for name in names]


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
