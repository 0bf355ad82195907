"""Find label issues in the real cells, and count planted label errors that are found.

    pip install 'skwbc[plot]'
    python benchmarks/label_issues.py --data ../shared/data

Trains the default recipe on all real Neutrophil, Eosinophil and Monocyte images, prints
the ten labels that the out-of-fold probabilities contradict most, and draws them into
docs/images/label_issues.jpg. Then trains on synthetic cells, a tenth of them with a
wrong label, for several seeds, and prints how many of these are found: among the worst
tenth, which an expert would check, and among the issues.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import IMAGES

from skwbc import make_cell_classifier
from skwbc.datasets import load_image_folder, make_blood_cells
from skwbc.inspection import find_label_issues, plot_label_issues

CLASSES = ["Neutrophil", "Eosinophil", "Monocyte"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="of the synthetic cells")
    parser.add_argument("--epochs", type=int, help="fewer, for a quick try")
    arguments = parser.parse_args()
    real_cells(arguments)
    planted(arguments)


def real_cells(arguments: argparse.Namespace) -> None:
    cells = load_image_folder(arguments.data / "bccd", classes=CLASSES)
    model = make_cell_classifier(epochs=arguments.epochs, random_state=arguments.seed)
    model.fit(cells.images, cells.target)
    rows = find_label_issues(model, cells.images, cells.target, names=cells.filenames)
    issues = sum(row["issue"] for row in rows)
    print(
        f"{len(rows)} real cells (seed {arguments.seed}): out-of-fold accuracy "
        f"{model.oof_score_:.3f}, {issues} label issues. The worst:\n\n"
        "| image | label | score | suggested | probability |\n|---|---|---|---|---|"
    )
    for row in rows[:10]:
        suggested = row["suggested"] if row["issue"] else "-"
        chance = f"{row['probabilities'][suggested]:.3f}" if row["issue"] else "-"
        name = os.path.basename(row["image"])
        print(
            f"| {name} | {row['given']} | {row['score']:.3f} | {suggested} | {chance} |"
        )
    figure = plot_label_issues(cells.images, rows)
    figure.savefig(IMAGES / "label_issues.jpg", dpi=100, pil_kwargs={"quality": 90})


def planted(arguments: argparse.Namespace) -> None:
    print(
        "\nSynthetic cells, a tenth with a wrong label:\n\n"
        "| seed | cells | wrong | in the worst tenth | issues | wrong among them "
        "| precision | recall |\n|---|---|---|---|---|---|---|---|"
    )
    totals = np.zeros(5, int)
    for seed in range(arguments.seeds):
        counts = np.array(one_planted(seed, arguments.epochs))
        totals += counts
        print_counts(seed, counts)
    print_counts("all", totals)


def one_planted(seed: int, epochs: int | None) -> tuple[int, ...]:
    X, y = make_blood_cells(30, random_state=seed)
    names, codes = np.unique(y, return_inverse=True)
    rng = np.random.default_rng(seed)
    wrong = rng.choice(len(y), len(y) // 10, replace=False)
    codes[wrong] = (codes[wrong] + rng.integers(1, len(names), len(wrong))) % len(names)
    labels = names[codes]
    model = make_cell_classifier(epochs=epochs, random_state=seed).fit(X, labels)
    rows = find_label_issues(model, X, labels)
    worst = [row["index"] for row in rows[: len(wrong)]]
    issues = [row["index"] for row in rows if row["issue"]]
    n_found = [np.isin(wrong, indices).sum() for indices in (worst, issues)]
    return len(y), len(wrong), n_found[0], len(issues), n_found[1]


def print_counts(seed: int | str, counts: np.ndarray) -> None:
    _, wrong, _, issues, n_found = counts
    precision = f"{n_found / issues:.2f}" if issues else "-"
    cells = " | ".join(map(str, counts))
    print(f"| {seed} | {cells} | {precision} | {n_found / wrong:.2f} |", flush=True)


if __name__ == "__main__":
    main()
