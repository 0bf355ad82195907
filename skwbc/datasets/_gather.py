"""Images to predict, from whatever paths a user names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skwbc._utils.files import MAX_PIXELS, reason
from skwbc.datasets._image_files import SUFFIXES, decode, image_files, warn_of_dim
from skwbc.datasets._raw_bytes import read_raw


class GatheredImages(NamedTuple):
    """Images, where each came from, and what could not be read.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, 3), uint8
        The images.
    filenames : list of str
        Where each image came from.
    errors : list of str
        A line for each path that could not be read, which names it.
    """

    images: np.ndarray
    filenames: list[str]
    errors: list[str]


def gather_images(
    paths: Sequence[str | os.PathLike],
    *,
    image_shape: tuple[int, int, int],
    max_pixels: int = MAX_PIXELS,
) -> GatheredImages:
    """Read images without labels from files, folders and raw files.

    What cannot be read does not keep the rest from being read.

    Parameters
    ----------
    paths : sequence of str or path-like
        PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM and PPM files; planar ``.raw``
        files; folders of all these, searched with all their sub-folders.
    image_shape : tuple of int
        (height, width, 3) that images are brought to, and that raw files have.
    max_pixels : int, default=100,000,000
        Height times width of the largest image file that is decoded.

    Returns
    -------
    GatheredImages
        A named tuple of ``images``, an ndarray of shape (n_samples, height, width, 3)
        and type uint8; ``filenames``, a list that says where each came from; and
        ``errors``, a list with a line for each path that could not be read, which
        names it.

    Warns
    -----
    UserWarning
        Of images that use 12 of 16 bits, which makes them nearly black.
    """
    images: list[np.ndarray] = []
    filenames: list[str] = []
    errors: list[str] = []
    dim: list[str] = []
    for path in map(Path, paths):
        try:
            files = _files_in(path, errors)
        except (OSError, ValueError) as error:
            errors.append(reason(error))
            continue
        for file in files:
            try:
                if file.suffix.lower() == ".raw":
                    raw, names = read_raw(file, image_shape)
                    images.extend(raw)
                    filenames.extend(names)
                else:
                    image, is_dim = decode(file, image_shape[:2], max_pixels)
                    images.append(image)
                    filenames.append(str(file))
                    if is_dim:
                        dim.append(str(file))
            except (OSError, ValueError) as error:
                errors.append(reason(error))
    if dim:
        warn_of_dim(dim)
    empty = np.empty((0, *image_shape), np.uint8)
    stacked = np.stack(images) if images else empty
    return GatheredImages(stacked, filenames, errors)


def _files_in(path: Path, errors: list[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    n_errors = len(errors)
    files = image_files(
        path,
        recursive=True,
        suffixes=(*SUFFIXES, ".raw"),
        on_error=lambda error: errors.append(reason(error)),
    )
    if not files and len(errors) == n_errors:
        raise ValueError(f"The folder {path} has no image in it or in its sub-folders.")
    return files
