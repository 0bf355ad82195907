"""Folders of image files, with one sub-folder per class."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from skwbc._utils.files import MAX_PIXELS, one_spelling, replacing
from skwbc._utils.sklearn_compat import validated
from skwbc.datasets._decoding import KINDS, Reading
from skwbc.datasets._image_files import SUFFIXES, image_files, is_hidden, other_images
from skwbc.datasets._loading import COMMON, choose, load_files, warn_of_odd_classes


@validated(path=[str, os.PathLike], **COMMON)
def load_image_folder(
    path: str | os.PathLike,
    *,
    image_size: tuple[int, int] = (100, 100),
    classes: Sequence[str] | None = None,
    on_error: str = "raise",
    lazy: bool = False,
    channels: Sequence[int] | str | None = None,
    page: int | str | None = None,
    max_pixels: int = MAX_PIXELS,
    return_X_y: bool = False,
) -> Any:
    """Load images from a folder with one sub-folder per class.

    Parameters
    ----------
    path : str or path-like
        The folder. Its sub-folders are the classes; the PNG, JPEG, BMP, TIFF, WebP,
        GIF, JPEG 2000, PGM and PPM files directly in them are the images. Files and
        folders whose names begin with a dot, and ``__MACOSX``, are ignored.
    image_size : tuple of int, default=(100, 100)
        (height, width) in pixels to which all images are resized.
    classes : sequence of str, default=None
        The sub-folders to use. All of them, by default.
    on_error : {"raise", "warn"}, default="raise"
        How to treat files that cannot be read or decoded: raise one error that names
        them all, or leave them out with one warning that names them all.
    lazy : bool, default=False
        Keep the images in their files, if they do not fit into memory. Each file is
        decoded once now, to check it, and again each time a batch needs it.
    channels : sequence of int or "all", default=None
        None reads grey and RGB images as RGB of 8 bits; images with other channels or
        with several pages count as files that cannot be read. Numbers, from 0, choose
        channels, which keep the type of the files; "all" takes all of them.
    page : int or "max", default=None
        Which of several pages (z-stacks, time series) of TIFF files to read, from 0, or
        the largest value of each pixel over all of them: see :func:`read_image`.
    max_pixels : int, default=100,000,000
        Height times width of the largest image that is decoded; larger ones count as
        files that cannot be read.
    return_X_y : bool, default=False
        Return only ``(images, target)``.

    Returns
    -------
    data : Bunch
        With the attributes

        images : ndarray or ImageFiles of shape (n_samples, height, width, 3), uint8
            RGB; with `channels` these, in the type of the files. With `lazy`, an
            :class:`ImageFiles`.
        target : ndarray of shape (n_samples,), str
            Name of the class of each image.
        target_names : ndarray of shape (n_classes,), str
            Names of the classes, sorted.
        filenames : list of str
            Path of each image.
        DESCR : str
            Source of the images, the number of each class, formats and sizes.

    (images, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ValueError
        If there is no class folder, a class is missing or has no image, or files
        cannot be decoded.
    OSError
        If the folder cannot be read.

    Warns
    -----
    UserWarning
        If files were left out because of ``on_error="warn"``. If the class folders
        hold images in other formats, or sub-folders with images, or there are images
        beside the class folders. If images look like masks, or the folders do not look
        like classes. If 16-bit images use only 12 bits, which makes them nearly black.
    """
    path = Path(path)
    how = Reading.checked(image_size, channels, page, max_pixels)
    folders = _class_folders(path)
    names = choose(classes, folders, path, "folder for")
    files = [(file, name) for name in names for file in _images_of(folders[name])]
    others = _left_out([folders[name] for name in names])
    if n_beside := len(image_files(path)):
        others.append(f"images beside them ({n_beside})")
    if others:
        warnings.warn(
            f"Left out in the class folders of {path}: {' and '.join(others)}. "
            f"Expected {KINDS} files directly in the folder of their class. Convert or "
            "move them.",
            stacklevel=2,
        )
    warn_of_odd_classes(names, path)
    source = f"the folders in {path}"
    return load_files(files, how, source, on_error, lazy, return_X_y)


def class_names(path: str | os.PathLike) -> list[str]:
    """Return the sorted names of the class folders in a folder.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Returns
    -------
    list of str
        At least one name.

    Raises
    ------
    ValueError
        If there is no class folder.
    OSError
        If the folder cannot be read.
    """
    return list(_class_folders(Path(path)))


def save_image_folder(
    images: np.ndarray, target: Sequence[str], path: str | os.PathLike
) -> list[str]:
    """Write images as PNG files, into one folder per class.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, 3), uint8
        RGB images.
    target : sequence of str
        Class of each image, which becomes the name of its folder.
    path : str or path-like
        Folder for the class folders. Files of the same name are replaced, others are
        kept.

    Returns
    -------
    list of str
        Paths of the files, in the order of `images`.

    Raises
    ------
    ValueError
        If images are not uint8 RGB, or a label cannot be the name of a folder.
    OSError
        If a file cannot be written.
    """
    kind = np.asarray(images[:1])
    if kind.dtype != np.uint8 or (len(kind) and kind.shape[3:] != (3,)):
        raise ValueError(
            f"save_image_folder takes uint8 RGB images of shape (n_samples, height, "
            f"width, 3), got {kind.dtype} of shape {np.shape(images)}. Convert them, "
            "for example by (255 * X).astype('uint8') if white is 1."
        )
    for name in sorted({str(label) for label in target}):
        if is_hidden(name) or not name.strip() or {*name} & {*"/\\:\0"}:
            raise ValueError(
                f"The label {name!r} cannot be the name of a folder. Rename it."
            )
    files = []
    for number, (image, label) in enumerate(zip(images, target, strict=True), start=1):
        folder = Path(path) / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"cell_{number:0{len(str(len(images)))}}.png"
        _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        with replacing(file) as temporary:
            temporary.write_bytes(data.tobytes())
        files.append(str(file))
    return files


def _images_of(folder: Path) -> list[Path]:
    files = image_files(folder)
    if not files:
        others = _left_out([folder])
        raise ValueError(
            f"The class folder {folder} has no image"
            f"{', only ' * bool(others)}{' and '.join(others)}. Expected files "
            f"directly in it whose names end in {', '.join(SUFFIXES)}."
        )
    return files


def _folders_in(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not is_hidden(p.name))


def _left_out(folders: Iterable[Path]) -> list[str]:
    """Describe images in class folders that are not read; empty if there are none."""
    suffixes: list[str] = []
    n_folders = 0
    for folder in folders:
        suffixes += [file.suffix.lower() for file in other_images(folder)]
        for inside in _folders_in(folder):
            n_folders += bool(image_files(inside, recursive=True, on_error=None))
    descriptions = []
    if suffixes:
        kinds = ", ".join(sorted(set(suffixes)))
        descriptions.append(f"files in other formats ({len(suffixes)}: {kinds})")
    if n_folders:
        descriptions.append(f"sub-folders with images ({n_folders})")
    return descriptions


def _class_folders(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise NotADirectoryError(
            f"{path} {problem}. Expected a folder with one sub-folder per class."
        )
    folders: dict[str, Path] = {}
    for folder in _folders_in(path):
        name = one_spelling(folder.name)
        if name in folders:
            raise ValueError(
                f"{path} has two folders {name!r}, whose accents are encoded in two "
                "ways. Merge them into one folder."
            )
        folders[name] = folder
    if not folders:
        raise ValueError(
            f"{path} has no sub-folders. Expected one per class, with its images in it."
        )
    return folders
