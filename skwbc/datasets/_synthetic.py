"""Synthetic stained blood cells, for examples and tests that need no download."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from skwbc._utils.sklearn_compat import Interval, validate_params
from skwbc.datasets._cell_drawing import (
    EOSIN,
    NUCLEAR,
    CellType,
    bent_nucleus,
    lobed_nucleus,
    render_cell,
    round_nucleus,
)
from skwbc.datasets._checks import check_sides

_SMALLEST_SIDE = 16

# The ranges overlap on purpose: real classes do, in size, stain and granules.
_CELL_TYPES = {
    "neutrophil": CellType(
        diameter=(11.5, 15.5),
        nucleus=partial(
            lobed_nucleus, counts=[2, 3, 4, 5], chances=[0.12, 0.36, 0.36, 0.16],
            size=0.4, spread=(0.42, 0.58), bridge=(0.08, 0.3),
        ),
        chromatin=(0.8, 1.3), lace=(0.08, 0.2), azure=(0.03, 0.2), eosin=(0.2, 0.5),
        granules=(1.0, 2.5), granule_radius=(0.1, 0.18),
        granule_stains={EOSIN: 0.2, NUCLEAR: 0.05}, over_nucleus=0.1,
    ),
    "eosinophil": CellType(
        diameter=(11.5, 16.0),
        nucleus=partial(
            lobed_nucleus, counts=[1, 2, 3], chances=[0.06, 0.76, 0.18],
            size=0.4, spread=(0.42, 0.55), bridge=(0.1, 0.45),
        ),
        chromatin=(0.7, 1.15), lace=(0.08, 0.2), azure=(0.03, 0.2), eosin=(0.3, 0.6),
        granules=(1.2, 3.0), granule_radius=(0.25, 0.42),
        granule_stains={EOSIN: 0.75}, over_nucleus=0.2,
    ),
    "monocyte": CellType(
        diameter=(13.0, 18.5), nucleus=bent_nucleus,
        chromatin=(0.6, 1.05), lace=(0.15, 0.32), azure=(0.25, 0.6), eosin=(0.05, 0.35),
        outline=0.08, vacuoles=6, granules=(0, 0.6), granule_radius=(0.1, 0.18),
        granule_stains={EOSIN: 0.2, NUCLEAR: 0.1},
    ),
    "lymphocyte": CellType(
        diameter=(8.0, 12.5), nucleus=round_nucleus,
        chromatin=(0.85, 1.3), lace=(0.08, 0.2), azure=(0.4, 0.9), eosin=(0.0, 0.12),
        outline=0.06,
    ),
    "basophil": CellType(
        diameter=(10.0, 14.5),
        nucleus=partial(
            lobed_nucleus, counts=[2, 3], chances=[0.6, 0.4],
            size=0.46, spread=(0.35, 0.5), bridge=(0.4, 0.7),
        ),
        chromatin=(0.4, 0.75), lace=(0.08, 0.2), azure=(0.1, 0.35), eosin=(0.1, 0.35),
        outline=0.06, granules=(0.7, 1.8), granule_radius=(0.25, 0.5),
        granule_stains={NUCLEAR: 0.85}, over_nucleus=0.8,
    ),
}  # fmt: skip


@validate_params(
    {
        "n_per_class": [Interval(Integral, 1, None, closed="left"), Mapping],
        "classes": "no_validation",
        "image_size": ["array-like"],
        "random_state": [
            Interval(Integral, 0, None, closed="left"),
            np.random.RandomState,
            np.random.Generator,
            None,
        ],
    },
    prefer_skip_nested_validation=True,
)
def make_blood_cells(
    n_per_class: int | Mapping[str, int] = 30,
    *,
    classes: Sequence[str] = ("neutrophil", "eosinophil", "monocyte"),
    image_size: tuple[int, int] = (100, 100),
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of stained white blood cells.

    Every image shows one roughly centred white cell on a smear with a
    Wright-Giemsa-like stain, among red cells and platelets. Stain, white balance,
    illumination, focus and zoom differ from image to image. The classes differ as real
    ones do (number of nuclear lobes, colour of the cytoplasm, granules, size) and
    overlap as real ones do, so a classifier trained on a few dozen images is good but
    not perfect. No photograph was used: the images are for examples, tests and
    benchmarks, not for medical conclusions.

    Parameters
    ----------
    n_per_class : int or mapping of str to int, default=30
        Number of images of every class, at least 1; or a mapping with a number for
        each of `classes`, for an imbalanced set.
    classes : sequence of str, default=("neutrophil", "eosinophil", "monocyte")
        The classes to draw, out of "neutrophil", "eosinophil", "monocyte",
        "lymphocyte" and "basophil".
    image_size : (int, int), default=(100, 100)
        Height and width of the images in pixels, each at least 16.
    random_state : int, RandomState, Generator or None, default=None
        Determines the images and their order. The same int gives the same images;
        a RandomState or a Generator is advanced; None takes fresh entropy. NumPy's
        global random state is neither used nor changed. Image number i of a class
        depends on the seed, the class and i only: a larger `n_per_class` adds images
        and leaves the earlier ones of each class as they are.

    Returns
    -------
    X : ndarray of shape (n_images, height, width, 3), dtype uint8
        RGB images, values 0 to 255, with the classes in shuffled order.
    y : ndarray of shape (n_images,), dtype str
        Name of the class of each image.

    Raises
    ------
    TypeError
        If `classes` is a single string, or a class name, number of images or side
        of the images has the wrong type.
    ValueError
        If a class is unknown or repeated, a number is out of range, or the keys of
        a mapping `n_per_class` are not the `classes`.

    Examples
    --------
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(2, image_size=(48, 48), random_state=0)
    >>> X.shape, X.dtype
    ((6, 48, 48, 3), dtype('uint8'))
    >>> sorted(y.tolist())[:3]
    ['eosinophil', 'eosinophil', 'monocyte']
    """
    names = _checked_classes(classes)
    counts = _checked_counts(n_per_class, names)
    height, width = check_sides(
        image_size, "image_size", ("height", "width"), _SMALLEST_SIDE
    )

    seed = _entropy(random_state)
    labels = np.repeat(names, [counts[name] for name in names])
    target = _generator(seed).permutation(labels)
    images = np.empty((len(target), height, width, 3), np.uint8)
    for name in names:
        for i, place in enumerate(np.flatnonzero(target == name)):
            rng = _generator(seed, list(_CELL_TYPES).index(name), i)
            images[place] = render_cell(_CELL_TYPES[name], height, width, rng)

    return images, target


def _entropy(random_state):
    """One integer to seed everything with."""
    if random_state is None:
        return np.random.SeedSequence().entropy
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.uint64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return int(random_state)


def _generator(seed, *key):
    """Independent generator for every key, the same whatever else is drawn."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _checked_classes(classes):
    allowed = ", ".join(repr(name) for name in _CELL_TYPES)
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise TypeError(
            f"classes must be a sequence of class names, got {classes!r}; "
            f"for a single class pass a list, [{classes!r}]"
        )
    # NumPy's strings print differently in messages.
    names = [str(c) if isinstance(c, str) else c for c in classes]
    if not names:
        raise ValueError(f"classes is empty; name at least one of {allowed}")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"classes must hold names (str), got {name!r} of type "
                f"{type(name).__name__}; choose from {allowed}"
            )
        if name not in _CELL_TYPES:
            close = get_close_matches(name.lower(), _CELL_TYPES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"unknown class {name!r} in classes; allowed are {allowed}{hint}"
            )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"classes must be distinct, but {', '.join(map(repr, repeated))} "
            "is repeated; name every class once and set its number of images with "
            "a mapping n_per_class"
        )
    return names


def _checked_counts(n_per_class, names):
    if not isinstance(n_per_class, Mapping):
        n_per_class = dict.fromkeys(names, n_per_class)
    missing = [name for name in names if name not in n_per_class]
    extra = [name for name in n_per_class if name not in names]
    if missing or extra:
        raise ValueError(
            f"the keys of n_per_class must be the classes {names}; missing: "
            f"{missing}, not in classes: {extra}; give one number for each class"
        )
    return {
        name: _checked_integer(n_per_class[name], f"n_per_class for {name!r}", 1)
        for name in names
    }


def _checked_integer(value: Any, name: str, smallest: int) -> int:
    if not isinstance(value, Integral) or value is True:
        raise TypeError(
            f"{name} must be an int, got {value!r} of type {type(value).__name__}"
        )
    if value < smallest:
        raise ValueError(f"{name} must be at least {smallest}, got {value}")
    return int(value)
