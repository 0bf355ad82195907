"""Image files: finding them, decoding one, and an array-like of many."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import imagesize
import numpy as np

from skwbc._files import MAX_PIXELS
from skwbc._lazy_array import LazyArray
from skwbc.datasets._checks import check_sides

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def read_image(
    path: str | os.PathLike,
    image_size: Sequence[int],
    *,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Read one image file as RGB and bring it to a size.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG, BMP or TIFF file. Grey images are turned into RGB, an alpha channel
        is dropped, 16 bits become 8, and the orientation in the file is heeded.
    image_size : tuple of int
        (height, width) in pixels of what is returned. The sides are scaled each to its
        own length, by averaging areas where an image gets smaller and linearly where
        it gets larger.
    max_pixels : int, default=100,000,000
        Height times width of the largest image that is decoded. The size is taken from
        the head of the file, before that.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8

    Raises
    ------
    ValueError
        If the file cannot be decoded, or the image has more than `max_pixels`.
    OSError
        If it cannot be read.
    """
    # Not cv2.imread: it says nothing of why it failed, and cannot read every path.
    content = Path(path).read_bytes()
    data = np.frombuffer(content, np.uint8)
    width, height = imagesize.get(io.BytesIO(content))
    if width * height > max_pixels:
        raise ValueError(
            f"{path} has {width:,} x {height:,} pixels, more than max_pixels="
            f"{max_pixels:,}, and was not decoded. Give a larger one if you trust the "
            "file and have the memory."
        )
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(
            f"{path} could not be decoded as an image ({len(data)} bytes). Expected a "
            "whole PNG, JPEG, BMP or TIFF file."
        )
    height, width = check_sides(image_size, "image_size", ("height", "width"))
    if image.shape[:2] == (height, width):
        return image
    smaller = height * width < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=how)


class ImageFiles(LazyArray):
    """A lazy array of images in files, which are decoded when they are asked for.

    It stands wherever an array of images does in this package, and is as large as the
    list of names: :class:`~skwbc.ImageAugmenter`, :class:`~skwbc.CNNClassifier` and
    :class:`~skwbc.KFoldEnsembleClassifier` read a batch at a time.

    Parameters
    ----------
    filenames : sequence of str or path-like
        The files, as for ``load_image_folder``.
    image_size : tuple of int
        (height, width) in pixels that all images are brought to.
    max_pixels : int, default=100,000,000
        Height times width of the largest image that is decoded.

    Attributes
    ----------
    shape : tuple of int
        (n_images, height, width, 3).
    dtype : dtype
        uint8.

    Notes
    -----
    An int as index reads one image. A slice, a boolean mask and an array of int select,
    and what they return is lazy, too. ``np.asarray`` reads all. A file that cannot be
    read when its turn comes raises an error that names it.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        filenames: Sequence[str | os.PathLike],
        image_size: Sequence[int],
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(len(filenames))
        self._files = [os.fspath(file) for file in filenames]
        self._size = check_sides(image_size, "image_size", ("height", "width"))
        self._max_pixels = max_pixels

    @property
    def filenames(self) -> list[str]:
        """The files of the selected images."""
        return [self._files[row] for row in self._rows]

    @property
    def _row_shape(self) -> tuple[int, ...]:
        return (*self._size, 3)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self._row_shape), np.uint8)
        for row, image in zip(rows, out, strict=True):
            image[...] = read_image(
                self._files[row], self._size, max_pixels=self._max_pixels
            )
        return out


def image_files(
    folder: Path,
    *,
    recursive: bool = False,
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """List the image files of a folder in order; none whose name begins with a dot.

    Parameters
    ----------
    folder : Path
        The folder.
    recursive : bool, default=False
        Look into its sub-folders as well.
    on_error : callable, default=None
        Told of each folder that cannot be looked into; by default that is raised.

    Returns
    -------
    list of Path
    """

    def fail(error: OSError) -> None:
        raise error

    files = []
    for parent, folders, names in os.walk(folder, onerror=on_error or fail):
        folders[:] = [name for name in folders if recursive and name[0] != "."]
        files += [Path(parent, name) for name in names if name[0] != "."]
    return sorted(file for file in files if file.suffix.lower() in SUFFIXES)
