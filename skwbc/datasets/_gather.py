"""Images to predict, from files and folders of any kind."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skwbc._utils.files import MAX_PIXELS, reason
from skwbc.datasets._image_files import (
    SUFFIXES,
    decode,
    image_files,
    read_raw,
    warn_of_dim,
)


class GatheredImages(NamedTuple):
    """Images, their sources, and errors.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, 3), uint8
        The images.
    filenames : list of str
        Source of each image.
    errors : list of str
        One line for each path that could not be read, with its name.
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

    Paths that cannot be read are listed, and do not stop the others.

    Parameters
    ----------
    paths : sequence of str or path-like
        PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM and PPM files; planar ``.raw``
        files; folders of all these, searched with all their sub-folders.
    image_shape : tuple of int
        (height, width, 3) to which images are resized, and which raw files have.
    max_pixels : int, default=100,000,000
        Height times width of the largest image file that is decoded.

    Returns
    -------
    GatheredImages
        Named tuple of ``images``, ``filenames`` and ``errors``.

    Warns
    -----
    UserWarning
        If 16-bit images use only 12 bits, which makes them nearly black.
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
    stacked = np.array(images, np.uint8).reshape(-1, *image_shape)
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
