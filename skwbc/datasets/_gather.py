"""Images to predict, from files and folders of any kind."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skwbc._utils.files import MAX_PIXELS, reason
from skwbc.datasets._decoding import Reading, decode, read_raw, warn_of_dim
from skwbc.datasets._image_files import SUFFIXES, image_files, other_images


class GatheredImages(NamedTuple):
    """Images, their sources, and errors.

    Attributes
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        The images: uint8, or with `channels` the type of the files.
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
    channels: Sequence[int] | str | None = None,
    page: int | str | None = None,
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
        (height, width, channels) to which images are resized, and which raw files have.
        Images with another number of channels count as paths that cannot be read.
    channels, page
        As in ``read_image``.
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
    how = Reading.checked(image_shape[:2], channels, page, max_pixels)
    images: list[np.ndarray] = []
    filenames: list[str] = []
    errors: list[str] = []
    dim: list[str] = []
    for path in map(Path, paths):
        try:
            files = files_in(path, errors)
        except (OSError, ValueError) as error:
            errors.append(reason(error))
            continue
        for file in files:
            try:
                if file.suffix.lower() == ".raw":
                    stack, names = read_raw(file, image_shape)
                else:
                    decoded = decode(file, how)
                    stack, names = decoded.image[np.newaxis], [str(file)]
                    if decoded.is_dim:
                        dim.append(str(file))
                _check_kind(stack, image_shape, images, names[0])
                images.extend(stack)
                filenames.extend(names)
            except (OSError, ValueError) as error:
                errors.append(reason(error))
    if dim:
        warn_of_dim(dim)
    dtype = images[0].dtype if images else np.dtype(np.uint8)
    stacked = np.array(images, dtype).reshape(-1, *image_shape)
    return GatheredImages(stacked, filenames, errors)


def _check_kind(
    stack: np.ndarray, shape: Sequence[int], others: Sequence[np.ndarray], name: str
) -> None:
    n_channels, expected = stack.shape[3], shape[2]
    dtype = others[0].dtype if others else stack.dtype
    if n_channels != expected or stack.dtype != dtype:
        raise ValueError(
            f"{name} has {n_channels} channel(s) of {stack.dtype}; expected {expected} "
            f"of {dtype}."
        )


def files_in(path: Path, errors: list[str]) -> list[Path]:
    """Return a file, or those of a folder; list images that are not read as errors."""
    if not path.is_dir():
        return [path]
    n_errors = len(errors)
    files = image_files(
        path,
        recursive=True,
        suffixes=(*SUFFIXES, ".raw"),
        on_error=lambda error: errors.append(reason(error)),
    )
    others = other_images(path, recursive=True)
    others = [file for file in others if file.suffix.lower() != ".raw"]
    if others:
        kinds = ", ".join(sorted({file.suffix.lower() for file in others}))
        errors.append(
            f"{path} has {len(others)} images in formats that are not read ({kinds}): "
            f"{others[0]}{', ...' * (len(others) > 1)}. Save them as TIFF or PNG."
        )
    if not files and len(errors) == n_errors:
        raise ValueError(f"The folder {path} has no image in it or in its sub-folders.")
    return files
