"""Images to predict, from whatever paths a user names."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skwbc._files import MAX_PIXELS, reason
from skwbc.datasets._image_files import image_files, read_image
from skwbc.datasets._raw import load_raw_images


def gather_images(
    paths: Sequence[str | os.PathLike],
    *,
    image_shape: tuple[int, int, int],
    max_pixels: int = MAX_PIXELS,
) -> Bunch:
    """Read images without labels from files, folders and raw files.

    What cannot be read does not keep the rest from being read.

    Parameters
    ----------
    paths : sequence of str or path-like
        PNG, JPEG, BMP and TIFF files; folders of them, searched with all their
        sub-folders; planar ``.raw`` files.
    image_shape : tuple of int
        (height, width, 3) that images are brought to, and that raw files have.
    max_pixels : int, default=100,000,000
        Height times width of the largest image file that is decoded.

    Returns
    -------
    Bunch
        With the attributes

        images : ndarray of shape (n_samples, height, width, 3), uint8
        filenames : list of str
            Where each image came from.
        errors : list of str
            A line for each path that could not be read, which names it.
    """
    images: list[np.ndarray] = []
    filenames: list[str] = []
    errors: list[str] = []
    for path in map(Path, paths):
        try:
            files = _files_in(path)
        except (OSError, ValueError) as error:
            errors.append(reason(error))
            continue
        for file in files:
            try:
                if file.suffix.lower() == ".raw":
                    raw = load_raw_images(file, image_shape=image_shape)
                    images.extend(raw.images)
                    filenames.extend(raw.filenames)
                else:
                    images.append(
                        read_image(file, image_shape[:2], max_pixels=max_pixels)
                    )
                    filenames.append(str(file))
            except (OSError, ValueError) as error:
                errors.append(reason(error))
    empty = np.empty((0, *image_shape), np.uint8)
    stacked = np.stack(images) if images else empty
    return Bunch(images=stacked, filenames=filenames, errors=errors)


def _files_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = image_files(path, recursive=True)
    if not files:
        raise ValueError(f"The folder {path} has no image in it or in its sub-folders.")
    return files
