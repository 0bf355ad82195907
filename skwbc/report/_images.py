"""Images of a data set as small JPEGs within the page."""

import base64
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.files import common_folder
from skwbc._utils.labels import encode_labels
from skwbc._utils.lazy_arrays import read_rows, spread
from skwbc._utils.names import counted, shown
from skwbc.augmentation._images import check_images, pixel_range
from skwbc.inspection._samples import sample_names, scale_pixels
from skwbc.report._page import Block, Card, Cards

# Side of an image in pixels; cards are displayed up to 150 pixels wide.
_SIDE, _SMALL_SIDE = 128, 88
# Maximum number of bars below an image.
_BARS = 4
# Maximum number of images on contact sheets, per class and in total.
_PER_CLASS, _IN_TOTAL = 8, 96


class Gallery:
    """The labelled images that a report shows, and their names.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        The images, which are read a few at a time.
    y : array-like of shape (n_samples,)
        Their labels.
    names : sequence of str or None
        Their names; by default their files, or "image 0" and so on.
    classes : ndarray of shape (n_classes,)
        All classes.

    Attributes
    ----------
    labels : list of str
        Names of the classes.
    codes : ndarray of shape (n_samples,), int
        Positions of the labels in `classes`.

    Raises
    ------
    ValueError
        If `X` does not hold images, the numbers of images, labels and names differ, or
        a label is not among the classes.
    """

    def __init__(
        self, X: Any, y: Any, names: Sequence[Any] | None, classes: np.ndarray
    ) -> None:
        try:
            self.X = check_images(X, "A report")
        except ValueError as error:
            raise ValueError(
                f"{error} Reports are for images; for other data see "
                "skwbc.inspection.evaluate and find_label_issues."
            ) from error
        self.names = sample_names(self.X, names, "image {}")
        if folder := common_folder(self.names):
            self.names = [os.path.relpath(name, folder) for name in self.names]
        self.names = [*map(shown, self.names)]
        check_consistent_length(self.X, y)
        self.classes = np.asarray(classes)
        self.labels = [shown(label) for label in self.classes]
        self.codes = encode_labels(y, self.classes)
        # The values of black and white are estimated from 32 images.
        self._value_range = pixel_range(self.read(spread(len(self.names), 32)))

    def count(self, rows: Any = ...) -> np.ndarray:
        """Return the number of images of each class."""
        return np.bincount(self.codes[rows], minlength=len(self.labels))

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images as they are."""
        return read_rows(self.X, np.asarray(rows, dtype=np.intp))

    def sources(self, rows: Sequence[int] | np.ndarray, side: int) -> list[str]:
        """Return images as data URIs: RGB, or the mean over other channels."""
        images = self.read(rows).astype(np.float32, copy=False)
        if images.shape[-1] != 3:
            images = images.mean(axis=-1, keepdims=True)
        scaled = (255 * scale_pixels(images, self._value_range)).round()
        return [jpeg_uri(image, side) for image in scaled.astype(np.uint8)]

    def cards(
        self,
        rows: Sequence[int] | np.ndarray,
        captions: Sequence[list[str]],
        flags: Sequence[str],
        proba: np.ndarray,
    ) -> list[Card]:
        """Return cards of images with captions and their most probable classes."""
        cards, sources = [], self.sources(rows, _SIDE)
        columns = zip(rows, sources, captions, flags, proba, strict=True)
        for row, source, caption, flag, chances in columns:
            lines = [self.names[row], *caption]
            best = np.argsort(-chances, kind="stable")[:_BARS]
            bars = [(self.labels[k], float(chances[k])) for k in best]
            cards.append(Card(source, ", ".join(lines), lines, bars, flag))
        return cards


def contact_sheets(gallery: Gallery) -> list[Block]:
    """Return a few images of each class that occurs, evenly spread over the data."""
    labels, codes = gallery.labels, gallery.codes
    sheets: list[Block] = []
    per_class = max(1, min(_PER_CLASS, _IN_TOTAL // len(labels)))
    present = np.unique(codes)
    for k in present[:_IN_TOTAL]:
        of_class = np.flatnonzero(codes == k)
        rows = of_class[spread(len(of_class), per_class)]
        names = [f"{labels[k]}: {gallery.names[row]}" for row in rows]
        cards = [*map(Card, gallery.sources(rows, _SMALL_SIDE), names)]
        title = f"{labels[k]}: {len(rows)} of {counted(len(of_class), 'image')}"
        sheets.append(Cards(title, cards, small=True))
    if len(present) > _IN_TOTAL:
        rest = counted(len(present) - _IN_TOTAL, "more class is", "more classes are")
        sheets.append(f"{rest} not shown.")
    return sheets


def data_uri(content: bytes, media_type: str) -> str:
    """Return a URI that contains the content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def jpeg_uri(image: np.ndarray, side: int) -> str:
    """Return a uint8 image as a JPEG in a URI, its longer side about `side`."""
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
