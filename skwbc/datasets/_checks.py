"""What several loaders check."""

import unicodedata
from collections.abc import Sequence
from numbers import Integral
from typing import Any


def check_sides(
    value: Any, name: str, sides: Sequence[str], smallest: int = 1
) -> tuple[int, ...]:
    """Check a size in pixels.

    Parameters
    ----------
    value : sequence of int
        What was given.
    name : str
        The parameter it was given as.
    sides : sequence of str
        What its entries are, in order.
    smallest : int, default=1
        The least that each has to be.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is anything else.
    """
    values: list[Any] = list(value)
    whole = all(isinstance(side, Integral) and side is not True for side in values)
    if len(values) != len(sides) or not whole or min(values) < smallest:
        raise ValueError(
            f"{name}={value!r}: expected {len(sides)} whole numbers of at least "
            f"{smallest}, ({', '.join(sides)})."
        )
    return tuple(int(side) for side in values)


def one_spelling(name: str) -> str:
    """Write accents in one way: macOS parts them from their letters, others do not.

    Parameters
    ----------
    name : str
        Such as the name of a folder.

    Returns
    -------
    str
        What looks the same is the same.
    """
    return unicodedata.normalize("NFC", name)
