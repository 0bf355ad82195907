"""Show which images are marked as unlike the training images.

    python benchmarks/typicality.py --data ../shared/data --results typicality.jsonl
    python benchmarks/typicality.py --results typicality.jsonl --table

The recipe "features" is trained on cells of one laboratory and asked about the rest of
them, about other laboratories, and about altered images; then it is trained without one
type of cell and asked about that type. The p-values of the default recipe are the same,
because they come from its frozen networks. First weights have not seen the laboratory
that the recipe is trained on. Every result is appended to the file given by
``--results``, and is not computed again. With ``--part K N`` only every N-th try is
made, so N processes can share the work.
"""

import argparse
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from _common import describe_machine
from _recognition_methods import WEIGHTS, start_from
from _results import append, read_lines
from sklearn.metrics import roc_auc_score

from skwbc import make_cell_classifier
from skwbc._utils import row_cache
from skwbc.datasets import load_image_folder
from skwbc.inspection._predictions import predict_once

LABORATORIES = ("bccd", "chula", "pbc", "pollen", "red_cells")
# White blood cells; the types of the others are left out of the training, too.
BLOOD = LABORATORIES[:3]
KEY = ("trained_on", "without", "n_training", "draw")
MOST_ASKED, N_ALTERED = 150, 60
MOST_PER_TYPE, FEWEST = 130, 8
# Images to train on; types are left out with the second number.
N_TRAINING = (60, 90, 150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with the laboratories")
    parser.add_argument("--results", type=Path, default=Path("typicality.jsonl"))
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--side", type=int, default=100)
    parser.add_argument("--laboratories", default=",".join(LABORATORIES))
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1))
    parser.add_argument("--table", action="store_true", help="only print the tables")
    arguments = parser.parse_args()
    if not arguments.table:
        if arguments.data is None:
            parser.error("--data is needed, unless --table is given")
        run(arguments)
    print_tables(read_lines(arguments.results))


def run(arguments: argparse.Namespace) -> None:
    print(describe_machine(), flush=True)
    # All draws ask about the same images.
    row_cache._MOST_ROWS = 2**18
    done = {key_of(record) for record in read_lines(arguments.results)}
    names = arguments.laboratories.split(",")
    tries: list[tuple[str, str | None, int]] = [
        (name, None, count) for name in names for count in N_TRAINING
    ]
    for name in names:
        if name in BLOOD:
            types = np.unique(laboratory(arguments.data, name, arguments.side)[1])
            tries += [(name, kind, N_TRAINING[1]) for kind in types.tolist()]
    records = [
        dict(zip(KEY, (*each, draw), strict=True))
        for draw in range(arguments.draws)
        for each in tries
    ]
    part, n_parts = arguments.part
    for record in records[part::n_parts]:
        if key_of(record) not in done:
            asked = try_one(arguments, *key_of(record))
            append(arguments.results, record | {"asked": asked})
            print(record, asked["own"]["marked"], flush=True)


def key_of(record: Mapping[str, Any]) -> tuple:
    return tuple(record[name] for name in KEY)


@cache
def laboratory(data: Path, name: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return some images of each type, shuffled, and their types."""
    cells = load_image_folder(data / name, image_size=(side, side), lazy=True)
    rng = np.random.default_rng(0)
    rows = []
    for kind in np.unique(cells.target):
        of_kind = rng.permutation(np.flatnonzero(cells.target == kind))
        if len(of_kind) >= FEWEST:
            rows.append(of_kind[:MOST_PER_TYPE])
    shuffled = rng.permutation(np.concatenate(rows))
    return np.asarray(cells.images[shuffled]), np.char.lower(cells.target[shuffled])


def try_one(
    arguments: argparse.Namespace,
    name: str,
    without: str | None,
    n_training: int,
    draw: int,
) -> dict[str, dict[str, Any]]:
    X, y = laboratory(arguments.data, name, arguments.side)
    rng = np.random.default_rng(draw)
    train = draw_training(y, without, n_training, rng)
    others = np.setdiff1d(np.arange(len(y)), train)
    own = others[y[others] != without][:MOST_ASKED]
    asked: dict[str, tuple[np.ndarray, np.ndarray | None]] = {"own": (X[own], y[own])}
    if without is not None:
        left = np.flatnonzero(y == without)[:MOST_ASKED]
        asked["left out"] = X[left], None
    else:
        for other in LABORATORIES:
            if other != name:
                images, types = laboratory(arguments.data, other, arguments.side)
                asked[other] = images[:MOST_ASKED], types[:MOST_ASKED]
        some = own[:N_ALTERED]
        for kind, change in ALTERATIONS.items():
            images = change(X[some], rng)
            asked[kind] = images, y[some][: len(images)]
    model = make_cell_classifier("features", random_state=draw)
    weights = WEIGHTS / f"without_{name}"
    if weights.is_dir():
        start_from(model, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X[train], y[train])
    answers: dict[str, dict[str, Any]] = {}
    own_p = np.empty(0)
    for kind, (images, types) in asked.items():
        predictions = predict_once(model, images)
        if kind == "own":
            own_p = predictions.p
        right = np.full(len(images), np.nan)
        if types is not None:
            is_class = np.isin(types, model.classes_)
            predicted = model.classes_[predictions.proba.argmax(axis=1)]
            right[is_class] = (predicted == types)[is_class]
        unlike = predictions.unlike
        scores = np.concatenate([-own_p, -predictions.p])
        is_asked = np.repeat([0, 1], [len(own_p), len(images)])
        answers[kind] = {
            "marked": float(unlike.mean()),
            "auc": float(roc_auc_score(is_asked, scores)),
            "accuracy": mean_or_none(right),
            "accuracy_marked": mean_or_none(right[unlike]),
            "accuracy_others": mean_or_none(right[~unlike]),
        }
    return answers


def draw_training(
    y: np.ndarray, without: str | None, n_training: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw equal numbers of each type, as far as there are so many."""
    kinds = [kind for kind in np.unique(y) if kind != without]
    per_kind = max(4, n_training // len(kinds))
    rows = []
    for kind in kinds:
        of_kind = rng.permutation(np.flatnonzero(y == kind))
        # A third of a rare type is kept to be asked about.
        rows.append(of_kind[: min(per_kind, 2 * len(of_kind) // 3)])
    return rng.permutation(np.concatenate(rows))


def mean_or_none(values: np.ndarray) -> float | None:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def each(function: Callable[[np.ndarray], np.ndarray]) -> Callable:
    return lambda images, rng: np.array([function(image) for image in images])


def zoomed(factor: float) -> Callable:
    def zoom(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0, factor)
        size = (width, height)
        return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT)

    return each(zoom)


def moved(fraction: float) -> Callable:
    def move(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        matrix = np.float32([[1, 0, fraction * width], [0, 1, fraction * height]])
        size = (width, height)
        return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT)

    return each(move)


def blurred(sigma: float) -> Callable:
    return each(lambda image: cv2.GaussianBlur(image, (0, 0), sigma))


def brighter(factor: float) -> Callable:
    return each(lambda image: np.clip(image * factor, 0, 255).astype(np.uint8))


def compressed(quality: int) -> Callable:
    def compress(image: np.ndarray) -> np.ndarray:
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(code, cv2.IMREAD_COLOR)

    return each(compress)


def montage(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put four cells into one image."""
    height, width = images.shape[1:3]
    size = (width // 2, height // 2)
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    sheets = []
    for _ in images:
        a, b, c, d = (small[k] for k in rng.integers(len(small), size=4))
        sheet = np.vstack([np.hstack([a, b]), np.hstack([c, d])])
        sheets.append(cv2.resize(sheet, (width, height)))
    return np.array(sheets)


def text(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pages = np.full_like(images[:20], 255)
    for page in pages:
        for line in range(15, len(page), 18):
            words = "".join(rng.choice(list("abcdefgh 0123"), 12))
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(page, words, (2, line), font, 0.4, (0, 0, 0), 1)
    return pages


def mask(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    grey = images.mean(axis=3, keepdims=True)
    dark = grey < np.median(grey, axis=(1, 2, 3), keepdims=True)
    return (255 * dark * np.ones(3)).astype(np.uint8)


ALTERATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "grey": each(
        lambda image: cv2.cvtColor(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB
        )
    ),
    "red and blue exchanged": each(lambda image: image[..., ::-1]),
    "noise": lambda images, rng: rng.integers(0, 256, images.shape).astype(np.uint8),
    "black": lambda images, rng: np.zeros_like(images[:5]),
    "mask": mask,
    "montage": montage,
    "text": text,
    "blur, 1 pixel": blurred(1),
    "blur, 2 pixels": blurred(2),
    "blur, 4 pixels": blurred(4),
    "brightness 0.9": brighter(0.9),
    "brightness 0.8": brighter(0.8),
    "brightness 1.2": brighter(1.2),
    "zoom 0.6": zoomed(0.6),
    "zoom 0.8": zoomed(0.8),
    "zoom 1.4": zoomed(1.4),
    "shift 0.1": moved(0.1),
    "shift 0.2": moved(0.2),
    "JPEG 30": compressed(30),
    "JPEG 10": compressed(10),
}


def print_tables(records: list[dict[str, Any]]) -> None:
    for count in N_TRAINING:
        print(f"\n## About {count} images to train on")
        print_wholes(
            [
                record
                for record in records
                if record["without"] is None and record["n_training"] == count
            ]
        )
    print_types(records)


def print_wholes(whole: list[dict[str, Any]]) -> None:
    names = [name for name in LABORATORIES if name in {r["trained_on"] for r in whole}]
    kinds = list(dict.fromkeys(kind for record in whole for kind in record["asked"]))
    for value, title in (
        ("marked", "Fraction of images marked (p < 0.05)"),
        ("auc", "Area under the ROC curve, against the own images"),
        ("accuracy", "Accuracy"),
        ("accuracy_marked", "Accuracy on the marked images"),
        ("accuracy_others", "Accuracy on the others"),
    ):
        print(f"\n{title}\n")
        print(f"| asked about | {' | '.join(f'trained on {name}' for name in names)} |")
        print(f"|---|{'---|' * len(names)}")
        for kind in kinds:
            cells = [mean_of(whole, name, kind, value) for name in names]
            print(f"| {kind} | {' | '.join(cells)} |")


def print_types(records: list[dict[str, Any]]) -> None:
    print("\n## Types that were left out of the training: fraction marked\n")
    print("| trained on | type | own cells | left-out type | area under the curve |")
    print("|---|---|---|---|---|")
    by_type = defaultdict(list)
    for record in records:
        if record["without"] is not None:
            by_type[record["trained_on"], record["without"]].append(record)
    for (name, kind), of_type in by_type.items():
        cells = [
            mean_of(of_type, name, images, value)
            for images, value in (
                ("own", "marked"),
                ("left out", "marked"),
                ("left out", "auc"),
            )
        ]
        print(f"| {name} | {kind} | {' | '.join(cells)} |")
    for name in BLOOD:
        means = [
            np.mean([record["asked"]["left out"]["marked"] for record in of_type])
            for (of, _), of_type in by_type.items()
            if of == name
        ]
        if means:
            print(f"| {name} | mean of the types | - | {np.mean(means):.2f} | - |")


def mean_of(records: list[dict[str, Any]], name: str, kind: str, value: str) -> str:
    values = [
        record["asked"][kind][value]
        for record in records
        if record["trained_on"] == name and kind in record["asked"]
    ]
    values = [each for each in values if each is not None]
    return f"{np.mean(values):.2f}" if values else "-"


if __name__ == "__main__":
    main()
