"""Losses: their checks, and the form in which they take the classes."""

from collections.abc import Callable
from enum import IntEnum
from functools import partial

import keras
import numpy as np

Encoder = Callable[[np.ndarray], np.ndarray]


class _Fit(IntEnum):
    """Behaviour of a loss with targets in one form, from worst to best."""

    ERROR = 0
    # A wrong prediction has a lower loss than the right one.
    WRONG = 1
    # All predictions have the same loss.
    CONSTANT = 2
    RIGHT = 3


def encoder_for(network: keras.Model, n_classes: int) -> Encoder:
    """Return a function that encodes classes as a compiled network needs them.

    Some losses take one-hot rows, others the numbers of the classes, and names do not
    tell which. So the loss is called on a few made-up rows of either form.

    Parameters
    ----------
    network : keras.Model
        Compiled, and checked by :func:`skwbc.cnn._networks.check_network`.
    n_classes : int
        Number of classes.

    Returns
    -------
    callable
        Takes positions in the sorted classes, and returns a column for a network with a
        single output, otherwise one-hot rows, or the positions themselves if the loss
        does not work with those.

    Raises
    ------
    ValueError
        If there is no loss, or it expects logits, does not work with a single output,
        or works with neither form.
    """
    one_hot = partial(_one_hot, n_classes=n_classes)
    is_single = network.output_shape[-1] == 1
    losses = keras.tree.flatten(network.loss)
    if len(losses) != 1 or losses[0] is None:
        if _computes_its_loss(network):
            return _column if is_single else one_hot
        raise ValueError(
            f"The network was compiled with loss={network.loss!r}; expected one loss, "
            "such as 'categorical_crossentropy'."
        )
    (loss,) = losses
    if getattr(loss, "from_logits", False):
        raise ValueError(
            f"The loss {type(loss).__name__} has from_logits=True, but the network has "
            "to return probabilities. End it with a "
            f"{'sigmoid' if is_single else 'softmax'}, and leave from_logits out."
        )
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        # Keras chooses a loss for the shape of the targets.
        return _column if is_single else one_hot
    loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    if is_single:
        fit, _ = _try(loss, _column, n_outputs=1)
        if fit is not _Fit.RIGHT:
            raise ValueError(
                f"The network has a single output, which the loss {name} does not work "
                "with; a categorical loss needs one output per class. Set "
                "loss='binary_crossentropy', or end the network with a softmax over "
                "both classes."
            )
        return _column
    fit, error = _try(loss, one_hot, n_classes)
    if fit is _Fit.RIGHT:
        return one_hot
    fit_of_numbers, error_of_numbers = _try(loss, _numbers, n_classes)
    if fit is fit_of_numbers is _Fit.ERROR:
        raise ValueError(
            f"The loss {name} works neither with one-hot rows, {_shorten(error)}, nor "
            f"with the numbers of the classes, {_shorten(error_of_numbers)}. Choose a "
            "loss for classification, which takes targets and probabilities."
        ) from error
    return _numbers if fit_of_numbers > fit else one_hot


def _computes_its_loss(network: keras.Model) -> bool:
    """Return whether a network of the user's own class computes the loss."""
    return any(
        getattr(type(network), name) is not getattr(keras.Model, name)
        for name in ("compute_loss", "train_step")
    )


def _try(
    loss: Callable, encode: Encoder, n_outputs: int
) -> tuple[_Fit, Exception | None]:
    """Compare the losses of right and wrong predictions for targets in one form."""
    # Unlike the number of outputs, or arrays of other forms might fit each other.
    n_rows = 3 if n_outputs == 2 else 2
    values = np.empty((2, 2))
    try:
        for target, prediction in np.ndindex(2, 2):
            targets = encode(np.full(n_rows, target))
            if n_outputs == 1:
                outputs = np.full((n_rows, 1), 0.1 + 0.8 * prediction)
            else:
                outputs = np.full((n_rows, n_outputs), 0.2 / (n_outputs - 1))
                outputs[:, prediction] = 0.8
            values[target, prediction] = _value(loss, targets, outputs)
    except Exception as error:
        # A loss may raise anything.
        return _Fit.ERROR, error
    if not np.isfinite(values).all():
        return _Fit.ERROR, ValueError(f"its values are {values.tolist()}")
    differences = np.array([values[0, 1] - values[0, 0], values[1, 0] - values[1, 1]])
    rounding = 1e-7 * np.abs(values).max()
    if (differences < -rounding).any():
        return _Fit.WRONG, None
    return (_Fit.RIGHT if differences.max() > rounding else _Fit.CONSTANT), None


def _value(loss: Callable, targets: np.ndarray, outputs: np.ndarray) -> float:
    """Return the mean loss, computed as a network does but with no side effects."""
    tensors = (keras.ops.convert_to_tensor(a, "float32") for a in (targets, outputs))
    # Variables, such as the state of a random generator, keep their values.
    with keras.StatelessScope():
        value = loss(*tensors)
    return float(np.mean(keras.ops.convert_to_numpy(value)))


def _shorten(error: Exception | None) -> str:
    return (
        f"where it raises {type(error).__name__}: {' '.join(str(error).split())[:150]}"
    )


def _one_hot(codes: np.ndarray, n_classes: int) -> np.ndarray:
    return np.eye(n_classes, dtype=np.float32)[codes]


def _column(codes: np.ndarray) -> np.ndarray:
    return codes.astype(np.float32)[:, np.newaxis]


def _numbers(codes: np.ndarray) -> np.ndarray:
    return codes
