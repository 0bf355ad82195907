"""What an augmenter's ranges mean, and the messages if they mean nothing."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from skwbc.augmentation._affine import ShiftRange


def shift_range(value: Any, side: int, name: str) -> ShiftRange:
    """Read the range of a shift as Keras does.

    Parameters
    ----------
    value : float, int or array-like of shape (n_choices,)
        See `ImageAugmenter`.
    side : int
        Length in pixels of the side that fractions are of.
    name : str
        Name of the option, for the message.

    Returns
    -------
    ShiftRange
        In pixels.
    """
    if isinstance(value, Integral):
        return ShiftRange(choices=tuple(map(float, range(int(value)))))
    if isinstance(value, Real):
        return ShiftRange(limit=float(value) * (side if value < 1 else 1))
    choices = _numbers(value)
    if choices is None or len(choices) == 0:
        raise ValueError(
            f"{name}={value!r}: expected a fraction below 1, a number of pixels, or a "
            "list of such numbers to choose from."
        )
    if np.abs(choices).max() < 1:
        choices = choices * side
    return ShiftRange(choices=tuple(choices.tolist()))


def zoom_range(value: Any) -> tuple[float, float]:
    """Return the factors from and to; a number z is short for 1 - z and 1 + z."""
    if isinstance(value, Real):
        return 1.0 - float(value), 1.0 + float(value)
    factors = _numbers(value)
    if factors is None or len(factors) != 2 or not 0 < factors[0] <= factors[1]:
        raise ValueError(
            f"zoom_range={value!r}: expected a number from 0 to 1 (excluded), or a "
            "pair of factors (from, to) with 0 < from <= to."
        )
    return float(factors[0]), float(factors[1])


def brightness_range(value: Any) -> tuple[float, float]:
    """Return the factors from and to; None leaves brightness alone."""
    if value is None:
        return 1.0, 1.0
    factors = _numbers(value)
    if factors is None or len(factors) != 2 or not 0 <= factors[0] <= factors[1]:
        raise ValueError(
            f"brightness_range={value!r}: expected None or a pair of factors (from, "
            "to) with 0 <= from <= to, such as (0.8, 1.2)."
        )
    return float(factors[0]), float(factors[1])


def stain_jitter(value: Any) -> tuple[float, float]:
    """Return how far scale and shift go; a number stands for both."""
    if isinstance(value, Real):
        return float(value), float(value)
    sizes = _numbers(value)
    if sizes is None or len(sizes) != 2 or sizes.min() < 0 or sizes[0] >= 1:
        raise ValueError(
            f"stain_jitter={value!r}: expected a number from 0 to 1 (excluded), or a "
            "pair (scale, shift) of numbers not below 0, the first of them below 1."
        )
    return float(sizes[0]), float(sizes[1])


def _numbers(value: Any) -> np.ndarray | None:
    """Return a flat list of finite numbers as an array; None if it is none."""
    try:
        numbers = np.asarray(value)
    except ValueError:
        return None
    if numbers.ndim != 1 or numbers.dtype.kind not in "uif":
        return None
    return numbers.astype(float) if np.isfinite(numbers).all() else None
