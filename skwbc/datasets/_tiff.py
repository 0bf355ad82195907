"""TIFF files, by tifffile: every strip and tile is there, whole, and of its size.

All that is known of tifffile is in this module.
"""

import io
import logging
import os
import struct
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from skwbc._utils.names import counted
from skwbc.datasets._claims import checked, size_of

if TYPE_CHECKING:
    from skwbc.datasets._decoding import Reading

FIRST_BYTES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAVE_AS = "Save it as an 8- or 16-bit TIFF, uncompressed or with LZW or deflate."
_WHITE_IS_0, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG = (6, 7, 33007, 34892)
# Compressions of whole images, and their decoders in imagecodecs.
_DECODERS = {
    **dict.fromkeys((22610, 34934), "jpegxr_decode"),
    **dict.fromkeys((33005, 34712), "jpeg2k_decode"),
    **dict.fromkeys((50002, 52546), "jpegxl_decode"),
    34933: "png_decode",
    50001: "webp_decode",
}
_CCITT, _PNG = (2, 3, 4), 34933
# Pixels that a strip or tile may have if the image is smaller.
_SMALL = 2**20
# tifffile tells of damage in a log, which Python would print.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
# Bytes of tags that are read. Python's numbers take four times as much.
_MAX_TAGS = 2**25


class _Refused(ValueError):
    """The file is whole, but is not read, or not without being told how."""


class _Tags(io.FileIO):
    """A file that tifffile reads tags from. They can claim terabytes."""

    _n_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._count(_MAX_TAGS + 1 if size is None or size < 0 else size)
        return super().read(size)

    def readinto(self, buffer: Any, /) -> int | None:
        self._count(memoryview(buffer).nbytes)
        return super().readinto(buffer)

    def _count(self, n_bytes: int) -> None:
        self._n_read += n_bytes
        _expect(self._n_read <= _MAX_TAGS, f"its tags take {self._n_read:,} bytes")

    def pixels(self, offset: int, count: int) -> bytes:
        """Read a strip or tile."""
        size, end = os.fstat(self.fileno()).st_size, offset + count
        why = f"a strip or tile should be at bytes {offset:,} to {end:,} of {size:,}"
        _expect(offset > 0 and count > 0 and end <= size, why)
        self.seek(offset)
        return super().read(count)


def read_tiff(path: str | os.PathLike, how: "Reading") -> tuple[np.ndarray, int, bool]:
    """Read all channels of one page, or of a projection of pages.

    Parameters
    ----------
    path : str or path-like
        The TIFF file.
    how : Reading
        Which page, and whether pages are channels.

    Returns
    -------
    image : ndarray of shape (height, width, channels)
        uint8, uint16, float32 or float64. Values of fewer than 8 bits fill 8.
    bits : int
        Number of bits of a value.
    is_rgb : bool
        Whether the channels are red, green and blue.

    Raises
    ------
    ValueError
        If the file is damaged, or of a kind that is not read.
    """
    # Imported here, because most images are of other formats.
    import tifffile

    try:
        # A file may name others, which it is then said to be made of.
        with (
            _Tags(path) as file,
            tifffile.TiffFile(file, offset=0, _multifile=False) as tif,
        ):
            _check_chain(tif)
            return _Image(tif, file, how).read()
    except _Refused as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:
        # A damaged file can raise any exception.
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ValueError(
            f"{path} could not be decoded: {why.rstrip('.')}. It is damaged, cut off, "
            f"or of an unknown kind. Copy it again. {_SAVE_AS}"
        ) from error


def _check_chain(tif: Any) -> None:
    """Check that the list of pages has an end: each page names the next one."""
    kind, visited = tif.tiff, set()
    tif.filehandle.seek(kind.offsetsize)
    while content := tif.filehandle.read(kind.offsetsize):
        (place,) = struct.unpack(kind.offsetformat, content)
        _expect(place not in visited, "its pages are a ring")
        visited.add(place)
        tif.filehandle.seek(place)
        content = tif.filehandle.read(kind.tagnosize)
        if not place or len(content) < kind.tagnosize:
            return
        (n_tags,) = struct.unpack(kind.tagnoformat, content)
        tif.filehandle.seek(n_tags * kind.tagsize, os.SEEK_CUR)


def in_8_bits(image: np.ndarray, bits: int) -> np.ndarray:
    """Return unsigned integers of 8 to 16 bits in 8."""
    return image if bits <= 8 else (image >> (bits - 8)).astype(np.uint8)


def _expect(is_so: Any, otherwise: str, kind: type[ValueError] = ValueError) -> None:
    if not is_so:
        raise kind(otherwise)


def _can_be_read(is_so: Any, otherwise: str) -> None:
    _expect(is_so, otherwise, _Refused)


class _Image:
    """The one image of a file, with its pages."""

    def __init__(self, tif: Any, file: _Tags, how: "Reading") -> None:
        self._file, self._how = file, how
        self._order = tif.byteorder
        # Smaller copies are for a quick look.
        images = [each for each in tif.series if not each.keyframe.is_reduced]
        _expect(images, "no image in it was found")
        sizes = ", ".join(" x ".join(map(str, each.shape)) for each in images[:4])
        _can_be_read(
            len(images) == 1,
            f"holds {len(images)} images ({sizes}, ...). Save each in its own file.",
        )
        self._series = images[0]
        self._key = self._series.keyframe
        self._bits: int = self._key.bitspersample
        self._check_kind()

    def read(self) -> tuple[np.ndarray, int, bool]:
        page = self._how.page
        grid, kind = self._grid()
        number = page if isinstance(page, int) else 0
        is_there = number < len(grid)
        _can_be_read(
            is_there, f"has {counted(len(grid), 'page')}; there is no page {number}."
        )
        image = self._stacked(grid[number])
        height, width, n_channels = image.shape
        _can_be_read(
            page is not None or len(grid) == 1,
            f"holds {len(grid)} {kind} of {width} x {height} pixels with "
            f"{counted(n_channels, 'channel')} of {self._bits} bits. Choose one by "
            f"page=0 to page={len(grid) - 1}, or the brightest of each pixel by "
            "page='max' (--page)."
            + " If they are channels, add channels='all'."
            * (kind == "pages"),
        )
        for row in grid[1:] if page == "max" else ():
            image = np.maximum(image, self._stacked(row))
        orientation = self._key.tags.valueof(274, 1)
        if orientation in (5, 6, 7, 8):
            image = image.transpose(1, 0, 2)
        if orientation in (3, 4, 7, 8):
            image = image[::-1]
        if orientation in (2, 3, 6, 7):
            image = image[:, ::-1]
        colours = (_RGB, _PALETTE, _CMYK, _YCBCR)
        is_rgb = self._key.photometric in colours and n_channels == 3
        return image, self._bits, is_rgb and grid.shape[1] == 1

    def _check_kind(self) -> None:
        key, how = self._key, self._how
        depth, height, width = key.shaped[1:4]
        kind = key.dtype.kind if key.dtype is not None else ""
        n_bytes = int(np.prod(key.shaped)) * (key.dtype.itemsize if kind else 0)
        colours = (_WHITE_IS_0, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR)
        is_whole = kind in ("b", "u") and self._bits <= 16
        why = ""
        if height * width > how.max_pixels:
            raise _Refused(how.too_large(width, height))
        if key.compression == 33003:  # It leaves the colours to the reader.
            why = "is compressed by Aperio's JPEG 2000 of YCbCr, which is not read"
        elif key.photometric not in colours or depth != 1:
            name = getattr(key.photometric, "name", key.photometric)
            why = (
                f"has colours of the kind {name} in {counted(depth, 'plane')}; grey, "
                "palettes, RGB, CMYK and YCbCr in one plane are read"
            )
        elif not (is_whole or (kind == "f" and how.channels)):
            fractions = ", and fractions as they are by channels='all'"
            why = (
                f"has values of {self._bits} bits ({key.dtype}). Whole numbers from 0 "
                f"of 1 to 16 bits are read{fractions * (kind == 'f')}"
            )
        elif n_bytes > how.max_bytes:
            why = f"takes {n_bytes:,} bytes, more than 8 per pixel of max_pixels"
        _can_be_read(not why, f"{why}. {_SAVE_AS}")

    def _grid(self) -> tuple[np.ndarray, str]:
        """Return the numbers of pages, (n_pages, n_channels), and what pages are."""
        series, how = self._series, self._how
        n_pages = int(np.prod(series.shape)) // int(np.prod(self._key.shape))
        axes, shape = series.get_axes(False), series.get_shape(False)
        dims = {a: n for a, n in zip(axes, shape, strict=True) if a not in "YXS"}
        if n_pages == 1 or int(np.prod([*dims.values()])) != n_pages:
            dims = {"Q": n_pages}
        numbers = np.arange(n_pages).reshape([*dims.values()])
        named = [f"{n} {a}" for a, n in dims.items() if n > 1 and a not in "QIC"]
        kind = f"pages ({', '.join(named)})" if named else "pages"
        if "C" in dims:
            numbers = np.moveaxis(numbers, [*dims].index("C"), -1)
            return numbers.reshape(-1, dims["C"]), kind
        are_channels = how.channels is not None and how.page is None and not named
        return numbers.reshape((1, -1) if are_channels else (-1, 1)), kind

    def _stacked(self, pages: np.ndarray) -> np.ndarray:
        return np.concatenate([self._coloured(self._page(int(k))) for k in pages], -1)

    def _page(self, number: int) -> np.ndarray:
        """Return a page of shape (height, width, samples) as it is stored."""
        key, pages = self._key, [*self._series.pages]
        start = self._series.dataoffset
        if start is not None and len(pages) > 1 and all(p is None for p in pages[1:]):
            # ImageJ writes large stacks as one page with the others behind it.
            dtype = key.dtype.newbyteorder(self._order)
            n_bytes = int(np.prod(key.shaped)) * dtype.itemsize
            data = self._file.pixels(start + number * n_bytes, n_bytes)
            stored = np.frombuffer(data, dtype).reshape(key.shaped).astype(key.dtype)
        else:
            _expect(pages[number] is not None, f"page {number} is not there")
            stored = self._decoded(pages[number].aspage())
        return np.concatenate([*stored[:, 0]], axis=-1)

    def _decoded(self, page: Any) -> np.ndarray:
        is_alike = (page.shaped, page.dtype) == (self._key.shaped, self._key.dtype)
        _expect(is_alike, "its pages are of different sizes")
        offsets, counts = page.dataoffsets, page.databytecounts
        n_expected = int(np.prod(page.chunked))
        n, is_whole = min(len(offsets), len(counts)), len(offsets) == len(counts)
        is_whole = is_whole and n == n_expected
        _expect(is_whole, f"it has {n} strips or tiles, expected {n_expected}")
        rows, columns = page.shaped[2:4]
        tile = (page.tilelength, page.tilewidth)
        chunk = int(np.prod(tile)) or min(page.rowsperstrip, rows) * columns
        most = max(_SMALL, 4 * rows * columns)
        _expect(chunk <= most, f"a tile has {chunk:,} pixels")
        _expect(sum(counts) <= self._how.max_bytes, f"it has {sum(counts):,} bytes")
        tables = {}
        if page.compression in _JPEG:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        out = np.empty(page.shaped, page.dtype)
        for k, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
            data = self._file.pixels(offset, count)
            _, (separate, _, row, column, _), shape = page.decode(None, k)
            place = out[separate, :, row : row + shape[1], column : column + shape[2]]
            if page.compression in _DECODERS:
                shape = shape[1:] if not page.is_tiled else (*tile, shape[3])
                pixels = _decoded_image(data, page, shape)
            else:
                if page.compression in _JPEG:
                    _check_jpeg(data, place[..., 0].size, max(chunk, _SMALL))
                pixels, *_ = page.decode(data, k, **tables)
            if page.compression in _CCITT:
                pixels = pixels.astype(bool)
            pixels = pixels[:, : place.shape[1], : place.shape[2]]
            is_right = pixels.shape == place.shape and pixels.dtype == out.dtype
            _expect(is_right, f"strip or tile {k} has the shape {pixels.shape[1:]}")
            place[...] = pixels
        return out

    def _coloured(self, image: np.ndarray) -> np.ndarray:
        """Return grey with white up, or RGB; integers of 8 or 16 bits, or floats."""
        key = self._key
        kind, bits = key.photometric, key.bitspersample
        if kind == _PALETTE:
            table, self._bits = np.asarray(key.colormap).T, 8
            table = in_8_bits(table, 16 if table.max() > 255 else 8)
            return table.astype(np.uint8)[image[..., 0]]
        if image.dtype.kind == "f":
            image = image.astype(np.promote_types(image.dtype, np.float32), copy=False)
        else:
            most = 2**bits - 1
            image = image.astype(np.uint16 if bits > 8 else np.uint8)
            image = most - image if kind == _WHITE_IS_0 else image
            if bits < 8:
                image = (image.astype(np.uint16) * 255 // most).astype(np.uint8)
        # Decoders of images return RGB.
        is_rgb = kind == _YCBCR and key.compression in (*_JPEG, *_DECODERS)
        if kind in (_CMYK, _YCBCR) and not is_rgb:
            image, self._bits = in_8_bits(image, bits), 8
            if kind == _YCBCR:
                image = np.ascontiguousarray(image[..., [0, 2, 1]])
                return cv2.cvtColor(image, cv2.COLOR_YCrCb2RGB)
            ink = 255 - image.astype(np.uint32)
            return (ink[..., :3] * ink[..., 3:4] // 255).astype(np.uint8)
        extra = [2] if kind == _RGB and image.shape[2] == 4 else [*key.extrasamples]
        # The opacity. Not all programs say so if there are four samples.
        first = image.shape[2] - len(extra)
        opacity = [first + k for k, what in enumerate(extra) if what in (1, 2)]
        _expect(len(opacity) < image.shape[2], "it has no colours, only an opacity")
        return np.delete(image, opacity, axis=2) if opacity else image


def _check_jpeg(data: bytes, least: int, most: int) -> None:
    """Check the pixels that a JPEG claims, before memory is taken, and its end."""
    width, height = size_of(data)
    is_right = least <= width * height <= most
    _expect(is_right, f"an image in it claims {width} x {height} pixels")
    checked(data, width * height, most)
    _expect(data.rstrip(b"\0")[-2:] == b"\xff\xd9", "a JPEG in it has no end")


def _decoded_image(data: bytes, page: Any, shape: tuple[int, ...]) -> np.ndarray:
    import imagecodecs

    if page.compression == _PNG:
        data = checked(data, 1, 1)
    elif _DECODERS[page.compression] == "jpeg2k_decode":
        size = size_of(data)
        _expect(size == shape[1::-1], "an image in it has {} x {} pixels".format(*size))
    # The others compare the size before they take memory.
    out = np.empty(shape[: 3 if shape[2] > 1 else 2], page.dtype)
    getattr(imagecodecs, _DECODERS[page.compression])(data, out=out)
    return out.reshape(1, *shape)
