"""Image files: finding them, decoding one, and an array-like of many."""

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import imagesize
import numpy as np

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.lazy_arrays import LazyArray
from skwbc.datasets._checks import check_sides

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".jp2", ".pgm", ".ppm"),
)
KINDS = "PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM"
_NOT_DECODED = (
    "{path} could not be decoded as an image ({size} bytes). Expected a whole "
    f"{KINDS} file."
)


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
        turned into RGB, an alpha channel is dropped, 16 bits become 8, the orientation
        in the file is heeded, and of several pages or frames the first is taken.
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

    Warns
    -----
    UserWarning
        If there are 16 bits and the image uses 12 of them or fewer, which makes it
        nearly black.
    """
    image, is_dim = decode(path, image_size, max_pixels)
    if is_dim:
        warn_of_dim([str(path)])
    return image


def decode(
    path: str | os.PathLike, image_size: Sequence[int], max_pixels: int
) -> tuple[np.ndarray, bool]:
    """Do as `read_image`, but tell whether it would warn."""
    # Not cv2.imread: it says nothing of why it failed, and cannot read every path.
    content = Path(path).read_bytes()
    data = np.frombuffer(content, np.uint8)
    width, height = imagesize.get(io.BytesIO(content))
    if min(width, height) < 1:
        # OpenCV decodes some kinds whose size is not known before.
        raise ValueError(_NOT_DECODED.format(path=path, size=len(data)))
    if width * height > max_pixels:
        raise ValueError(
            f"{path} has {width:,} x {height:,} pixels, more than max_pixels="
            f"{max_pixels:,}, and was not decoded. Give a larger one if you trust the "
            "file and have the memory."
        )
    image = _imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        # To look takes up to 8 times the room of 8-bit RGB.
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
    """Warn once of all the files that `decode` found dim."""
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    warnings.warn(
        f"{files[0]}{others}: 16 bits a value, but none above 4,095, as cameras of 12 "
        "bits write them. Read as 8 bits this is nearly black. Multiply the values by "
        "16 and save the files again, or read them yourself and pass the array.",
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
            "TIFF files of 8 and 16 bits are read: convert it, or read it yourself and "
            "pass the array."
        )


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

    def _read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self._row_shape), np.uint8)
        for row, image in zip(rows, out, strict=True):
            # Whoever made the list has warned; a batch would do so again and again.
            image[...], _ = decode(self._files[row], self._size, self._max_pixels)
        return out


def is_hidden(name: str) -> bool:
    """Tell files and folders that are no data: of the system, and macOS' archives."""
    return name.startswith(".") or name == "__MACOSX"


def image_files(
    folder: Path,
    *,
    recursive: bool = False,
    suffixes: Sequence[str] = SUFFIXES,
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """List the image files of a folder in order; none that is hidden.

    Parameters
    ----------
    folder : Path
        The folder.
    recursive : bool, default=False
        Look into its sub-folders as well, and into those that links lead to, into each
        once.
    suffixes : sequence of str
        How the names of image files end.
    on_error : callable, default=None
        Told of each folder that cannot be looked into; by default that is raised.

    Returns
    -------
    list of Path
    """

    def fail(error: OSError) -> None:
        raise error

    return sorted(_walk(folder, recursive, suffixes, on_error or fail))


def has_images(folder: Path) -> bool:
    """Tell whether there is an image in a folder or below it."""
    return any(True for _ in _walk(folder, True, SUFFIXES, lambda error: None))


def _walk(
    folder: Path,
    recursive: bool,
    suffixes: Sequence[str],
    on_error: Callable[[OSError], None],
) -> Iterator[Path]:
    seen = {os.path.realpath(folder)}

    def is_new(path: str) -> bool:
        # A link may lead to a folder above it.
        real = os.path.realpath(path)
        new = real not in seen
        seen.add(real)
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
