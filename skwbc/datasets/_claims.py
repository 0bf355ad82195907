"""Checks of the claims of image files, before memory is taken for them."""

import io
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from numbers import Integral
from typing import Any

_PNG = b"\x89PNG\r\n\x1a\n"
# Pieces of a PNG: one of 100 million pixels that libpng wrote has 75,000.
_MOST_CHUNKS = 2**18
# Most pixels in all scans of a JPEG, as a multiple of `max_pixels`.
# Progressive ones have about ten scans.
_MOST_SCANS = 20


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


def check_regular(path: str | os.PathLike) -> int:
    """Return the size of a file; refuse pipes and devices, which may never end."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise ValueError(f"{path} is {kind}; expected an image file.")
    return status.st_size


def size_of(content: bytes) -> tuple[int, int]:
    """Return the width and height in the head of an image, 0 if they are unknown."""
    if content.startswith(_PNG) and content[12:16] == b"IHDR":  # fast
        return struct.unpack_from(">II", content.ljust(24, b"\0"), 16)
    if content[:2] == b"BM" and content[14:18] == b"\x0c\0\0\0":  # of OS/2
        return struct.unpack_from("<HH", content.ljust(22, b"\0"), 18)
    if content[:4] == b"\xffO\xffQ":  # JPEG 2000 without a container
        sides = struct.unpack_from(">4I", content.ljust(24, b"\0"), 8)
        right, lower, left, upper = sides
        return max(0, right - left), max(0, lower - upper)
    import imagesize  # It imports a client for HTTP, which takes 20 ms.

    width, height = imagesize.get(io.BytesIO(content))
    return max(0, width), max(0, height)


def checked(content: bytes, n_pixels: int, max_pixels: int) -> bytes:
    """Return what to decode of a file that is no TIFF.

    Parameters
    ----------
    content : bytes
        The file.
    n_pixels, max_pixels : int
        Pixels that its head claims, and that an image may have.

    Returns
    -------
    bytes
        A PNG is reduced to its image: texts and colour profiles of kilobytes can fill
        the memory, and the frames of an animation would stand in for the image.

    Raises
    ------
    ValueError
        If it would take more memory or time than `max_pixels` allow, or come out wrong.
    """
    if n_pixels < 1:
        raise ValueError("it is damaged, cut off, or of another format")
    if content.startswith(_PNG):
        return _plain_png(content)
    if content[:2] == b"\xff\xd8":
        n_scans = content.count(b"\xff\xda")
        if n_scans * n_pixels > _MOST_SCANS * max_pixels:
            raise ValueError(f"it has {n_scans} scans")
    if content[:2] == b"BM" and len(content) > 66:
        head, bits, packing = struct.unpack_from("<14xI10xHI", content)
        # OpenCV takes the usual order for granted before version 3 of this format.
        usual = struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)
        if head < 56 and (bits, packing) == (32, 3) and content[54:66] != usual:
            raise ValueError("its colours are in an unusual order")
    return content


def _plain_png(content: bytes) -> bytes:
    """Walk through a PNG: each chunk has its length and checksum, up to the last."""
    view, start = memoryview(content), len(_PNG)
    kept: list[bytes | memoryview] = [_PNG]
    for n_chunks in range(1, _MOST_CHUNKS):
        if start + 12 > len(view):
            break
        length, kind = struct.unpack_from(">I4s", view, start)
        stop = start + 8 + length
        if stop + 4 > len(view):
            break
        (checksum,) = struct.unpack_from(">I", view, stop)
        if zlib.crc32(view[start + 4 : stop]) != checksum:
            raise ValueError("it is damaged: a checksum is wrong")
        # The names of what is needed begin with a capital letter. eXIf has the
        # orientation.
        if kind[:1].isupper() or kind == b"eXIf":
            kept.append(view[start : stop + 4])
        if kind == b"IEND":
            return content if len(kept) > n_chunks else b"".join(kept)
        start = stop + 4
    raise ValueError("it is cut off, or has too many pieces")
