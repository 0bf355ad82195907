"""Images to work on: the article's raw files, folders of classes, synthetic cells."""

from skwbc.datasets._folder import class_names, load_image_folder, save_image_folder
from skwbc.datasets._gather import gather_images
from skwbc.datasets._image_files import ImageFiles, read_image
from skwbc.datasets._raw import load_raw_images
from skwbc.datasets._synthetic import make_blood_cells

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
