"""Image files of all formats as arrays of one size.

TIFF is read by tifffile, see `_tiff.py`; all other formats by OpenCV.
"""

import os
import re
import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple, Self

import cv2
import numpy as np

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.names import counted
from skwbc.datasets._claims import check_regular, check_sides, checked, size_of
from skwbc.datasets._tiff import FIRST_BYTES, in_8_bits, read_tiff

KINDS = "PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM"
# Raw files are read whole, and images of one layout are copied to the other.
_MAX_RAW = 2**31
# Width, height and maximum, with comments between them.
_PNM_HEAD = re.compile(rb"P[2356](?:(?:\s|#[^\n]*\n)+(\d{1,9})){3}")


class Reading(NamedTuple):
    """Parameters of :func:`read_image`, checked. (0, 0) keeps the size of the file."""

    image_size: tuple[int, int]
    channels: tuple[int, ...] | str | None = None
    page: int | str | None = None
    max_pixels: int = MAX_PIXELS

    @classmethod
    def checked(
        cls,
        image_size: Sequence[int],
        channels: Sequence[int] | str | None,
        page: int | str | None,
        max_pixels: int,
    ) -> Self:
        """Check the parameters of :func:`read_image`."""
        height, width = check_sides(image_size, "image_size", ("height", "width"))
        numbers = tuple(channels) if np.iterable(channels) else ()
        is_choice = bool(numbers) and all(map(_is_number, numbers))
        is_choice = is_choice and len(set(numbers)) == len(numbers)
        if not (is_choice or channels is None or str(channels) == "all"):
            raise ValueError(
                f"channels={channels!r}: expected different numbers from 0, such as "
                "[0, 2, 3], or 'all'."
            )
        if not (page is None or page == "max" or _is_number(page)):
            raise ValueError(
                f"page={page!r}: expected a number from 0, or 'max' for the brightest "
                "value of each pixel."
            )
        chosen: Any = numbers if is_choice else channels
        return cls((height, width), chosen, page, max_pixels)

    @property
    def max_bytes(self) -> int:
        """Bytes that one image may take in its file: 4 channels of 16 bits."""
        return 8 * self.max_pixels + 2**24

    def too_large(self, width: int, height: int) -> str:
        """Return what to say of an image, behind its name."""
        return (
            f"has {width:,} x {height:,} pixels, more than max_pixels="
            f"{self.max_pixels:,}, and was not decoded. Raise max_pixels if you trust "
            "the file and have the memory."
        )


class Decoded(NamedTuple):
    """An image of the wanted size, and what its file is like.

    Attributes
    ----------
    image : ndarray of shape (height, width, channels)
        The image.
    is_dim : bool
        Whether it has 12 of 16 bits, and became RGB of 8.
    is_mask : bool
        Whether it has only two or three values of grey.
    sides : tuple of int
        (height, width) in the file.
    """

    image: np.ndarray
    is_dim: bool
    is_mask: bool
    sides: tuple[int, int]


def _is_number(value: Any) -> bool:
    return isinstance(value, Integral) and value is not True and int(value) >= 0


def read_image(
    path: str | os.PathLike,
    image_size: Sequence[int],
    *,
    channels: Sequence[int] | str | None = None,
    page: int | str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Read one image file and bring it to a size.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM file. The orientation
        in the file is applied, and an alpha channel is dropped.
    image_size : tuple of int
        (height, width) in pixels of the result. The aspect ratio may change. Images
        are reduced by averaging areas, and enlarged linearly.
    channels : sequence of int or "all", default=None
        None reads grey and RGB images as RGB of 8 bits, and refuses others. Numbers,
        from 0, choose channels, which keep the type of the file; "all" takes all of
        them. Pages of a TIFF file that does not say what they are count as channels.
    page : int or "max", default=None
        Which of several pages (planes of a z-stack, points in time) of a TIFF file to
        read, from 0, or the largest value of each pixel over all pages. None refuses
        files with several pages. Only the first frame of a GIF is read.
    max_pixels : int, default=100,000,000
        Height times width of the largest image that is decoded. The size is read from
        the header of the file first. The file may have 8 bytes per pixel of these.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        With `channels`, (height, width, n_channels) of uint8, uint16 or floats.

    Raises
    ------
    ValueError
        If the file is not a regular file, is damaged, or needs `channels` or `page`, or
        the image has more than `max_pixels`.
    OSError
        If it cannot be read.

    Warns
    -----
    UserWarning
        If a 16-bit image that becomes RGB uses at most 12 bits, which makes it nearly
        black.
    """
    how = Reading.checked(image_size, channels, page, max_pixels)
    decoded = decode(path, how)
    if decoded.is_dim:
        warn_of_dim([str(path)])
    return decoded.image


def decode(path: str | os.PathLike, how: Reading) -> Decoded:
    """Return the image of `read_image`, without its warning."""
    size = check_regular(path)
    # Unlike cv2.imread, this reads every path and raises an error if it cannot.
    with open(path, "rb", buffering=0) as file:
        head = file.read(4)
        is_tiff = head in FIRST_BYTES
        if not is_tiff and size > how.max_bytes:
            raise ValueError(
                f"{path} has {size:,} bytes, more than 8 per pixel of max_pixels="
                f"{how.max_pixels:,}, and was not read."
            )
        content = b"" if is_tiff else head + file.read()
    if is_tiff:
        image, bits, is_rgb = read_tiff(path, how)
        is_dim = bits == 16 and 0 < image.max() < 4096
    else:
        bits, is_rgb = 8, True
        image, is_dim = _by_opencv(content, path, how)
    n_channels = image.shape[2]
    if how.channels is None:
        if n_channels != 1 and not is_rgb:
            raise ValueError(
                f"{path} has {image.shape[1]} x {image.shape[0]} pixels with "
                f"{counted(n_channels, 'channel')} of {bits} bits. Grey and RGB are "
                f"read; choose others by channels={[*range(n_channels)][:4]} or "
                "channels='all' (--channels)."
            )
        image = in_8_bits(image, bits)
        if n_channels == 1:
            image = image.repeat(3, axis=2)
    elif how.channels != "all":
        chosen = [int(each) for each in how.channels]
        if max(chosen) >= n_channels:
            raise ValueError(
                f"{path} has {counted(n_channels, 'channel')}; there is no channel "
                f"{max(chosen)}, counted from 0."
            )
        image = image[..., chosen]
    is_dim = bool(is_dim) and how.channels is None
    sides = image.shape[:2]
    return Decoded(_resized(image, how.image_size), is_dim, _is_mask(image), sides)


def _is_mask(image: np.ndarray) -> bool:
    # A few values tell nearly always, in microseconds.
    some = image.reshape(-1)[:: max(1, image.size // 200)]
    if image.dtype != np.uint8 or len(set(some.tobytes())) > 3:
        return False
    is_grey = bool((image == image[..., :1]).all())
    return is_grey and 2 <= len(np.unique(image[..., 0])) <= 3


def warn_of_dim(files: Sequence[str]) -> None:
    """Warn once about all files for which `decode` returned True."""
    others = f" and {len(files) - 1} more" if len(files) > 1 else ""
    warnings.warn(
        f"{files[0]}{others}: 16 bits per value, but none above 4,095, as 12-bit "
        "cameras write them. Reduced to 8 bits this is nearly black. Read them with "
        "channels='all', which keeps 16 bits (--channels all), or multiply the values "
        "by 16 and save the files again.",
        stacklevel=3,
    )


def _by_opencv(
    content: bytes, path: str | os.PathLike, how: Reading
) -> tuple[np.ndarray, bool]:
    """Return 8-bit RGB, or with `channels` the image as it is, and whether it is dim.

    OpenCV believes what a file claims of itself, so this is checked first.
    """
    width, height = size_of(content)
    if width * height > how.max_pixels:
        raise ValueError(f"{path} {how.too_large(width, height)}")
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    try:
        data = checked(content, width * height, how.max_pixels)
        white = _white_of_pnm(content)
        if how.channels is None:
            flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH * (white > 255)
        image = _imdecode(data, flags)
    except ValueError as error:
        raise ValueError(
            f"{path} could not be decoded as an image ({len(content):,} bytes): "
            f"{error}. Expected a whole {KINDS} file."
        ) from error
    # OpenCV scales text of 8 bits itself. `channels` keeps 16 bits as they are.
    is_text = content[:2] in (b"P2", b"P3")
    is_scaled = is_text if white < 255 else how.channels is not None
    if white != 255 and not is_scaled:
        image = np.rint(image * (255 / white)).clip(0, 255).astype(np.uint8)
    if how.channels is not None:
        image = image[..., np.newaxis] if image.ndim == 2 else image[..., ::-1]
    elif 0 < image.max() <= 16:  # 4,095 of 65,535 is 16 of 255.
        stored = _imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        return image, bool(stored.dtype == np.uint16 and stored.max() < 4096)
    return image, False


def _white_of_pnm(content: bytes) -> int:
    """Return the value of white: any number in PGM and PPM, 255 elsewhere."""
    if content[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 255
    head = _PNM_HEAD.match(content)
    white = int(head[1]) if head else 0
    if not 0 < white < 65536:
        raise ValueError("the value of white in it is missing or wrong")
    return white


def _imdecode(content: bytes, how: int) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError("it is damaged, cut off, or of another format")
    return image


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if size in (image.shape[:2], (0, 0)):
        return image
    height, width = size
    smaller = height * width < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    n_channels = image.shape[2]
    if n_channels > 4:  # more than OpenCV takes
        return np.dstack([_resized(image[..., [k]], size) for k in range(n_channels)])
    image = np.ascontiguousarray(image)
    # OpenCV leaves out the axis of a single channel.
    # Of NumPy, whose error says that there is too little memory.
    out = np.empty((*size, *image.shape[2:]), image.dtype)
    return cv2.resize(image, (width, height), out, interpolation=how).reshape(*size, -1)


def read_raw(
    path: Path, image_shape: Sequence[int], layout: str = "planar"
) -> tuple[np.ndarray, list[str]]:
    """Read images and their names, as described in ``load_raw_images``.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width, channels), uint8
    names : list of str
    """
    sides = "height", "width", "channels"
    height, width, channels = check_sides(image_shape, "image_shape", sides)
    n_bytes = check_regular(path)
    if n_bytes > _MAX_RAW:
        raise ValueError(
            f"{path} has {n_bytes:,} bytes; expected 2 GB at most. Divide it."
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
