"""Image files: listing and reading them, and a lazy array of many."""

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import cv2
import imagesize
import numpy as np

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.lazy_arrays import LazyArray

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".jp2", ".pgm", ".ppm"),
)
KINDS = "PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM"
_NOT_DECODED = (
    "{path} could not be decoded as an image ({size} bytes). Expected a whole "
    f"{KINDS} file."
)


def check_sides(
    value: Any, name: str, sides: Sequence[str], smallest: int = 1
) -> tuple[int, ...]:
    """Check a size in pixels.

    Parameters
    ----------
    value : sequence of int
        The size.
    name : str
        Name of the parameter, for the message.
    sides : sequence of str
        Names of the entries, in order.
    smallest : int, default=1
        The smallest allowed entry.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is not a size.
    """
    values: list[Any] = list(value)
    whole = all(isinstance(side, Integral) and side is not True for side in values)
    if len(values) != len(sides) or not whole or min(values) < smallest:
        raise ValueError(
            f"{name}={value!r}: expected {len(sides)} whole numbers of at least "
            f"{smallest}, ({', '.join(sides)})."
        )
    return tuple(int(side) for side in values)


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
        A PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM file. Grey images are
        converted to RGB, an alpha channel is dropped, 16 bits become 8, the orientation
        in the file is applied, and only the first of several pages or frames is read.
    image_size : tuple of int
        (height, width) in pixels of the result. The aspect ratio may change. Images
        are reduced by averaging areas, and enlarged linearly.
    max_pixels : int, default=100,000,000
        Height times width of the largest image that is decoded. The size is read from
        the header of the file first.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8

    Raises
    ------
    ValueError
        If the file cannot be decoded, or the image has more than `max_pixels`.
    OSError
        If it cannot be read.

    Warns
    -----
    UserWarning
        If a 16-bit image uses at most 12 bits, which makes it nearly black.
    """
    image, is_dim = decode(path, image_size, max_pixels)
    if is_dim:
        warn_of_dim([str(path)])
    return image


def decode(
    path: str | os.PathLike, image_size: Sequence[int], max_pixels: int
) -> tuple[np.ndarray, bool]:
    """Return the image of `read_image`, and whether it would warn about 12 bits."""
    # Unlike cv2.imread, this reads every path and raises an error if it cannot.
    content = Path(path).read_bytes()
    data = np.frombuffer(content, np.uint8)
    width, height = imagesize.get(io.BytesIO(content))
    if min(width, height) < 1:
        # OpenCV decodes some formats whose size cannot be checked first.
        raise ValueError(_NOT_DECODED.format(path=path, size=len(data)))
    if width * height > max_pixels:
        raise ValueError(
            f"{path} has {width:,} x {height:,} pixels, more than max_pixels="
            f"{max_pixels:,}, and was not decoded. Raise max_pixels if you trust the "
            "file and have the memory."
        )
    image = _imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        # Decoding all bits takes up to 8 times the memory of 8-bit RGB.
        if 8 * width * height <= max_pixels:
            _refuse_32_bits(path, data)
        raise ValueError(_NOT_DECODED.format(path=path, size=len(data)))
    # 4,095 of 65,535 is 16 of 255.
    is_dim = 0 < image.max() <= 16 and _uses_12_of_16_bits(data)
    height, width = check_sides(image_size, "image_size", ("height", "width"))
    if image.shape[:2] != (height, width):
        smaller = height * width < image.shape[0] * image.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=how)
    return image, is_dim


def warn_of_dim(files: Sequence[str]) -> None:
    """Warn once about all files for which `decode` returned True."""
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    warnings.warn(
        f"{files[0]}{others}: 16 bits per value, but none above 4,095, as 12-bit "
        "cameras write them. Reduced to 8 bits this is nearly black. Multiply the "
        "values by 16 and save the files again, or read them yourself and pass the "
        "array.",
        stacklevel=3,
    )


def _imdecode(data: np.ndarray, how: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, how) if len(data) else None
    except cv2.error:
        return None


def _uses_12_of_16_bits(data: np.ndarray) -> bool:
    image = _imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return image is not None and image.dtype == np.uint16 and image.max() < 4096


def _refuse_32_bits(path: str | os.PathLike, data: np.ndarray) -> None:
    if data[:2].tobytes() not in (b"II", b"MM"):
        return
    image = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is not None and image.dtype.itemsize > 2:
        raise ValueError(
            f"{path} has values of {8 * image.dtype.itemsize} bits ({image.dtype}). "
            "TIFF files of 8 and 16 bits are read. Convert it, or read it yourself and "
            "pass the array."
        )


def read_raw(
    path: Path, image_shape: Sequence[int], layout: str = "planar"
) -> tuple[np.ndarray, list[str]]:
    """Read images and their names, as described in ``load_raw_images``.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width, channels), uint8
    names : list of str
    """
    height, width, channels = check_sides(
        image_shape, "image_shape", ("height", "width", "channels")
    )
    values = np.fromfile(path, np.uint8)
    size = height * width * channels
    if not len(values) or len(values) % size:
        raise ValueError(
            f"{path} has {len(values)} bytes, which is not a whole number of images of "
            f"shape {(height, width, channels)} ({size} bytes each) but "
            f"{len(values) / size:.2f}. Check the file, and the size of its images "
            "(image_shape; --image-size of skwbc train)."
        )
    if layout == "planar":
        images = values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    else:
        images = values.reshape(-1, height, width, channels)
    one = len(images) == 1
    names = [str(path) if one else f"{path}[{k}]" for k in range(len(images))]
    # Networks and warps need the channels of a pixel next to each other.
    return np.ascontiguousarray(images), names


class ImageFiles(LazyArray):
    """A lazy array of images in files, which are decoded when they are read.

    Use it in place of an array of images: :class:`~skwbc.ImageAugmenter`,
    :class:`~skwbc.CNNClassifier` and :class:`~skwbc.KFoldEnsembleClassifier` read one
    batch at a time. It takes no more memory than the list of file names.

    Parameters
    ----------
    filenames : sequence of str or path-like
        Files of the formats of :func:`read_image`.
    image_size : tuple of int
        (height, width) in pixels to which all images are resized.
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
    Indexing by an int reads one image. Indexing by a slice, a boolean mask or an array
    of int returns a lazy selection. ``np.asarray`` reads all images. A file that cannot
    be read raises an error that names it.
    """

    __module__ = "skwbc.datasets"  # where pickles look for it

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

    def _fingerprint_parts(self) -> list[tuple[str, int, int]]:
        """Return names, sizes and times of the selected files."""
        status = [(name, os.stat(name)) for name in self.filenames]
        return [(name, each.st_size, each.st_mtime_ns) for name, each in status]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self._row_shape), np.uint8)
        for row, image in zip(rows, out, strict=True):
            # The loader has already warned about dim images, once for all batches.
            image[...], _ = decode(self._files[row], self._size, self._max_pixels)
        return out


def is_hidden(name: str) -> bool:
    """Return True for files and folders of the system, and of macOS' archives."""
    return name.startswith(".") or name == "__MACOSX"


def image_files(
    folder: Path,
    *,
    recursive: bool = False,
    suffixes: Sequence[str] = SUFFIXES,
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """List the image files of a folder, sorted, without hidden ones.

    Parameters
    ----------
    folder : Path
        The folder.
    recursive : bool, default=False
        Include all sub-folders, and follow links, but list each folder only once.
    suffixes : sequence of str
        Suffixes of image files, in lower case.
    on_error : callable, default=None
        Called with the error for each folder that cannot be listed. By default the
        error is raised.

    Returns
    -------
    list of Path
    """

    def fail(error: OSError) -> None:
        raise error

    return sorted(_walk(folder, recursive, suffixes, on_error or fail))


def has_images(folder: Path) -> bool:
    """Return True if there is an image in a folder or below it."""
    return any(True for _ in _walk(folder, True, SUFFIXES, lambda error: None))


def _walk(
    folder: Path,
    recursive: bool,
    suffixes: Sequence[str],
    on_error: Callable[[OSError], None],
) -> Iterator[Path]:
    visited = {os.path.realpath(folder)}

    def is_new(path: str) -> bool:
        # A link may lead to a folder above it.
        real = os.path.realpath(path)
        new = real not in visited
        visited.add(real)
        return new

    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        folders[:] = [
            name
            for name in sorted(folders)
            if recursive and not is_hidden(name) and is_new(os.path.join(parent, name))
        ]
        for name in names:
            path = Path(parent, name)
            if not is_hidden(name) and path.suffix.lower() in suffixes:
                yield path
