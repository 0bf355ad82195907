"""Images to predict, from files and folders of any kind."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skwbc._utils.files import MAX_PIXELS, listing, reason
from skwbc.datasets._decoding import Reading, decode, read_raw, warn_of_dim
from skwbc.datasets._image_files import SUFFIXES, check_alike, image_files, other_images


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
    for file in files_in(paths, errors):
        with listing(errors):
            if file.suffix.lower() == ".raw":
                stack, names = read_raw(file, image_shape)
            else:
                decoded = decode(file, how)
                stack, names = decoded.image[np.newaxis], [str(file)]
                if decoded.is_dim:
                    dim.append(str(file))
            dtype = images[0].dtype if images else stack.dtype
            check_alike(stack, image_shape[2], dtype, names[0])
            images.extend(stack)
            filenames.extend(names)
    if dim:
        warn_of_dim(dim)
    dtype = images[0].dtype if images else np.dtype(np.uint8)
    stacked = np.array(images, dtype).reshape(-1, *image_shape)
    return GatheredImages(stacked, filenames, errors)


def files_in(paths: Iterable[str | os.PathLike], errors: list[str]) -> Iterator[Path]:
    """Yield files, and those of folders; list images that are not read as errors."""

    def note(error: OSError) -> None:
        errors.append(reason(error))

    for path in map(Path, paths):
        # Unlike Path.is_dir, this raises no error for what may not be looked at.
        if not os.path.isdir(path):
            yield path
            continue
        n_errors = len(errors)
        suffixes = (*SUFFIXES, ".raw")
        files = image_files(path, recursive=True, suffixes=suffixes, on_error=note)
        others = other_images(path, recursive=True)
        others = [file for file in others if file.suffix.lower() != ".raw"]
        if others:
            kinds = ", ".join(sorted({file.suffix.lower() for file in others}))
            errors.append(
                f"{path} has {len(others)} images in formats that are not read "
                f"({kinds}): {others[0]}{', ...' * (len(others) > 1)}. Save them as "
                "TIFF or PNG."
            )
        if not files and len(errors) == n_errors:
            errors.append(f"The folder {path} has no image in it or its sub-folders.")
        yield from files
