"""Synthetic stained blood cells, for examples and tests that need no download."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from skwbc._utils.random import draw_seed
from skwbc._utils.sklearn_compat import Interval, validated
from skwbc.datasets import _cell_drawing as draw
from skwbc.datasets._cell_drawing import CellType
from skwbc.datasets._decoding import check_sides
from skwbc.datasets._smear import EOSIN, NUCLEAR

_RANDOM_STATE = ["random_state", np.random.Generator]

# The ranges overlap on purpose, as real classes do in size, stain and granules.
_CELL_TYPES = {
    "neutrophil": CellType(
        diameter=(11.5, 15.5),
        nucleus=partial(
            draw.lobed_nucleus, counts=[2, 3, 4, 5], chances=[0.12, 0.36, 0.36, 0.16],
            size=0.4, spread=(0.42, 0.58), bridge=(0.08, 0.3),
        ),
        chromatin=(0.8, 1.3), lace=(0.08, 0.2), azure=(0.03, 0.2), eosin=(0.2, 0.5),
        granules=(1.0, 2.5), granule_radius=(0.1, 0.18),
        granule_stains={EOSIN: 0.2, NUCLEAR: 0.05}, over_nucleus=0.1,
    ),
    "eosinophil": CellType(
        diameter=(11.5, 16.0),
        nucleus=partial(
            draw.lobed_nucleus, counts=[1, 2, 3], chances=[0.06, 0.76, 0.18],
            size=0.4, spread=(0.42, 0.55), bridge=(0.1, 0.45),
        ),
        chromatin=(0.7, 1.15), lace=(0.08, 0.2), azure=(0.03, 0.2), eosin=(0.3, 0.6),
        granules=(1.2, 3.0), granule_radius=(0.25, 0.42),
        granule_stains={EOSIN: 0.75}, over_nucleus=0.2,
    ),
    "monocyte": CellType(
        diameter=(13.0, 18.5), nucleus=draw.bent_nucleus,
        chromatin=(0.6, 1.05), lace=(0.15, 0.32), azure=(0.25, 0.6), eosin=(0.05, 0.35),
        outline=0.08, vacuoles=6, granules=(0, 0.6), granule_radius=(0.1, 0.18),
        granule_stains={EOSIN: 0.2, NUCLEAR: 0.1},
    ),
    "lymphocyte": CellType(
        diameter=(8.0, 12.5), nucleus=draw.round_nucleus,
        chromatin=(0.85, 1.3), lace=(0.08, 0.2), azure=(0.4, 0.9), eosin=(0.0, 0.12),
        outline=0.06,
    ),
    "basophil": CellType(
        diameter=(10.0, 14.5),
        nucleus=partial(
            draw.lobed_nucleus, counts=[2, 3], chances=[0.6, 0.4],
            size=0.46, spread=(0.35, 0.5), bridge=(0.4, 0.7),
        ),
        chromatin=(0.4, 0.75), lace=(0.08, 0.2), azure=(0.1, 0.35), eosin=(0.1, 0.35),
        outline=0.06, granules=(0.7, 1.8), granule_radius=(0.25, 0.5),
        granule_stains={NUCLEAR: 0.85}, over_nucleus=0.8,
    ),
}  # fmt: skip


@validated(
    n_per_class=[Interval(Integral, 1, None, closed="left"), Mapping],
    classes=["array-like"],
    image_size=["array-like"],
    random_state=_RANDOM_STATE,
)
def make_blood_cells(
    n_per_class: int | Mapping[str, int] = 30,
    *,
    classes: Sequence[str] = ("neutrophil", "eosinophil", "monocyte"),
    image_size: tuple[int, int] = (100, 100),
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw synthetic images of stained white blood cells.

    Each image shows one roughly centred white cell on a smear with a
    Wright-Giemsa-like stain, among red cells and platelets. Stain, white balance,
    illumination, focus and zoom vary between images. Like real classes, these differ in
    the number of nuclear lobes, the colour of the cytoplasm, granules and size, and
    overlap, so a classifier trained on a few dozen images is good but not perfect. The
    images are drawn without photographs: use them for examples, tests and benchmarks,
    not for medical conclusions.

    Parameters
    ----------
    n_per_class : int or mapping of str to int, default=30
        Number of images per class, at least 1; or a mapping from each of `classes` to
        its number, for an imbalanced set.
    classes : sequence of str, default=("neutrophil", "eosinophil", "monocyte")
        The classes to draw, from "neutrophil", "eosinophil", "monocyte",
        "lymphocyte" and "basophil".
    image_size : (int, int), default=(100, 100)
        Height and width of the images in pixels, each at least 16.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the images and their order. The same int gives the same images; a
        RandomState or a Generator is advanced; None takes fresh entropy. NumPy's
        global random state is neither used nor changed. Image number i of a class
        depends only on the seed, the class and i: a larger `n_per_class` adds images
        and keeps the others.

    Returns
    -------
    X : ndarray of shape (n_images, height, width, 3), dtype uint8
        RGB images, values 0 to 255, with the classes in shuffled order.
    y : ndarray of shape (n_images,), dtype str
        Name of the class of each image.

    Raises
    ------
    ValueError
        If a class is unknown or repeated, a number is of the wrong type or out of
        range, or the keys of a mapping `n_per_class` differ from `classes`.

    Examples
    --------
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(2, image_size=(48, 48), random_state=0)
    >>> X.shape, X.dtype
    ((6, 48, 48, 3), dtype('uint8'))
    >>> sorted(y.tolist())[:3]
    ['eosinophil', 'eosinophil', 'monocyte']
    """
    names = _check_classes(classes)
    counts = _check_counts(n_per_class, names)
    height, width = check_sides(image_size, "image_size", ("height", "width"), 16)

    seed = draw_seed(random_state)
    labels = np.repeat(names, [counts[name] for name in names])
    target = _generator(seed).permutation(labels)
    images = np.empty((len(target), height, width, 3), np.uint8)
    for name in names:
        for i, place in enumerate(np.flatnonzero(target == name)):
            rng = _generator(seed, list(_CELL_TYPES).index(name), i)
            images[place] = draw.render_cell(_CELL_TYPES[name], height, width, rng)

    return images, target


@validated(
    n_fields=[Interval(Integral, 1, None, closed="left")],
    n_cells=[Interval(Integral, 0, None, closed="left")],
    classes=["array-like"],
    field_size=["array-like"],
    pixels_per_micrometre=[Interval(Real, 1, 100, closed="both")],
    touching=[Interval(Real, 0, 1, closed="both")],
    random_state=_RANDOM_STATE,
)
def make_blood_smear(
    n_fields: int = 1,
    *,
    n_cells: int = 6,
    classes: Sequence[str] = ("neutrophil", "eosinophil", "monocyte"),
    field_size: tuple[int, int] = (480, 640),
    pixels_per_micrometre: float = 4.0,
    touching: float = 0.2,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Draw synthetic fields of a stained blood smear, with known boxes.

    Each field shows white cells of random classes among many red cells and platelets,
    drawn like the single cells of :func:`make_blood_cells`. Stain, light and focus vary
    between fields. The fields are for examples, tests and benchmarks of
    :func:`skwbc.fields.find_cells`.

    Parameters
    ----------
    n_fields : int, default=1
        Number of fields.
    n_cells : int, default=6
        Number of white cells per field. A cell for which there is no place is left out.
    classes : sequence of str, default=("neutrophil", "eosinophil", "monocyte")
        The classes to draw from, as in :func:`make_blood_cells`.
    field_size : (int, int), default=(480, 640)
        Height and width of the fields in pixels, each at least 64.
    pixels_per_micrometre : float, default=4.0
        Magnification. A red cell measures 7 micrometres, a white cell 8 to 18.
    touching : float, default=0.2
        Chance that a white cell touches the one before it.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the fields, as in :func:`make_blood_cells`. A larger `n_fields` adds
        fields and keeps the others.

    Returns
    -------
    fields : ndarray of shape (n_fields, height, width, 3), dtype uint8
        RGB images, values 0 to 255.
    boxes : list of ndarray of shape (n_cells, 4), dtype int
        (xmin, ymin, xmax, ymax) of the white cells of each field, in pixels.
    labels : list of ndarray of shape (n_cells,), dtype str
        Their classes.

    Raises
    ------
    ValueError
        If a class is unknown or repeated, or a number is out of range.

    Examples
    --------
    >>> from skwbc.datasets import make_blood_smear
    >>> fields, boxes, labels = make_blood_smear(2, n_cells=5, random_state=0)
    >>> fields.shape, boxes[0].shape
    ((2, 480, 640, 3), (5, 4))
    """
    names = _check_classes(classes)
    height, width = check_sides(field_size, "field_size", ("height", "width"), 64)
    seed = draw_seed(random_state)
    fields = np.empty((n_fields, height, width, 3), np.uint8)
    boxes, labels = [], []
    how = touching, height, width, pixels_per_micrometre
    for i in range(n_fields):
        rng = _generator(seed, len(_CELL_TYPES), i)
        drawn = rng.choice(names, n_cells)
        cells = [_CELL_TYPES[name] for name in drawn]
        fields[i], places = draw.render_field(cells, *how, rng)
        boxes.append(np.reshape([*places.values()], (-1, 4)).astype(int))
        labels.append(drawn[[*places]])
    return fields, boxes, labels


def _generator(seed, *key):
    """Return an independent generator for each key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _check_classes(classes: Sequence[str]) -> list[str]:
    # NumPy's strings print differently in messages.
    names = [str(name) for name in classes]
    allowed = ", ".join(map(repr, _CELL_TYPES))
    for name in names:
        if name not in _CELL_TYPES:
            close = get_close_matches(name.lower(), _CELL_TYPES, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"Unknown class {name!r}: allowed are {allowed}.{hint}")
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"classes={names}: expected at least one class and none twice. A mapping "
            "n_per_class sets the number of images of each."
        )
    return names


def _check_counts(n_per_class: Any, names: list[str]) -> dict[str, int]:
    if not isinstance(n_per_class, Mapping):
        n_per_class = dict.fromkeys(names, n_per_class)
    if set(n_per_class) != set(names):
        raise ValueError(
            f"The keys of n_per_class, {list(n_per_class)}, differ from the classes, "
            f"{names}. Give one number for each class."
        )
    for name, count in n_per_class.items():
        if not isinstance(count, Integral) or count is True or count < 1:
            raise ValueError(
                f"n_per_class is {count!r} for {name!r}: expected a whole number of at "
                "least 1."
            )
    return {name: int(n_per_class[name]) for name in names}
