"""One image seen in several ways that leave its class what it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

View = Callable[[np.ndarray], np.ndarray]

# Kinds of views, by what is done besides turning by quarters of a circle.
KINDS = {"rotations": (1,), "dihedral": (1, -1)}


def views_of(kind: str | None, image_shape: tuple[int, ...]) -> list[View]:
    """Return what turns and flips a batch of images in ways that keep their shape.

    Parameters
    ----------
    kind : {"rotations", "dihedral"} or None
        With "rotations" images are only turned. With None there are no views.
    image_shape : tuple of int
        (height, width, channels).

    Returns
    -------
    list of callable
        For square images four, or eight with "dihedral"; half as many for others. The
        first changes nothing.
    """
    if kind is None:
        return []
    height, width = image_shape[:2]
    quarters = range(4) if height == width else (0, 2)
    return [
        partial(_view, quarters=k, flip=flip) for flip in KINDS[kind] for k in quarters
    ]


def _view(images: np.ndarray, *, quarters: int, flip: int) -> np.ndarray:
    return np.rot90(images[:, :, ::flip], quarters, axes=(1, 2))


def turn_back(view: Any, maps: np.ndarray) -> np.ndarray:
    """Undo what a view did to images.

    Parameters
    ----------
    view : callable
        One of those that :func:`views_of` returns.
    maps : ndarray of shape (n_samples, height, width)
        What was made of the images that it turned.

    Returns
    -------
    ndarray of shape (n_samples, height, width)
        The images that were given had height and width so.
    """
    back = np.rot90(maps, -view.keywords["quarters"], axes=(1, 2))
    return back[:, :, :: view.keywords["flip"]]
