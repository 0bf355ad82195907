"""Images to work on: the article's raw files, folders of classes, synthetic cells."""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc.datasets._folder import (
        class_names,
        load_image_folder,
        save_image_folder,
    )
    from skwbc.datasets._gather import gather_images
    from skwbc.datasets._image_files import ImageFiles, read_image
    from skwbc.datasets._raw import load_raw_images
    from skwbc.datasets._synthetic import make_blood_cells

_HOMES = {
    "ImageFiles": "skwbc.datasets._image_files",
    "class_names": "skwbc.datasets._folder",
    "gather_images": "skwbc.datasets._gather",
    "load_image_folder": "skwbc.datasets._folder",
    "load_raw_images": "skwbc.datasets._raw",
    "make_blood_cells": "skwbc.datasets._synthetic",
    "read_image": "skwbc.datasets._image_files",
    "save_image_folder": "skwbc.datasets._folder",
}

__all__ = [
    "ImageFiles",
    "class_names",
    "gather_images",
    "load_image_folder",
    "load_raw_images",
    "make_blood_cells",
    "read_image",
    "save_image_folder",
]

__getattr__, __dir__ = lazy_door(__name__, _HOMES)
