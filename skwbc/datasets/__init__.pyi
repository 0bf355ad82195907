from ._decoding import read_image as read_image
from ._folder import (
    load_image_folder as load_image_folder,
    save_image_folder as save_image_folder,
)
from ._image_files import ImageFiles as ImageFiles
from ._raw import load_raw_images as load_raw_images
from ._synthetic import (
    make_blood_cells as make_blood_cells,
    make_blood_smear as make_blood_smear,
)
from ._table import load_image_table as load_image_table
