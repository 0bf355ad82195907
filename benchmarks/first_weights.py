"""Train on more images, with the networks of the old model as first weights, or not.

    python benchmarks/first_weights.py --data ../shared/data

The default recipe is trained on images of the folder "pbc" with weights that have not
seen this laboratory, then on these and as many new ones, from the same weights or from
those of the first member of the old model. Prints the balanced accuracy on other
images, the mean ± the standard deviation over the seeds.
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import describe_machine, network_pipeline
from _recognition_methods import WEIGHTS, start_from
from sklearn.metrics import balanced_accuracy_score

from skwbc import KFoldEnsembleClassifier, make_cell_classifier
from skwbc._utils import row_cache
from skwbc.datasets import load_image_folder

N_OLD, N_TEST = 80, 500
EPOCHS = (5, 20)
START = "estimator__network__cnn__model__weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    print(describe_machine(), flush=True)
    row_cache._MOST_ROWS = 2**18
    warnings.simplefilter("ignore")
    side = (arguments.side, arguments.side)
    cells = load_image_folder(arguments.data / "pbc", lazy=True, image_size=side)
    rows = []
    for seed in range(arguments.seeds):
        draw = np.random.default_rng(seed).permutation(len(cells.target))
        draw = draw[: 2 * N_OLD + N_TEST]
        X, y = cells.images[draw], cells.target[draw]
        rows.append(one(X, y, seed))
        print(np.round(rows[-1], 3), flush=True)
    names = [
        "old",
        *(
            f"{n} epochs, {how}"
            for n in EPOCHS
            for how in ("same start", "old network")
        ),
    ]
    print("| model | balanced accuracy |\n|---|---|")
    for name, scores in zip(names, np.transpose(rows), strict=True):
        print(f"| {name} | {scores.mean():.3f} ± {scores.std(ddof=1):.3f} |")


def one(X: np.ndarray, y: np.ndarray, seed: int) -> list[float]:
    def score(model: KFoldEnsembleClassifier, n: int) -> float:
        model.fit(X[:n], y[:n])
        predicted = model.predict(X[-N_TEST:])
        return float(balanced_accuracy_score(y[-N_TEST:], predicted))

    old = new(20, seed)
    scores = [score(old, N_OLD)]
    network = network_pipeline(old.estimators_[0])["cnn"].model_
    values = [v.numpy() for layer in network.layers[:-1] for v in layer.weights]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "first.npz")
        np.savez(file, *values)
        for epochs in EPOCHS:
            scores.append(score(new(epochs, seed), 2 * N_OLD))
            start = new(epochs, seed).set_params(**{START: str(file)})
            scores.append(score(start, 2 * N_OLD))
    return scores


def new(epochs: int, seed: int) -> KFoldEnsembleClassifier:
    model = make_cell_classifier(epochs=epochs, random_state=seed)
    start_from(model, WEIGHTS / "without_pbc")
    return model


if __name__ == "__main__":
    main()
