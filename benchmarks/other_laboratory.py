"""Show how well cells of another laboratory are recognised, and what helps.

    python benchmarks/other_laboratory.py --data ../shared/data

The classifier of the recipe "features" is trained on 30 cells of each type of one
laboratory, and asked about the others of the same types of another, whose cells no
weights have seen. It is trained with and without colours, on images whose background
was made white or whose colours were made alike, on features that are standardised
within each laboratory, and with 2, 5 and 10 labelled cells of each type of the other
laboratory mixed in, with three times the weight, or alone. Prints a Markdown table of
balanced accuracy, means over the draws. Takes four minutes on 2 cores.
"""

import argparse
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from _common import describe_machine
from _recognition_methods import WEIGHTS, frozen
from sklearn.metrics import balanced_accuracy_score

from skwbc import ColourStatistics, make_cell_classifier
from skwbc.datasets import load_image_folder

# Trained on, asked about, and the laboratory that the weights have not seen; none of
# them has seen BCCD.
PAIRS = (
    ("bccd", "chula", "chula"),
    ("chula", "bccd", "chula"),
    ("bccd", "pbc", "pbc"),
    ("pbc", "bccd", "pbc"),
)
N_TRAINING, N_LABELLED = 30, (2, 5, 10)
MOST_PER_TYPE, FEWEST = 150, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--draws", type=int, default=10)
    arguments = parser.parse_args()
    print(describe_machine())
    warnings.simplefilter("ignore")
    columns: dict[str, dict[str, list[float]]] = {}
    for source, target, unseen in PAIRS:
        scores: dict[str, list[float]] = defaultdict(list)
        for draw in range(arguments.draws):
            for name, score in one_draw(arguments.data, source, target, unseen, draw):
                scores[name].append(score)
        columns[f"{source}, {target}"] = scores
    print(f"| balanced accuracy, {arguments.draws} draws | {' | '.join(columns)} |")
    print("|---" * (1 + len(columns)) + "|")
    for name in next(iter(columns.values())):
        means = [f"{np.mean(scores[name]):.3f}" for scores in columns.values()]
        print(f"| {name} | {' | '.join(means)} |")


def one_draw(
    data: Path, source: str, target: str, unseen: str, draw: int
) -> Iterator[tuple[str, float]]:
    """Yield the name and the score of each way."""
    maps, colours, y = described(data, source, unseen)
    maps_asked, colours_asked, y_asked = described(data, target, unseen)
    types = np.intersect1d(y, y_asked)
    rng = np.random.default_rng(draw)
    train = some_of_each(y, types, N_TRAINING, rng)
    own = np.setdiff1d(np.flatnonzero(np.isin(y, types)), train)
    asked = np.flatnonzero(np.isin(y_asked, types))
    both, both_asked = (
        np.hstack(each) for each in ((maps, colours), (maps_asked, colours_asked))
    )

    def score(X, y, X_asked, truth, weights=None) -> float:
        model = make_cell_classifier("features").estimator[1:]
        if weights is not None:
            weights = {
                "scaler__sample_weight": None,
                "linear__sample_weight": weights,
            }
        predicted = model.fit(X, y, **(weights or {})).predict(X_asked)
        return balanced_accuracy_score(truth, predicted)

    yield "own laboratory", score(both[train], y[train], both[own], y[own])
    without = score(maps[train], y[train], maps[own], y[own])
    yield "own laboratory, without colours", without
    truth = y_asked[asked]
    yield "as it is", score(both[train], y[train], both_asked[asked], truth)
    yield (
        "without colours",
        score(maps[train], y[train], maps_asked[asked], truth),
    )
    for name, prepare in PREPARED.items():
        alike = described(data, source, unseen, prepare)
        alike_asked = described(data, target, unseen, prepare)
        X, X_asked = (np.hstack(each[:2]) for each in (alike, alike_asked))
        yield name, score(X[train], y[train], X_asked[asked], truth)
        X, X_asked = alike[0], alike_asked[0]
        yield (
            f"{name}, without colours",
            score(X[train], y[train], X_asked[asked], truth),
        )
        own_score = score(X[train], y[train], X[own], y[own])
        yield f"own laboratory, {name}, without colours", own_score
    alike = standardised(maps[train]), standardised(maps_asked[asked])
    yield (
        "without colours, standardised within each laboratory",
        score(alike[0], y[train], alike[1], truth),
    )
    for count in N_LABELLED:
        few = some_of_each(y_asked, types, count, rng)
        rest = np.setdiff1d(asked, few)
        X = np.vstack([both[train], both_asked[few]])
        labels = np.concatenate([y[train], y_asked[few]])
        weights = np.repeat([1.0, 3.0], [len(train), len(few)])
        yield (
            f"{count} labelled cells of each type mixed in",
            score(X, labels, both_asked[rest], y_asked[rest], weights),
        )
        yield (
            f"{count} labelled cells of each type alone",
            score(both_asked[few], y_asked[few], both_asked[rest], y_asked[rest]),
        )


@cache
def described(
    data: Path,
    name: str,
    unseen: str,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the maps, the colours and the types of cells."""
    cells = load_image_folder(data / name, image_size=(100, 100), lazy=True)
    y = np.char.lower(cells.target)
    types, counts = np.unique(y, return_counts=True)
    rng = np.random.default_rng(0)
    rows = some_of_each(y, types[counts >= FEWEST], MOST_PER_TYPE, rng)
    images = np.asarray(cells.images[rows])
    if prepare is not None:
        images = np.array([prepare(image) for image in images])
    maps = frozen(WEIGHTS / f"without_{unseen}").fit_transform(images)
    return maps, ColourStatistics().fit_transform(images), y[rows]


def some_of_each(
    y: np.ndarray, types: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return positions of `count` cells of each type, or of all if there are fewer."""
    return np.concatenate(
        [rng.permutation(np.flatnonzero(y == name))[:count] for name in types]
    )


def white_background(image: np.ndarray) -> np.ndarray:
    """Scale the channels so that the light of the background is white."""
    light = np.percentile(image, 90, axis=(0, 1))
    return np.clip(image * (240 / np.maximum(light, 1)), 0, 255).astype(np.uint8)


def same_colours(image: np.ndarray) -> np.ndarray:
    """Give all images the mean and deviation of colours in CIE Lab (Reinhard, 2001)."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    mean, std = (np.float32(each) for each in ((72, 14, -10), (15, 9, 8)))
    lab = (lab - lab.mean(axis=(0, 1))) / (lab.std(axis=(0, 1)) + 1e-3) * std + mean
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB)
    return (np.clip(rgb, 0, 1) * 255).astype(np.uint8)


PREPARED = {
    "white background": white_background,
    "the same mean and deviation of colours": same_colours,
}


def standardised(table: np.ndarray) -> np.ndarray:
    return (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6)


if __name__ == "__main__":
    main()
