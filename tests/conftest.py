import os
from pathlib import Path

# Before NumPy and TensorFlow are loaded. On a busy machine the threads of numerical
# libraries wait for one another, and small problems take minutes in place of a second.
# With equal numbers of threads, networks are equal to the last bit in all processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import numpy as np
import pytest
from sklearn.utils import Bunch

# A test must not fail because the machine is busy, and failures must be repeatable.
hypothesis.settings.register_profile("calm", deadline=None, derandomize=True)
hypothesis.settings.load_profile("calm")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real cells, which are not part of the project."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real cells are not here: {REAL_DATA} is missing")
    return REAL_DATA


@pytest.fixture(scope="session")
def cells():
    """Return eight synthetic cells of each of three classes, 24 x 24 pixels."""
    from skwbc.datasets import make_blood_cells

    images, target = make_blood_cells(8, image_size=(24, 24), random_state=0)
    return Bunch(images=images, target=target)


@pytest.fixture(scope="session")
def X(cells):
    """Return the synthetic cells as float32 from 0 to 1, as networks take them."""
    return (cells.images / 255).astype("float32")


@pytest.fixture(scope="session")
def y(cells):
    """Return the labels of the synthetic cells."""
    return cells.target


@pytest.fixture
def noise():
    """Return six random colour images of 13 x 10 pixels with values from 0 to 1."""
    return np.random.default_rng(0).random((6, 13, 10, 3), dtype=np.float32)
