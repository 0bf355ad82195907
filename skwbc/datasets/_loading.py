"""Read the images of a data set, and say what is in it and what is odd about it."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skwbc._utils.files import reason
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
    "channels": ["array-like", StrOptions({"all"}), None],
    "page": [Interval(Integral, 0, None, closed="left"), StrOptions({"max"}), None],
    "max_pixels": [Interval(Integral, 1, None, closed="left")],
    "return_X_y": ["boolean"],
}

_DESCR = """Images from {source}
{count} images, resized to {size} (height, width), {kind}.
{classes}
Files: {files}, of {sides} pixels."""
# Names of folders that are rarely classes.
_NO_CLASS = re.compile(
    r"(data ?sets?|data|train(ing)?|test(ing)?|val(id(ation)?)?|images?|imgs?|masks?"
    r"|labels?|annotations?|crops?|batch|fold|slides?|patients?)[ _-]*\d*",
    re.IGNORECASE,
)


def load_files(
    files: Sequence[Path],
    labels: Sequence[Any],
    how: Reading,
    source: str,
    *,
    on_error: str,
    lazy: bool,
    return_X_y: bool,
    columns: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Read labelled image files, as described in ``load_image_folder``.

    `columns` are further values of each image, which get into the Bunch as arrays.
    """
    # With `lazy`, one image at a time is read into the same place.
    n_places = 1 if lazy else len(files)
    pixels: Any = None
    if how.channels is None:
        pixels = np.empty((n_places, *how.size, 3), np.uint8)
    kept: list[int] = []
    failures: list[str] = []
    dim: list[str] = []
    masks: list[str] = []
    sides: list[tuple[int, int]] = []
    for number, file in enumerate(files):
        try:
            decoded = decode(file, how)
            if pixels is None:
                pixels = np.empty((n_places, *decoded.image.shape), decoded.image.dtype)
            check_alike(decoded.image, pixels[0], file)
        except (OSError, ValueError) as error:
            failures.append(shown(reason(error)))
            continue
        pixels[0 if lazy else len(kept)] = decoded.image
        kept.append(number)
        sides.append(decoded.sides)
        if decoded.is_dim:
            dim.append(str(file))
        if decoded.is_mask:
            masks.append(str(file))
    if failures:
        message = f"{len(failures)} of {len(files)} images in {source} "
        listing = "\n  ".join(failures)
        if on_error == "raise":
            raise ValueError(f"{message}could not be read:\n  {listing}")
        if not kept:
            raise ValueError(f"{message}could not be read; none is left:\n  {listing}")
        warnings.warn(f"{message}were left out:\n  {listing}", stacklevel=3)
    if dim:
        warn_of_dim(dim)
    if masks:
        warnings.warn(
            f"{len(masks)} of {len(kept)} images in {source} look like masks, with two "
            f"or three values of grey: {', '.join(masks[:3])}"
            f"{', ...' * (len(masks) > 3)}. Move masks to another folder.",
            stacklevel=3,
        )
    filenames = [str(files[k]) for k in kept]
    images: Any = pixels[: len(kept)]
    if lazy:
        images = ImageFiles(
            filenames,
            how.size,
            channels=how.channels,
            page=how.page,
            max_pixels=how.max_pixels,
        )
    target = np.array([labels[k] for k in kept])
    if return_X_y:
        return images, target
    classes, counts = np.unique(target, return_counts=True)
    pairs = zip(classes, counts, strict=True)
    by_class = ", ".join(f"{shown(n)}: {c}" for n, c in pairs)
    suffixes = Counter(os.path.splitext(name)[1][1:].upper() for name in filenames)
    by_size = sorted(set(sides), key=np.prod)
    descr = _DESCR.format(
        source=shown(source),
        count=len(kept),
        size=how.size,
        kind="uint8 RGB" if how.channels is None else f"{images.dtype}",
        classes=by_class,
        files=", ".join(f"{n} {suffix}" for suffix, n in suffixes.most_common()),
        sides=" to ".join(f"{w} x {h}" for h, w in {by_size[0]: 0, by_size[-1]: 0}),
    )
    further = {name: values[kept] for name, values in (columns or {}).items()}
    return Bunch(
        **further
        | {
            "images": images,
            "target": target,
            "target_names": classes,
            "filenames": filenames,
            "DESCR": descr,
        }
    )


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
