"""Folders of image files, with one sub-folder per class."""

import os
import warnings
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.utils import Bunch

from skwbc._utils.files import MAX_PIXELS, one_spelling, reason, replacing
from skwbc._utils.sklearn_compat import Interval, StrOptions, validate_params
from skwbc.datasets._image_files import (
    KINDS,
    SUFFIXES,
    ImageFiles,
    check_sides,
    decode,
    has_images,
    image_files,
    is_hidden,
    warn_of_dim,
)

# Suffixes of images in formats that are not read, for a warning.
_OTHER_SUFFIXES = {
    # Microscopes and scanners.
    *(".bif", ".czi", ".dv", ".ims", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".oib"),
    *(".oif", ".qptiff", ".scn", ".stk", ".svs", ".vsi", ".zvi"),
    # Cameras and phones.
    *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jfif", ".jpe"),
    *(".jxl", ".nef", ".raw"),
    # Programs.
    *(".dcm", ".dib", ".exr", ".fits", ".hdr", ".j2k", ".jpx", ".mrc", ".npy", ".pam"),
    *(".pbm", ".pcx", ".pfm", ".pnm", ".psd", ".ras", ".sr", ".tga"),
}

_DESCR = """Images from the folders in {path}
{count} images, resized to {size} (height, width), uint8 RGB.
{classes}"""


@validate_params(
    {
        "path": [str, os.PathLike],
        "image_size": [tuple, list],
        "classes": ["array-like", None],
        "on_error": [StrOptions({"raise", "warn"})],
        "lazy": ["boolean"],
        "max_pixels": [Interval(Integral, 1, None, closed="left")],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    path: str | os.PathLike,
    *,
    image_size: tuple[int, int] = (100, 100),
    classes: Sequence[str] | None = None,
    on_error: str = "raise",
    lazy: bool = False,
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
            RGB. With `lazy`, an :class:`ImageFiles`.
        target : ndarray of shape (n_samples,), str
            Name of the class of each image.
        target_names : ndarray of shape (n_classes,), str
            Names of the classes, sorted.
        filenames : list of str
            Path of each image.
        DESCR : str
            Source of the images, and the number of each class.

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
        hold images in other formats, or sub-folders with images. If 16-bit images use
        only 12 bits, which makes them nearly black.
    """
    path = Path(path)
    size = check_sides(image_size, "image_size", ("height", "width"))
    folders = _choose(path, classes)
    files = [
        (name, file) for name, folder in folders.items() for file in _images_of(folder)
    ]
    if others := _left_out(folders.values()):
        warnings.warn(
            f"Left out in the class folders of {path}: {others}. Expected {KINDS} "
            "files directly in the folder of their class. Convert or move them.",
            stacklevel=2,
        )
    # With `lazy`, one image at a time is read into the same place.
    pixels = np.empty((1 if lazy else len(files), *size, 3), np.uint8)
    target: list[str] = []
    filenames: list[str] = []
    failures: list[str] = []
    dim: list[str] = []
    for name, file in files:
        try:
            image, is_dim = decode(file, size, max_pixels)
        except (OSError, ValueError) as error:
            failures.append(reason(error))
            continue
        pixels[0 if lazy else len(filenames)] = image
        target.append(name)
        filenames.append(str(file))
        if is_dim:
            dim.append(str(file))
    if failures:
        message = f"{len(failures)} of {len(files)} images in {path} "
        listing = "\n  ".join(failures)
        if on_error == "raise":
            raise ValueError(f"{message}could not be read:\n  {listing}")
        if not filenames:
            raise ValueError(f"{message}could not be read; none is left:\n  {listing}")
        warnings.warn(f"{message}were left out:\n  {listing}", stacklevel=2)
    if dim:
        warn_of_dim(dim)
    images: Any = pixels[: len(filenames)]
    if lazy:
        images = ImageFiles(filenames, size, max_pixels=max_pixels)
    labels = np.array(target)
    if return_X_y:
        return images, labels
    names, counts = np.unique(labels, return_counts=True)
    listing = ", ".join(f"{n}: {c}" for n, c in zip(names, counts, strict=True))
    return Bunch(
        images=images,
        target=labels,
        target_names=names,
        filenames=filenames,
        DESCR=_DESCR.format(path=path, count=len(labels), size=size, classes=listing),
    )


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
    """
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
            f"{f', only {others}' if others else ''}. Expected files directly in it "
            f"whose names end in {', '.join(SUFFIXES)}."
        )
    return files


def _left_out(folders: Iterable[Path]) -> str:
    """Describe images in class folders that are not read; empty if there are none."""
    suffixes = []
    n_folders = 0
    for entry in (entry for folder in folders for entry in os.scandir(folder)):
        suffix = os.path.splitext(entry.name)[1].lower()
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            n_folders += has_images(Path(entry))
        elif suffix in _OTHER_SUFFIXES:
            suffixes.append(suffix)
    descriptions = []
    if suffixes:
        kinds = ", ".join(sorted(set(suffixes)))
        descriptions.append(f"files in other formats ({len(suffixes)}: {kinds})")
    if n_folders:
        descriptions.append(f"sub-folders with images ({n_folders})")
    return " and ".join(descriptions)


def _class_folders(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise NotADirectoryError(
            f"{path} {problem}. Expected a folder with one sub-folder per class."
        )
    folders: dict[str, Path] = {}
    for folder in sorted(path.iterdir()):
        if not folder.is_dir() or is_hidden(folder.name):
            continue
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


def _choose(path: Path, classes: Sequence[str] | None) -> dict[str, Path]:
    folders = _class_folders(path)
    if classes is None:
        return folders
    names = [one_spelling(str(name)) for name in classes]
    missing = [name for name in names if name not in folders]
    if missing:
        raise ValueError(
            f"{path} has no folder for {missing}. Choose classes from {list(folders)}."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"classes={list(classes)}: expected at least one name and none twice. "
            f"Choose from {list(folders)}."
        )
    return {name: folders[name] for name in sorted(names)}
