"""The demonstration: train on drawn cells, and show what comes out."""

import time
from pathlib import Path

from skwbc import _cli_display as display
from skwbc._cli_data import load_keras
from skwbc._files import check_writable, replacing
from skwbc._optional import import_optional

_FIGURE = "predictions.png"


def run_demo(out: Path, epochs: int | None, seed: int) -> None:
    """Train on synthetic cells; write model, test cells and a picture into a folder."""
    # Missing parts are better missed now than after the training.
    import_optional("matplotlib", "plot", "The picture of the demo")
    out.mkdir(parents=True, exist_ok=True)
    check_writable(out / "model.joblib")
    display.err.print("This takes about 2 minutes on 2 cores. Loading TensorFlow …")
    load_keras()
    from skwbc.datasets import make_blood_cells, save_image_folder
    from skwbc.inspection import describe_predictions, plot_predictions
    from skwbc.persistence import save_model
    from skwbc.recipes import make_cell_classifier

    start = time.perf_counter()
    cells = make_blood_cells(30, random_state=seed)
    # Another seed, so that no test cell is a training cell.
    test = make_blood_cells(4, random_state=seed + 1)
    display.err.print(f"Training on {len(cells.images)} synthetic cells, 30 a class.")
    model = make_cell_classifier(epochs=epochs, random_state=seed)
    with display.training_progress():
        model.fit(cells.images, cells.target)
    files = save_image_folder(test.images, test.target, out / "cells")
    rows = describe_predictions(model, test.images, files)
    proba = [list(row["probabilities"].values()) for row in rows]
    figure = plot_predictions(test.images, proba, model.classes_, y_true=test.target)
    with replacing(out / _FIGURE) as temporary:
        figure.savefig(temporary, dpi=120)
    save_model(model, out / "model.joblib")

    display.show_training(model)
    display.show_predictions(rows, len(model.estimators_), test.target)
    right = sum(
        row["predicted"] == label for row, label in zip(rows, test.target, strict=True)
    )
    seconds = time.perf_counter() - start
    display.out.print(
        f"{right} of {len(rows)} test cells right, after {seconds:.0f} s.\n"
        f"Model: {out / 'model.joblib'}   Picture: {out / _FIGURE}   "
        f"Test cells: {out / 'cells'}\n"
        f"Next: skwbc predict {out / 'model.joblib'} {out / 'cells'}"
    )
