"""Read the images of a data set, and say what is in it and what is odd about it."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from skwbc._utils.bunch import ShortBunch
from skwbc._utils.files import listing, one_spelling
from skwbc._utils.names import shown
from skwbc._utils.sklearn_compat import Interval, StrOptions
from skwbc.datasets._decoding import Reading, decode, warn_of_dim
from skwbc.datasets._image_files import ImageFiles, check_alike

# Constraints of the parameters that loaders of folders and tables have in common.
COMMON: dict[str, list[Any]] = {
    "image_size": [tuple, list],
    "classes": ["array-like", None],
    "on_error": [StrOptions({"raise", "warn"})],
    "lazy": ["boolean"],
    "max_pixels": [Interval(Integral, 1, None, closed="left")],
    "return_X_y": ["boolean"],
}

# Names of folders that are rarely classes.
_NO_CLASS = re.compile(
    r"(data ?sets?|data|train(ing)?|test(ing)?|val(id(ation)?)?|images?|imgs?|masks?"
    r"|labels?|annotations?|crops?|batch|fold|slides?|patients?)[ _-]*\d*",
    re.IGNORECASE,
)


def load_files(
    files: Sequence[tuple[Path, str]],
    how: Reading,
    source: str,
    on_error: str,
    lazy: bool,
    return_X_y: bool,
    columns: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Read images from files with their labels, as in ``load_image_folder``.

    `columns` are further values of each image, which get into the Bunch as arrays.
    """
    # With `lazy`, one image at a time is read into the same place.
    n_places = 1 if lazy else len(files)
    pixels: Any = None
    kept: list[int] = []
    failures: list[str] = []
    read: list[tuple] = []
    for number, (file, _) in enumerate(files):
        with listing(failures):
            image, *about = decode(file, how)
            if pixels is None:
                pixels = np.empty((n_places, *image.shape), image.dtype)
            first = pixels[0]
            check_alike(image, first.shape[2], first.dtype, file, "the first image")
            pixels[0 if lazy else len(kept)] = image
            kept.append(number)
            read.append((str(file), *about))
    if failures:
        message = f"{len(failures)} of {len(files)} images in {source} "
        reasons = "\n  ".join(["", *map(shown, failures)])
        if on_error == "raise":
            raise ValueError(f"{message}could not be read:{reasons}")
        if not kept:
            raise ValueError(f"{message}could not be read; none is left:{reasons}")
        warnings.warn(f"{message}were left out:{reasons}", stacklevel=3)
    if dim := [name for name, is_dim, _, _ in read if is_dim]:
        warn_of_dim(dim)
    if masks := [name for name, _, is_mask, _ in read if is_mask]:
        warnings.warn(
            f"{len(masks)} of {len(kept)} images in {source} look like masks, with two "
            f"or three values of grey: {', '.join(masks[:3])}"
            f"{', ...' * (len(masks) > 3)}. Move masks to another folder.",
            stacklevel=3,
        )
    filenames = [name for name, *_ in read]
    images: Any = pixels[: len(kept)]
    if lazy:
        images = ImageFiles(filenames, **how._asdict())
    target = np.array([files[k][1] for k in kept])
    if return_X_y:
        return images, target
    classes, counts = np.unique(target, return_counts=True)
    pairs = zip(classes, counts, strict=True)
    by_class = ", ".join(f"{shown(n)}: {c}" for n, c in pairs)
    kind = "uint8 RGB" if how.channels is None else f"{images.dtype}"
    suffixes = Counter(os.path.splitext(name)[1][1:].upper() for name in filenames)
    by_suffix = ", ".join(f"{n} {suffix}" for suffix, n in suffixes.most_common())
    sides = sorted({each for *_, each in read}, key=np.prod)
    ends = " to ".join(f"{w} x {h}" for h, w in dict.fromkeys((sides[0], sides[-1])))
    descr = (
        f"Images from {shown(source)}\n{len(kept)} images, resized to {how.image_size} "
        f"(height, width), {kind}.\n{by_class}\nFiles: {by_suffix}, of {ends} pixels."
    )
    further = {name: values[kept] for name, values in (columns or {}).items()}
    own = {"images": images, "target": target, "target_names": classes}
    return ShortBunch(**further | own | {"filenames": filenames, "DESCR": descr})


def choose(
    classes: Sequence[str] | None, there: Collection[str], source: Any, kind: str
) -> list[str]:
    """Return the names of the classes to use, sorted; all by default."""
    names = sorted(there if classes is None else map(one_spelling, map(str, classes)))
    if absent := [name for name in names if name not in there]:
        raise ValueError(
            f"{source} has no {kind} {absent}. Choose classes from {sorted(there)}."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"classes={names}: expected at least one name and none twice. Choose from "
            f"{sorted(there)}."
        )
    return names


def warn_of_odd_classes(names: Sequence[str], path: Path) -> None:
    """Warn if most class folders have the names of parts of a repository."""
    odd = [name for name in names if _NO_CLASS.fullmatch(name)]
    if 2 * len(odd) > len(names):
        warnings.warn(
            f"The folders {', '.join(odd[:4])} in {path} do not look like classes. "
            "Give the folder whose sub-folders are the classes, or a table of labels "
            "(load_image_table; skwbc train --labels).",
            stacklevel=3,
        )
