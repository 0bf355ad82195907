"""Rotations and mirror images for test-time augmentation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

View = Callable[[np.ndarray], np.ndarray]

# Steps along the columns for each kind of views, besides the rotations; -1 flips.
KINDS = {"rotations": (1,), "dihedral": (1, -1)}


def views_of(kind: str | None, image_shape: tuple[int, ...]) -> list[View]:
    """Return functions that turn and flip a batch of images and keep their shape.

    Parameters
    ----------
    kind : {"rotations", "dihedral"} or None
        With "rotations" images are turned only. With None there are no views.
    image_shape : tuple of int
        (height, width, channels).

    Returns
    -------
    list of callable
        Four for square images, or eight with "dihedral"; half as many for others. The
        first one returns the images unchanged.
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
    """Turn maps back that were computed from a view of images.

    Parameters
    ----------
    view : callable
        From :func:`views_of`.
    maps : ndarray of shape (n_samples, height, width)
        One map per image that the view returned.

    Returns
    -------
    ndarray of shape (n_samples, height, width)
        Height and width are those of the images before the view.
    """
    back = np.rot90(maps, -view.keywords["quarters"], axes=(1, 2))
    return back[:, :, :: view.keywords["flip"]]
