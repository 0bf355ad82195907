"""Compare the recipes with plain Keras on the same real cells.

Uses two sets of Neutrophil, Eosinophil and Monocyte images: the 76 cells in the
article's file format with their 12 test files, and as many cells drawn from the
folders, with all others as the test set. The plain Keras baseline is the script given
by ``--reference``; it runs in a separate process on the same images, folds and seed.

    python benchmarks/real_cells.py --data ../shared/data

Prints two Markdown tables. Test images are predicted once, after training; the
out-of-fold column comes from the held-out folds that also chose the epochs. With
``--nested`` it prints the result of ``cross_val_score`` around the whole ensemble and
the out-of-fold accuracy instead, for the 76 cells.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _cell_sets import BCCD_THREE, bccd
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skwbc import make_cell_classifier
from skwbc.datasets import load_raw_images
from skwbc.inspection import evaluate

HEADER = """\
| method | out-of-fold accuracy | test accuracy | balanced | log loss | seconds |
|---|---|---|---|---|---|"""


def main() -> None:
    arguments = parse_arguments()
    if arguments.nested:
        nested(arguments)
        return
    for title, sets in (
        ("Article's files: 76 cells, 12 to test", article_files(arguments.data)),
        ("Folders: 30/30/16 cells, the rest to test", folders(arguments)),
    ):
        print(f"\n{title} (seed {arguments.seed}, {os.cpu_count()} cores)\n\n{HEADER}")
        baseline(arguments, *sets)
        for recipe in ("article", "compact"):
            skwbc(recipe, arguments, *sets)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument(
        "--reference", type=Path, default="../shared/reference/article_keras.py"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="fewer, for a quick try")
    parser.add_argument("--nested", action="store_true")
    return parser.parse_args()


def nested(arguments: argparse.Namespace) -> None:
    X, y, _, _ = article_files(arguments.data)
    model = make_cell_classifier(epochs=arguments.epochs, random_state=arguments.seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=arguments.seed)
    scores = cross_val_score(model, X, y, cv=folds)
    model.fit(X, y)
    print(f"out-of-fold: {model.oof_score_:.3f}")
    print(f"cross_val_score: {scores.mean():.3f} (folds {scores.round(2)})")


def article_files(data: Path) -> tuple[np.ndarray, ...]:
    folder = data / "article"
    X, y = load_raw_images(
        folder / "blood_total.raw", folder / "blood_total_label.txt", return_X_y=True
    )
    files = sorted((folder / "test").glob("*.raw"))
    X_test = np.concatenate([load_raw_images(file).images for file in files])
    digits = (folder / "test_label.txt").read_text().strip()
    y_test = np.array([int(digit) for digit in digits])
    return X, y, X_test, y_test


def folders(arguments: argparse.Namespace) -> tuple[np.ndarray, ...]:
    cells = bccd(arguments.data / "bccd", BCCD_THREE, arguments.seed)
    return cells.X, cells.y, cells.X_rest, cells.y_rest


def skwbc(recipe, arguments, X, y, X_test, y_test) -> None:
    start = time.perf_counter()
    model = make_cell_classifier(
        recipe, epochs=arguments.epochs, random_state=arguments.seed
    ).fit(X, y)
    seconds = time.perf_counter() - start
    scores = evaluate(model, X_test, y_test)
    row(
        f"skwbc, recipe {recipe}",
        model.oof_score_,
        scores["accuracy"],
        scores["balanced_accuracy"],
        scores["log_loss"],
        seconds,
    )


def baseline(arguments, X, y, X_test, y_test) -> None:
    if not arguments.reference.is_file():
        print(f"| plain Keras | not run: {arguments.reference} is missing | | | | |")
        return
    command = [sys.executable, arguments.reference, "--seed", str(arguments.seed)]
    if arguments.epochs:
        command += ["--epochs", str(arguments.epochs)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.npz"
        np.savez(file, X=X, y=y, Xt=X_test, yt=y_test)
        run = subprocess.run(
            [*command, "--npz", file], capture_output=True, text=True, check=True
        )
    means = re.search(r"val_acc \[(.*)\]", run.stdout)[1].split()
    test = re.search(r"test accuracy (\S+) balanced (\S+)", run.stdout)
    seconds = re.search(r"fit (\S+) s", run.stdout)
    row("plain Keras", means[3], test[1], test[2], None, seconds[1])


def row(name, oof, accuracy, balanced, log_loss, seconds) -> None:
    loss = "-" if log_loss is None else f"{log_loss:.3f}"
    cells = " | ".join(f"{float(value):.3f}" for value in (oof, accuracy, balanced))
    print(f"| {name} | {cells} | {loss} | {float(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
