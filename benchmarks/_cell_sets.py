"""Sets of cells for the benchmarks, each split into training cells and the rest.

The rest has no influence on training or on any choice: the finished ensemble predicts
it once.
"""

import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from skwbc.datasets import ImageFiles, load_image_folder, make_blood_cells
from skwbc.datasets._folder import class_names
from skwbc.datasets._image_files import image_files
from skwbc.inspection import find_near_duplicates

# Training cells per class.
BCCD_THREE = {"Neutrophil": 30, "Eosinophil": 30, "Monocyte": 16}
BCCD_FOUR = BCCD_THREE | {"Lymphocyte": 20}
MOST, FEWEST = 30, 5  # training cells per class of any other folder
# For a given number of training cells per class: the most images of a class that are
# read, the fewest that it needs, and the fewest that are kept for the test.
MOST_READ, FEWEST_READ, FEWEST_REST = 300, 8, 4


class Split(NamedTuple):
    """Images, class numbers and class names of a training and a test set.

    Attributes
    ----------
    X, y : ndarray of shape (n, height, width, 3), ndarray of shape (n,)
        Training set.
    X_rest, y_rest : array-like, ndarray
        Test set. The images are read on demand if the folder was loaded lazily.
    names : list of str
        Names of the classes, sorted.
    """

    X: np.ndarray
    y: np.ndarray
    X_rest: Any
    y_rest: np.ndarray
    names: list[str]


def bccd(folder: Path, counts: Mapping[str, int], seed: int, side: int = 100) -> Split:
    """Draw `counts` training cells per class; the rest is the test set.

    Of two photographs of one cell only one is used; otherwise the cell could be in both
    sets.
    """
    return split_cells(_without_twins(folder, tuple(counts), side), counts, seed)


def synthetic(seed: int, side: int = 100) -> Split:
    """Draw 30 training and 100 test cells of each of three synthetic classes."""
    (X, y), (X_rest, y_rest) = (
        make_blood_cells(count, image_size=(side, side), random_state=start + seed)
        for count, start in ((30, 0), (100, 10_000))
    )
    names = sorted(set(y.tolist()))
    codes, codes_rest = (np.searchsorted(names, labels) for labels in (y, y_rest))
    return Split(X, codes, X_rest, codes_rest, names)


def any_folder(folder: Path, side: int, most_rest: int | None, seed: int) -> Split:
    """Split any folder of class folders.

    Up to two thirds of each class, but at most MOST images, are for training. Classes
    with fewer than FEWEST training images are left out.
    """
    cells = _load(folder, None, side)
    names, sizes = np.unique(cells.target, return_counts=True)
    counts = {
        str(name): min(MOST, 2 * int(size) // 3)
        for name, size in zip(names, sizes, strict=True)
    }
    enough = {name: count for name, count in counts.items() if count >= FEWEST}
    _check(folder, enough)
    return split_cells(cells, enough, seed, most_rest)


def few_per_class(
    folder: Path, per_class: int, most_rest: int | None, seed: int, side: int = 100
) -> Split:
    """Draw `per_class` training cells of each class; the rest is the test set.

    Of a class with fewer than ``per_class + FEWEST_REST`` images, all but FEWEST_REST
    are for training. A draw of more images contains that of fewer. Of two photographs
    of one cell of BCCD only one is used. Chula has up to ten photographs of a cell: if
    one of them is for training, the others are not in the test set.
    """
    cells = _sample(folder, side)
    names, sizes = np.unique(cells.target, return_counts=True)
    counts = {
        str(name): min(per_class, int(size) - FEWEST_REST)
        for name, size in zip(names, sizes, strict=True)
        if size >= FEWEST_READ
    }
    _check(folder, counts)
    return split_cells(cells, counts, seed, most_rest)


def across(
    folder: Path, other: Path, per_class: int, seed: int, side: int = 100
) -> Split:
    """Draw training cells of one laboratory; the test set is that of another.

    Classes are matched by their names in lower case. Rare ones are left out.
    """
    cells, asked = _sample(folder, side), _sample(other, side)
    target, target_asked = map(np.char.lower, (cells.target, asked.target))
    enough = []
    for labels, fewest in ((target, per_class // 2), (target_asked, FEWEST_READ)):
        found, counts = np.unique(labels, return_counts=True)
        enough.append(found[counts >= fewest])
    names = np.intersect1d(*enough).tolist()
    _check(other, names)
    rng = np.random.default_rng(seed)
    train = np.concatenate(
        [rng.permutation(np.flatnonzero(target == name))[:per_class] for name in names]
    )
    rest = np.flatnonzero(np.isin(target_asked, names))
    y, y_rest = (
        np.searchsorted(names, each) for each in (target[train], target_asked[rest])
    )
    X, X_rest = np.asarray(cells.images[train]), asked.images[rest]
    return Split(X, y, X_rest, y_rest, names)


def split_cells(
    cells: Bunch, counts: Mapping[str, int], seed: int, most_rest: int | None = None
) -> Split:
    """Draw `counts` training and at most `most_rest` test cells of each class."""
    names = sorted(counts)
    train: list[int] = []
    rest: list[int] = []
    number = cells.get("number", np.arange(len(cells.target)))
    for name, count in counts.items():
        rows = np.flatnonzero(cells.target == name)
        drawn, others = train_test_split(rows, train_size=count, random_state=seed)
        train.extend(drawn)
        others = others[~np.isin(number[others], number[drawn])]
        rest.extend(others[:most_rest])
    rest.sort()
    y, y_rest = (np.searchsorted(names, cells.target[rows]) for rows in (train, rest))
    return Split(np.asarray(cells.images[train]), y, cells.images[rest], y_rest, names)


@cache
def _without_twins(folder: Path, classes: tuple[str, ...], side: int) -> Bunch:
    """Read the images of some classes, without the second of each duplicate pair."""
    return _first_of_twins(_load(folder, classes, side))


def _first_of_twins(cells: Bunch) -> Bunch:
    twins = [pair["second"] for pair in find_near_duplicates(cells.images)]
    kept = np.setdiff1d(np.arange(len(cells.target)), twins)
    return Bunch(images=cells.images[kept], target=cells.target[kept])


@cache
def _sample(folder: Path, side: int) -> Bunch:
    """Read at most MOST_READ images of each class, always the same."""
    files: list[Path] = []
    target: list[str] = []
    for name in class_names(folder):
        found = image_files(folder / name)
        rows = np.random.default_rng(0).permutation(len(found))[:MOST_READ]
        files += [found[row] for row in sorted(rows)]
        target += [name] * len(rows)
    images = np.asarray(ImageFiles(files, (side, side)))
    cells = Bunch(images=images, target=np.array(target))
    if folder.name == "chula":
        cells.number = numbers_of_cells(images)
    return _first_of_twins(cells) if folder.name == "bccd" else cells


def numbers_of_cells(images: np.ndarray) -> np.ndarray:
    """Return the number of the cell in each image, equal for photographs of one."""
    pairs = find_near_duplicates(images)
    ends = [[pair[name] for pair in pairs] for name in ("first", "second")]
    links = coo_array((np.ones(len(pairs)), ends), shape=(len(images),) * 2)
    return connected_components(links, directed=False)[1]


@cache
def _load(folder: Path, classes: tuple[str, ...] | None, side: int) -> Bunch:
    """Read some classes; by default all that have enough readable images."""
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
