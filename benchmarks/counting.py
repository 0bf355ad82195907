"""Show by simulation how often the intervals of a differential count hold the truth.

    python benchmarks/counting.py --data ../shared/data --predictions counting.npz

trains the recipe "features" several times on a few cells per type of one laboratory
(``--laboratory``), with weights that have not seen it, and stores the predictions for
all other cells with each model's confusion matrix. Then 2,000 counts are drawn: a
mixture of types, so many cells of that mixture, and the stored predictions for them.
The table has the share of counts whose 95 % interval holds the share of the mixture, of
`skwbc.fields.count_cells` and of the interval of Wilson for the predicted shares, which
takes predictions for the truth. ``--draw`` only draws again.
"""

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from skwbc.fields._interval import adjusted_shares, wilson

TYPES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil")
# Mean shares of the mixtures, about those of healthy blood; mixtures vary around them.
SHARES = np.array([0.55, 0.28, 0.08, 0.06, 0.03])
SPREAD = 30
LARGE = 0.1
WEIGHTS = Path(__file__).parent / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--laboratory", choices=("pbc", "chula"), default="pbc")
    parser.add_argument("--predictions", type=Path, default=Path("counting.npz"))
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--per-type", type=int, default=40, help="training cells")
    parser.add_argument("--others", type=int, default=150, help="other cells per type")
    parser.add_argument("--counts", type=int, default=2000)
    parser.add_argument("--draw", action="store_true")
    arguments = parser.parse_args()
    if not arguments.draw:
        store(arguments)
    stored = np.load(arguments.predictions)
    print("| cells counted | class | counts | adjusted | naive | mean width | naive |")
    print("|---|---|---|---|---|---|---|")
    for n_cells in (100, 500):
        simulate(
            stored["confusions"],
            stored["predicted"],
            stored["true"],
            n_cells,
            arguments.counts,
        )


def store(arguments: argparse.Namespace) -> None:
    """Train models, and store what they predict."""
    from _cell_sets import numbers_of_cells
    from _recognition_methods import start_from

    from skwbc import make_cell_classifier
    from skwbc.datasets import load_image_folder

    cells = load_image_folder(
        arguments.data / arguments.laboratory,
        image_size=(100, 100),
        lazy=True,
        classes=[*TYPES],
    )
    rng = np.random.default_rng(0)
    pool = []
    for name in TYPES:
        rows = rng.permutation(np.flatnonzero(cells.target == name))
        pool += [*rows[: arguments.per_type + arguments.others]]
    X, y = np.asarray(cells.images[np.sort(pool)]), cells.target[np.sort(pool)]
    codes = np.array([TYPES.index(name) for name in y])
    # Chula has several photographs of most cells.
    number = np.arange(len(y))
    if arguments.laboratory == "chula":
        number = numbers_of_cells(X)
    confusions, predicted = [], np.full((arguments.models, len(y)), -1)
    for seed in range(arguments.models):
        rng = np.random.default_rng(seed)
        train = np.concatenate(
            [
                rng.permutation(np.flatnonzero(codes == k))[: arguments.per_type]
                for k in range(len(TYPES))
            ]
        )
        rest = np.flatnonzero(~np.isin(number, number[train]))
        model = make_cell_classifier("features", random_state=seed)
        start_from(model, WEIGHTS / f"without_{arguments.laboratory}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X[train], y[train], groups=number[train])
            answers = model.predict(X[rest])
        order = [[*model.classes_].index(name) for name in TYPES]
        confusions.append(model._confusion[np.ix_(order, order)])
        predicted[seed, rest] = [TYPES.index(name) for name in answers]
        accuracy = (predicted[seed, rest] == codes[rest]).mean()
        print(
            f"model {seed}: held out {model.oof_score_:.3f}, rest {accuracy:.3f}",
            flush=True,
        )
        np.savez(
            arguments.predictions,
            confusions=confusions,
            predicted=predicted[: seed + 1],
            true=codes,
        )


def simulate(confusions, predicted, true, n_cells: int, n_counts: int) -> None:
    """Draw counts, and print how often their intervals hold the truth."""
    rng = np.random.default_rng(1)
    n = len(TYPES)
    held, naive, large = np.zeros((3, n_counts, n), bool)
    widths = np.zeros((2, n_counts, n))
    for k in range(n_counts):
        model = k % len(confusions)
        mixture = rng.dirichlet(SPREAD * SHARES)
        types = rng.choice(n, n_cells, p=mixture)
        known = predicted[model] >= 0
        answers = np.concatenate(
            [
                rng.choice(predicted[model][known & (true == each)], count)
                for each, count in enumerate(np.bincount(types, minlength=n))
            ]
        )
        counts = np.bincount(answers, minlength=n)
        _, low, high = adjusted_shares(counts, confusions[model])
        held[k], widths[0, k] = (low <= mixture) & (mixture <= high), high - low
        low, high = wilson(counts)
        naive[k], widths[1, k] = (low <= mixture) & (mixture <= high), high - low
        large[k] = mixture >= LARGE
    for each, name in [
        *enumerate(TYPES),
        (slice(None), "all"),
        (None, f"shares from {LARGE:.0%}"),
    ]:
        part = large if each is None else np.s_[:, each]
        wide, narrow = (w[part].mean() for w in widths)
        print(
            f"| {n_cells} | {name} | {held[part].size} | {held[part].mean():.3f} | "
            f"{naive[part].mean():.3f} | {wide:.3f} | {narrow:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
