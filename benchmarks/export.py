"""Compare ONNX models with joblib files: first prediction, throughput, size.

    pip install 'skwbc[onnx]'
    python benchmarks/export.py

A first prediction is a whole process, `skwbc predict MODEL IMAGE`, with the joblib and
the ONNX file in turn. Throughput is measured for 1,000 images of 100 x 100 pixels in
this process; the baseline is the same networks compiled by TensorFlow, called on
batches of 64 standardised images. The last table has the largest differences between
the probabilities of an ensemble and of its file, and the time to write the file.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from _common import HEADER, describe_machine, in_turn, print_row, weight
from _predicting import bare_passes, computed_anew, to_predict

from skwbc import save_model
from skwbc.datasets import make_blood_cells
from skwbc.export import OnnxClassifier, to_onnx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(describe_machine(), end="\n\n")
    print(HEADER, flush=True)
    X, y = make_blood_cells(10, random_state=0)
    new, _ = make_blood_cells(34, random_state=1)
    noise = np.random.default_rng(0).integers(256, size=new.shape, dtype=np.uint8)
    many = np.resize(new, (1000, *new.shape[1:]))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "cell.png"
        cv2.imwrite(str(image), new[0])
        for number, (title, clf) in enumerate(to_predict()):
            clf.fit(X, y)
            file = Path(folder) / f"{number}.onnx"
            save_model(clf, file.with_suffix(".joblib"))
            start = time.perf_counter()
            to_onnx(clf, file)
            seconds = time.perf_counter() - start
            first_predictions(title, file, image, rounds)
            throughput(title, clf, file, many, rounds)
            rows.append((title, clf, seconds, *differences(clf, file, new, noise)))
            rows[-1] += (file.stat().st_size / 1e6,)
    print(
        "\n| ensemble of five | weights, MB | file, MB | written in, s | "
        "difference on cells | on noise |\n|---|---|---|---|---|---|"
    )
    for title, clf, seconds, on_cells, on_noise, size in rows:
        print(
            f"| {title} | {weight(clf):.1f} | {size:.1f} | {seconds:.1f} | "
            f"{on_cells:.1g} | {on_noise:.1g} |"
        )


def first_predictions(title: str, file: Path, image: Path, rounds: int) -> None:
    def predict(model: Path) -> None:
        command = [sys.executable, "-m", "skwbc.cli", "predict", str(model), str(image)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    contestants = {
        "joblib": functools.partial(predict, file.with_suffix(".joblib")),
        "onnx": functools.partial(predict, file),
    }
    # The first run fills the file cache of the system.
    in_turn(contestants, 1)
    seconds = in_turn(contestants, rounds)
    what = f"{title}: `skwbc predict`, one image, with ONNX / joblib"
    print_row(what, seconds["joblib"], seconds["onnx"], "0.1")


def throughput(title, clf, file, images, rounds) -> None:
    contestants = {
        "keras": bare_passes(clf, images),
        "onnx": functools.partial(discard, OnnxClassifier(file).predict_proba, images),
    }
    with computed_anew():
        in_turn(contestants, 1)
        seconds = in_turn(contestants, rounds)
    what = f"{title}: 1,000 images with ONNX / bare passes"
    print_row(what, seconds["keras"], seconds["onnx"], "1")


def discard(function, *arguments) -> None:
    function(*arguments)


def differences(clf, file, *sets) -> list[float]:
    """Return the largest difference of any member's probability in each set."""
    predict, predict_file = (
        clf.predict_proba_members,
        OnnxClassifier(file).predict_proba_members,
    )
    return [float(np.abs(predict_file(X) - predict(X)).max()) for X in sets]


if __name__ == "__main__":
    main()
