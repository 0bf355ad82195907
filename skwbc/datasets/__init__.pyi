from ._folder import (
    load_image_folder as load_image_folder,
    save_image_folder as save_image_folder,
)
from ._image_files import (
    ImageFiles as ImageFiles,
    read_image as read_image,
)
from ._raw import load_raw_images as load_raw_images
from ._synthetic import make_blood_cells as make_blood_cells
