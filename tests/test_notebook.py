"""In a notebook: a progress bar, no red lines, and nothing that fills pages."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")
pytest.importorskip("sklearn.callback")

CELLS = [
    """
from skwbc.datasets import load_image_folder, make_blood_cells, save_image_folder
save_image_folder(*make_blood_cells(6, image_size=(24, 24), random_state=0), "cells")
cells = load_image_folder("cells", image_size=(24, 24))
cells
""",
    """
import warnings
from sklearn.callback import ProgressBar
from skwbc import make_cell_classifier
warnings.simplefilter("ignore")  # for so short a training
clf = make_cell_classifier("article", cv=2, epochs=1, random_state=0)
clf.set_callbacks(ProgressBar()).fit(cells.images, cells.target);
""",
    """
from skwbc.inspection import plot_predictions
plot_predictions(cells.images[:1], clf.predict_proba(cells.images[:1]), clf.classes_)
""",
]


def test_a_notebook(tmp_path, monkeypatch):
    root = str(Path(__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    # The user's own choice would be kept.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()  # fmt: skip
    read, trained, drawn = ([*cell.outputs] for cell in notebook.cells)
    (shown,) = read
    assert "ndarray of shape (18, 24, 24, 3), uint8" in shown["data"]["text/plain"]
    assert len(shown["data"]["text/plain"].splitlines()) < 8
    for outputs in (read, trained, drawn):
        for output in outputs:
            assert output.output_type != "stream", output
            assert "Warning" not in output["data"].get("text/plain", "")
    widgets = "application/vnd.jupyter.widget-view+json"
    assert sum(widgets in output["data"] for output in trained) == 1
    assert drawn[0]["data"]["text/html"].startswith("<img")
