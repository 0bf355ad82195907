from ._counting import count_cells as count_cells
from ._cropping import crop_cells as crop_cells
from ._finding import find_cells as find_cells
