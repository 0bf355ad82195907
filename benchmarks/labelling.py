"""Choose the next images to label, and foretell what more labels would give.

    pip install 'skwbc[plot]'
    python benchmarks/labelling.py --data ../shared/data --results labelling.jsonl
    python benchmarks/labelling.py --results labelling.jsonl --table

What the frozen networks of the recipe "features" see in images of the folder "pbc" is
computed once, with weights that have not seen this laboratory. The rest of the recipe
is trained on two images of each type. Then images of a pool are labelled, 10, 20,
40 and 80 in all, chosen at random, by mutual information alone, or by
``most_informative``, and the recipe is trained again after each step. The score is the
balanced accuracy on images outside of the pool.

The second part trains on growing numbers of random images, fits a power law to the
errors with up to 160 of them, and compares its forecast for 320 and 640 with the error
there.

Every result is appended to the file given by ``--results``, and is not computed again.
The tables are printed, and the curve is drawn into docs/images/labelling.png.
"""

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import IMAGES, describe_machine
from _recognition_methods import WEIGHTS, described, start_from
from _results import append, read_lines
from matplotlib.figure import Figure
from sklearn.metrics import balanced_accuracy_score

from skwbc import make_cell_classifier
from skwbc.datasets import load_image_folder
from skwbc.inspection import most_informative
from skwbc.uncertainty import mutual_information

HOW = {
    "random": "at random",
    "information": "the highest mutual information",
    "informative": "most_informative",
}
LABELS = (10, 20, 40, 80)
N_POOL, N_TEST, N_FIRST = 600, 1000, 2
SIZES, FORECASTS = (20, 40, 80, 160), (320, 640)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the folder pbc")
    parser.add_argument("--results", type=Path, default=Path("labelling.jsonl"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.data is None:
            parser.error("--data is needed, unless --table is given")
        run(arguments)
    print_tables(read_lines(arguments.results))


def run(arguments: argparse.Namespace) -> None:
    print(describe_machine(), flush=True)
    # With so few images some folds lack a type, which is said each time.
    warnings.simplefilter("ignore")
    cells = load_image_folder(arguments.data / "pbc", lazy=True)
    finished = {(each["how"], each["seed"]) for each in read_lines(arguments.results)}
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(cells.target))[: N_POOL + max(FORECASTS) + N_TEST]
    recipe = make_cell_classifier("features")
    start_from(recipe, WEIGHTS / "without_pbc")
    # They learn nothing from the images.
    X = recipe.estimator[0].fit_transform(cells.images[rows])
    y = cells.target[rows]
    for seed in range(arguments.seeds):
        for how in (*HOW, "more"):
            if (how, seed) not in finished:
                scores = (more if how == "more" else label)(X, y, how, seed)
                record = {"how": how, "seed": seed, "scores": scores}
                print(record, flush=True)
                append(arguments.results, record)


def label(X: np.ndarray, y: np.ndarray, how: str, seed: int) -> list[float]:
    """Return the scores with the first images, and after each step of labelling."""
    rng = np.random.default_rng(seed)
    pool, test = np.arange(N_POOL), slice(-N_TEST, None)
    firsts = [rng.permutation(pool[y[pool] == kind])[:N_FIRST] for kind in np.unique(y)]
    labelled = np.concatenate(firsts)
    n_first = len(labelled)
    model = fitted(X[labelled], y[labelled], seed)
    scores = [score(model, X[test], y[test])]
    for n_labels in LABELS:
        rest = np.setdiff1d(pool, labelled)
        chosen = choose(model, X[rest], how, n_labels + n_first - len(labelled), rng)
        labelled = np.concatenate([labelled, rest[chosen]])
        model = fitted(X[labelled], y[labelled], seed)
        scores.append(score(model, X[test], y[test]))
    return scores


def choose(
    model: Any, X: np.ndarray, how: str, n_images: int, rng: np.random.Generator
) -> np.ndarray:
    if how == "random":
        return rng.permutation(len(X))[:n_images]
    if how == "information":
        members = model.predict_proba_members(X)
        information = mutual_information(members, known_classes=model.known_classes_)
        return np.argsort(-information, kind="stable")[:n_images]
    chosen, _ = most_informative(model, X, n_images)
    return chosen


def more(X: np.ndarray, y: np.ndarray, _: str, seed: int) -> list[float]:
    """Return the scores with growing numbers of random images."""
    order = np.random.default_rng(seed).permutation(len(y) - N_TEST)
    test = slice(-N_TEST, None)
    return [
        score(fitted(X[order[:n]], y[order[:n]], seed), X[test], y[test])
        for n in (*SIZES, *FORECASTS)
    ]


def fitted(X: np.ndarray, y: np.ndarray, seed: int) -> Any:
    # Two images of a type are too few for more folds.
    cv = 2 if len(y) <= N_FIRST * len(np.unique(y)) else 5
    return described(seed, None).set_params(cv=cv).fit(X, y)


def score(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    return float(balanced_accuracy_score(y, model.predict(X)))


def print_tables(records: list[dict[str, Any]]) -> None:
    by_how: dict[str, list[list[float]]] = {}
    for each in records:
        by_how.setdefault(each["how"], []).append(each["scores"])
    names = "".join(f" {n} |" for n in (0, *LABELS))
    print(f"\n| labels, chosen |{names}\n|---|{'---|' * (1 + len(LABELS))}")
    for how, words in HOW.items():
        scores = np.array(by_how[how])
        cells = [
            f" {mean:.3f} ± {deviation:.3f} |"
            for mean, deviation in zip(
                scores.mean(0), scores.std(0, ddof=1), strict=True
            )
        ]
        print(f"| {words} |{''.join(cells)}")
    draw({how: np.array(by_how[how]) for how in HOW})
    scores = np.array(by_how["more"])
    print("\n| images | forecast error | error | difference |\n|---|---|---|---|")
    for k, n in enumerate(FORECASTS, len(SIZES)):
        forecast = [forecast_error(row[: len(SIZES)], n) for row in scores]
        error = 1 - scores[:, k]
        off = np.abs(forecast - error)
        print(
            f"| {n} | {np.mean(forecast):.3f} | {error.mean():.3f} | {off.mean():.3f} "
            f"(at most {off.max():.3f}) |"
        )


def forecast_error(scores: np.ndarray, n: int) -> float:
    slope, height = np.polyfit(np.log(SIZES), np.log(1 - np.array(scores)), 1)
    return float(np.exp(height + slope * np.log(n)))


def draw(scores: dict[str, np.ndarray]) -> None:
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for (how, words), marker in zip(HOW.items(), "osD", strict=True):
        mean, deviation = scores[how].mean(0), scores[how].std(0, ddof=1)
        axes.errorbar(
            (0, *LABELS), mean, deviation, label=words, marker=marker, capsize=2
        )
    axes.set(xlabel="images labelled", ylabel="balanced accuracy")
    axes.legend(title="chosen")
    figure.savefig(IMAGES / "labelling.png", dpi=110)


if __name__ == "__main__":
    main()
