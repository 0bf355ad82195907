"""Images of a data set as small JPEGs within the page, read a few at a time."""

import base64
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from skwbc._utils.files import common_folder
from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.sklearn_compat import num_samples
from skwbc.augmentation._images import check_images, white_level
from skwbc.datasets import ImageFiles
from skwbc.report._page import Block, Card, Cards, Text

# In pixels; cards are shown up to 150 pixels wide.
_SIDE = 128
_SMALL_SIDE = 88
# Images on a contact sheet, of each class and in all.
_OF_A_CLASS, _IN_ALL = 8, 96


class Gallery:
    """The images that a report shows, and what they are called.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        The images.
    names : sequence of str or None
        What to call them; by default as their files, or "image 0" and so on.

    Raises
    ------
    ValueError
        If they are no images, or the names are not as many.
    """

    def __init__(self, X: Any, names: Sequence[Any] | None) -> None:
        try:
            self.X = check_images(X, "A report")
        except ValueError as error:
            raise ValueError(
                f"{error} Reports are of images; for other data see "
                "skwbc.inspection.evaluate, training_table and find_label_issues."
            ) from error
        self.n = num_samples(self.X)
        if names is None:
            names = (
                self.X.filenames
                if isinstance(self.X, ImageFiles)
                else [f"image {k}" for k in range(self.n)]
            )
        self.names = _without_common_folder([str(name) for name in names])
        if len(self.names) != self.n:
            raise ValueError(f"There are {len(self.names)} names for {self.n} images.")
        # The scale of all, guessed by some.
        some = self.read(np.unique(np.linspace(0, self.n - 1, 32).astype(int)))
        self._black = min(0.0, float(some.min()))
        top = float(some.max())
        self._white = top if self._black else white_level(some.dtype, top)

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read some images, as they are."""
        return read_rows(self.X, np.asarray(rows, dtype=np.intp))

    def shown(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read some images as pictures: uint8, RGB if they are, the mean otherwise."""
        images = self.read(rows)
        if images.shape[-1] != 3:
            images = images.mean(axis=-1, keepdims=True)
        span = (self._white - self._black) or 1.0
        scaled = (images.astype(np.float32) - self._black) * (255 / span)
        return scaled.clip(0, 255).round().astype(np.uint8)

    def cards(
        self,
        rows: Sequence[int] | np.ndarray,
        said: Sequence[dict[str, Any]],
        *,
        small: bool = False,
    ) -> list[Card]:
        """Make a card of each image from what is said of it, parameters of Card."""
        side = _SMALL_SIDE if small else _SIDE
        return [
            Card(_data_uri(image, side), **words)
            for image, words in zip(self.shown(rows), said, strict=True)
        ]


def contact_sheets(
    gallery: Gallery, labels: Sequence[str], given: np.ndarray
) -> list[Block]:
    """Show a few images of each class, evenly spread over the data.

    Parameters
    ----------
    gallery : Gallery
        The images.
    labels : sequence of str
        The classes.
    given : ndarray of shape (n_samples,), int
        The class of each image.

    Returns
    -------
    list of Block
        For each class that has images.
    """
    sheets: list[Block] = []
    each = max(1, min(_OF_A_CLASS, _IN_ALL // len(labels)))
    present = [k for k in range(len(labels)) if (given == k).any()]
    for k in present[:_IN_ALL]:
        rows = np.flatnonzero(given == k)
        some = rows[np.unique(np.linspace(0, len(rows) - 1, each).astype(int))]
        said = [
            {"alt": f"{labels[k]}: {gallery.names[row]}", "lines": ()} for row in some
        ]
        cards = gallery.cards(some, said, small=True)
        number = f"{len(some)} of {len(rows)}"
        sheets.append(Cards(f"{labels[k]}: {number} images", cards, small=True))
    if len(present) > _IN_ALL:
        sheets.append(Text(f"{len(present) - _IN_ALL} more classes are not shown."))
    return sheets


def _data_uri(image: np.ndarray, side: int) -> str:
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    elif factor >= 2:
        # A browser would blur the pixels of a tiny image.
        size = (width * int(factor), height * int(factor))
        image = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    if image.ndim == 3 and image.shape[-1] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return data_uri(code.tobytes(), "image/jpeg")


def data_uri(content: bytes, media_type: str) -> str:
    """Return content as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _without_common_folder(names: list[str]) -> list[str]:
    folder = common_folder(names)
    return [os.path.relpath(name, folder) for name in names] if folder else names
