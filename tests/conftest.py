import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

# A busy machine is no failure, and a failure has to repeat.
hypothesis.settings.register_profile("calm", deadline=None, derandomize=True)
hypothesis.settings.load_profile("calm")

# TensorFlow reads it when it is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real cells, which are not part of the project."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real cells are not here: {REAL_DATA} is missing")
    return REAL_DATA


@pytest.fixture(scope="session")
def cells():
    """Eight synthetic cells of each of three classes, 24 x 24 pixels."""
    from skwbc.datasets import make_blood_cells

    images, target = make_blood_cells(8, image_size=(24, 24), random_state=0)
    return Bunch(images=images, target=target)


@pytest.fixture(scope="session")
def X(cells):
    """The synthetic cells as a network takes them: float32 of 0 to 1."""
    return (cells.images / 255).astype("float32")


@pytest.fixture(scope="session")
def y(cells):
    """Their labels."""
    return cells.target


@pytest.fixture(scope="module")
def one_thread():
    """Limit threads: those of gradient boosting wait for one another on busy cores."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def noise():
    """Six random colour images, 13 x 10 pixels, of values 0 to 1."""
    return np.random.default_rng(0).random((6, 13, 10, 3), dtype=np.float32)
