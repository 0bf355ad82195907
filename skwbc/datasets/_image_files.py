"""Listing image files, and a lazy array of many."""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.lazy_arrays import LazyArray
from skwbc._utils.names import counted
from skwbc.datasets._decoding import Reading, decode

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".jp2", ".pgm", ".ppm", ".jfif", ".jpe"),
)
# Suffixes of images in formats that are not read.
OTHER_SUFFIXES = {
    # Microscopes and scanners.
    *(".bif", ".czi", ".dv", ".ims", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".oib"),
    *(".oif", ".qptiff", ".scn", ".stk", ".svs", ".vsi", ".zvi"),
    # Cameras and phones.
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jxl", ".nef"),
    # Programs.
    *(".dcm", ".dib", ".exr", ".fits", ".hdr", ".j2k", ".jpx", ".mrc", ".npy", ".pam"),
    *(".pbm", ".pcx", ".pfm", ".pnm", ".psd", ".ras", ".raw", ".sr", ".tga"),
}
# Previews and dustbins of network storage and of Windows among them.
OF_SYSTEMS = {
    *("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "lost+found"),
    "system volume information",
}


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
    channels, page, max_pixels
        As in :func:`read_image`. With `channels` the first file decides on their type
        and number.

    Attributes
    ----------
    shape : tuple of int
        (n_images, height, width, 3), or with `channels` their number.
    dtype : dtype
        uint8, or with `channels` the type of the files.

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
        channels: Sequence[int] | str | None = None,
        page: int | str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._files = [os.fspath(file) for file in filenames]
        self._how = Reading.checked(image_size, channels, page, max_pixels)
        n_channels = 3
        if self._how.channels is not None and self._files:
            first = decode(self._files[0], self._how).image
            n_channels, self.dtype = first.shape[2], first.dtype
        super().__init__(len(filenames), (*self._how.image_size, n_channels))

    @property
    def filenames(self) -> list[str]:
        """The files of the selected images."""
        return [self._files[row] for row in self._rows]

    def _fingerprint_parts(self) -> list[tuple[str, int, int]]:
        """Return names, sizes and times of the selected files."""
        status = [(name, os.stat(name)) for name in self.filenames]
        return [(name, each.st_size, each.st_mtime_ns) for name, each in status]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self._row_shape), self.dtype)
        for row, place in zip(rows, out, strict=True):
            # The loader has already warned about dim images, once for all batches.
            image = decode(self._files[row], self._how).image
            name = self._files[row]
            check_alike(image, place.shape[2], place.dtype, name, "the first image")
            place[...] = image
        return out


def check_alike(
    image: np.ndarray, n_channels: int, dtype: Any, name: Any, what: str = ""
) -> None:
    """Check that an image has the channels of what comes with it, in their type.

    Those of a model, for which `what` is empty, cannot be chosen.
    """
    if image.shape[-1] != n_channels or image.dtype != dtype:
        its = f"{name} has {counted(image.shape[-1], 'channel')} of {image.dtype}"
        if not what:
            raise ValueError(f"{its}; expected {n_channels} of {dtype}.")
        raise ValueError(
            f"{its}, {what} {n_channels} of {dtype}. Choose channels that all have, "
            "such as channels=[0], or sort out those of another kind."
        )


def is_hidden(name: str) -> bool:
    """Return True for files and folders of systems, of storage, and of archives."""
    return name.startswith(".") or name.lower() in OF_SYSTEMS


def _raise(error: OSError) -> None:
    raise error


def image_files(
    folder: Path,
    recursive: bool = False,
    suffixes: Collection[str] = SUFFIXES,
    on_error: Callable[[OSError], None] | None = _raise,
) -> list[Path]:
    """List the image files of a folder, sorted, without hidden ones.

    Parameters
    ----------
    folder : Path
        The folder.
    recursive : bool, default=False
        Include all sub-folders, and follow links, but list each folder only once, and
        none above `folder`.
    suffixes : collection of str
        Suffixes of image files, in lower case.
    on_error : callable
        Called with the error for each folder that cannot be listed. By default it
        raises the error; None ignores such folders.

    Returns
    -------
    list of Path
    """
    top = os.path.realpath(folder)
    visited, files = {top}, []

    def is_new(path: str) -> bool:
        # A link may lead to a folder above it, up to that of the whole machine.
        real = os.path.realpath(path)
        above = os.path.join(top, "").startswith(os.path.join(real, ""))
        new = real not in visited and not above
        visited.add(real)
        return new

    for parent, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        inside = sorted(name for name in folders if recursive and not is_hidden(name))
        folders[:] = [name for name in inside if is_new(os.path.join(parent, name))]
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in suffixes and not is_hidden(name):
                files.append(Path(parent, name))
    return sorted(files)


def other_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """List images in formats that are not read, without raising errors."""
    return image_files(folder, recursive, OTHER_SUFFIXES, on_error=None)
