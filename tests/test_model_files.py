"""Model files written by an earlier version are read, and predict the same as then.

``tests/models/make.py`` wrote them.
"""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skwbc import load_model
from skwbc.export import OnnxClassifier

FOLDER = Path(__file__).parent / "models"
NAMES = json.loads((FOLDER / "names.json").read_text(encoding="utf-8"))
PUBLIC = {"skwbc", "skwbc.augmentation", "skwbc.ensemble"}


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("model", NAMES)
def test_every_class_is_found_under_its_name(model):
    """Whatever the versions of the libraries: a move of a class breaks old files."""
    for name in NAMES[model]:
        module, _, attribute = name.rpartition(".")
        assert module in PUBLIC, f"{name} is not a public address"
        assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize("model", NAMES)
def test_joblib_files_predict_the_same(model, expected):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_model(FOLDER / f"{model}.joblib")
    if caught:
        pytest.skip(f"written by other versions: {caught[0].message}")
    assert_allclose(loaded.predict_proba(expected["X"]), expected[model], atol=1e-5)


def test_the_onnx_file_predicts_the_same(expected):
    loaded = OnnxClassifier(FOLDER / "colours.onnx")
    assert_allclose(loaded.predict_proba(expected["X"]), expected["colours"], atol=1e-5)
