"""The demonstration: train on synthetic cells and show the results."""

import time
from pathlib import Path
from typing import Annotated

import typer

from skwbc._utils.files import check_writable, replacing
from skwbc._utils.optional_imports import import_optional
from skwbc.cli import _options as options
from skwbc.cli._files import leave_no_fonts

_FIGURE = "predictions.png"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for model and images.")] = Path(
        "skwbc-demo"
    ),
    epochs: options.Epochs = None,
    seed: options.Seed = 0,
) -> None:
    """Train on synthetic blood cells and show the results (about a minute)."""
    from skwbc.cli import _display as display
    from skwbc.cli._training import load_keras_for_training, training

    # Report a missing package before the training, not after it.
    leave_no_fonts()
    import_optional("matplotlib", "plot", "The figure of the demo")
    out.mkdir(parents=True, exist_ok=True)
    check_writable(out / "model.joblib")
    display.err.print("This takes about a minute on 2 cores. Loading TensorFlow …")
    load_keras_for_training(None)
    from skwbc.datasets import make_blood_cells, save_image_folder
    from skwbc.inspection import plot_predictions
    from skwbc.inspection._predictions import describe_predictions, predict_once
    from skwbc.persistence import save_model
    from skwbc.recipes import make_cell_classifier

    start = time.perf_counter()
    X, y = make_blood_cells(30, random_state=seed)
    # Another seed makes test cells that differ from the training cells.
    X_test, y_test = make_blood_cells(4, random_state=seed + 1)
    display.err.print(f"Training on {len(X)} synthetic cells, 30 per class.")
    model = make_cell_classifier(epochs=epochs, n_jobs=-1, random_state=seed)
    with training():
        model.fit(X, y)
    files = save_image_folder(X_test, y_test, out / "cells")
    rows = describe_predictions(model, predict_once(model, X_test), files)
    proba = [list(row["probabilities"].values()) for row in rows]
    figure = plot_predictions(X_test, proba, model.classes_, y_true=y_test)
    with replacing(out / _FIGURE) as temporary:
        figure.savefig(temporary, dpi=120)
    save_model(model, out / "model.joblib")

    display.show_training(model)
    display.show_predictions(rows, len(model.estimators_), y_test)
    right = sum(
        row["predicted"] == label for row, label in zip(rows, y_test, strict=True)
    )
    seconds = time.perf_counter() - start
    display.out.print(
        f"{right} of {len(rows)} test cells right after {seconds:.0f} s.\n"
        f"Model: {out / 'model.joblib'}   Figure: {out / _FIGURE}   "
        f"Test cells: {out / 'cells'}\n"
        f"Next: skwbc predict {out / 'model.joblib'} {out / 'cells'}"
    )
