"""Importing the package is cheap, and all public names are there."""

import subprocess
import sys

import pytest

import skwbc


@pytest.mark.parametrize(
    "statement",
    [
        "import skwbc",
        "from skwbc import KFoldEnsembleClassifier",
        "from skwbc import ImageAugmenter, make_cell_classifier",
        "import skwbc.datasets, skwbc.inspection, skwbc.cli",
        "import skwbc.report._training, skwbc.report._evaluation",
    ],
)
def test_importing_loads_neither_keras_nor_tensorflow(statement):
    code = f"{statement}; import sys; print([m for m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for heavy in ("keras", "tensorflow", "scikeras", "matplotlib", "jinja2"):
        assert f"'{heavy}'" not in run.stdout


def test_every_public_name_is_there():
    for name in skwbc.__all__:
        assert getattr(skwbc, name) is not None
        assert name in dir(skwbc)


def test_unknown_name():
    with pytest.raises(AttributeError, match="No skwbc attribute KFoldEnsemble"):
        _ = skwbc.KFoldEnsemble
