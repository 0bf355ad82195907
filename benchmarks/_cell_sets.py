"""Sets of cells for the benchmarks, each parted into cells to train on and the rest.

The rest has no part in training or in choosing anything: it is looked at once, by the
finished ensemble.
"""

import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from skwbc.datasets import load_image_folder, make_blood_cells
from skwbc.datasets._folder import class_names
from skwbc.datasets._image_files import image_files
from skwbc.inspection import find_near_duplicates

# Cells to train on.
BCCD_THREE = {"Neutrophil": 30, "Eosinophil": 30, "Monocyte": 16}
BCCD_FOUR = BCCD_THREE | {"Lymphocyte": 20}
MOST, FEWEST = 30, 5  # of any class of another folder


class Split(NamedTuple):
    """Images and the numbers of their classes, and the names of those.

    Attributes
    ----------
    X, y : ndarray of shape (n, height, width, 3), ndarray of shape (n,)
        To train on.
    X_rest, y_rest : array-like, ndarray
        To test on. The images are read when they are asked for if the folder is.
    names : list of str
        Names of the classes, sorted.
    """

    X: np.ndarray
    y: np.ndarray
    X_rest: Any
    y_rest: np.ndarray
    names: list[str]


def bccd(folder: Path, counts: Mapping[str, int], seed: int, side: int = 100) -> Split:
    """Draw as many cells of each class as `counts` says; the rest is to test on.

    Of a cell that was photographed twice there is one image, or it could be in both.
    """
    return part(_without_twins(folder, tuple(counts), side), counts, seed)


def synthetic(seed: int, side: int = 100) -> Split:
    """Draw synthetic cells of three classes: 30 of each to train on, 100 to test on."""
    (X, y), (X_rest, y_rest) = (
        make_blood_cells(count, image_size=(side, side), random_state=start + seed)
        for count, start in ((30, 0), (100, 10_000))
    )
    names = sorted(set(y.tolist()))
    codes, codes_rest = (np.searchsorted(names, labels) for labels in (y, y_rest))
    return Split(X, codes, X_rest, codes_rest, names)


def any_folder(folder: Path, side: int, most_rest: int | None, seed: int) -> Split:
    """Part any folder of class folders.

    Of each class up to two thirds, and no more than MOST images, are to train on.
    Classes with too few for FEWEST are left out.
    """
    cells = _load(folder, None, side)
    names, sizes = np.unique(cells.target, return_counts=True)
    counts = {
        str(name): min(MOST, 2 * int(size) // 3)
        for name, size in zip(names, sizes, strict=True)
    }
    enough = {name: count for name, count in counts.items() if count >= FEWEST}
    _check(folder, enough)
    return part(cells, enough, seed, most_rest)


def part(
    cells: Bunch, counts: Mapping[str, int], seed: int, most_rest: int | None = None
) -> Split:
    """Draw `counts` cells of each class to train on, at most `most_rest` to test on."""
    names = sorted(counts)
    train: list[int] = []
    rest: list[int] = []
    for name, count in counts.items():
        rows = np.flatnonzero(cells.target == name)
        drawn, others = train_test_split(rows, train_size=count, random_state=seed)
        train.extend(drawn)
        rest.extend(others[:most_rest])
    rest.sort()
    y, y_rest = (np.searchsorted(names, cells.target[rows]) for rows in (train, rest))
    return Split(np.asarray(cells.images[train]), y, cells.images[rest], y_rest, names)


@cache
def _without_twins(folder: Path, classes: tuple[str, ...], side: int) -> Bunch:
    """Read the images of some classes, and leave out the second of each pair."""
    cells = _load(folder, classes, side)
    twins = [pair["second"] for pair in find_near_duplicates(cells.images)]
    kept = np.setdiff1d(np.arange(len(cells.target)), twins)
    return Bunch(images=cells.images[kept], target=cells.target[kept])


@cache
def _load(folder: Path, classes: tuple[str, ...] | None, side: int) -> Bunch:
    """Read the images of some classes; of any others only which can be read."""
    if classes is not None:
        return load_image_folder(folder, image_size=(side, side), classes=classes)
    sizes = {name: len(image_files(folder / name)) for name in class_names(folder)}
    enough = [name for name, size in sizes.items() if 2 * size // 3 >= FEWEST]
    few = [f"{name} ({size})" for name, size in sizes.items() if name not in enough]
    if few:
        note = f"{folder.name}: left out, too few images: {', '.join(few)}"
        print(note, file=sys.stderr, flush=True)
    _check(folder, enough)
    return load_image_folder(
        folder,
        image_size=(side, side),
        classes=enough,
        on_error="warn",
        lazy=True,
    )


def _check(folder: Path, classes: Collection[str]) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"{folder} has {len(classes)} classes of at least {-(-3 * FEWEST // 2)} "
            "images that can be read; 2 are needed."
        )
