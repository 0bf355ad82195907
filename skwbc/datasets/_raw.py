"""The article's files: images as bytes without a header, labels as digits."""

import os
import re
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from skwbc._utils.bunch import ShortBunch
from skwbc._utils.sklearn_compat import StrOptions, validated
from skwbc.datasets._decoding import read_raw


@validated(
    path=[str, os.PathLike],
    labels=[str, os.PathLike, None],
    image_shape=[tuple, list],
    layout=[StrOptions({"planar", "interleaved"})],
    target_names=["array-like", Mapping, None],
    return_X_y=["boolean"],
)
def load_raw_images(
    path: str | os.PathLike,
    labels: str | os.PathLike | None = None,
    *,
    image_shape: tuple[int, int, int] = (100, 100, 3),
    layout: str = "planar",
    target_names: Sequence[str] | Mapping[int, str] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Read images that are stored one after the other in a file without a header.

    Parameters
    ----------
    path : str or path-like
        File of images, with one byte per value.
    labels : str or path-like, default=None
        Text file with one digit per image, in the order of the images. White space
        and commas are ignored.
    image_shape : tuple of int, default=(100, 100, 3)
        (height, width, channels) of each image.
    layout : {"planar", "interleaved"}, default="planar"
        Whether images are stored channel by channel, or pixel by pixel.
    target_names : sequence of str or mapping of int to str, default=None
        Names of the classes: a sequence for the digits from 0, or a mapping from digit
        to name. By default the classes are the digits.
    return_X_y : bool, default=False
        Return only ``(images, target)``. Requires `labels`.

    Returns
    -------
    data : Bunch
        With the attributes

        images : ndarray of shape (n_samples, height, width, channels), uint8
            The images, in the same layout for all files.
        target : ndarray of shape (n_samples,), int or str, or None
            Digits, or names of classes with `target_names`. None without `labels`.
        target_names : ndarray of str or None
            The labels that occur, as strings, sorted.
        filenames : list of str
            Path and position of each image, such as ``"blood.raw[3]"``; only the path
            if the file holds a single image.
        DESCR : str
            Source and number of the images.

    (images, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ValueError
        If the file does not hold a whole number of images, the numbers of labels and
        images differ, a label is not a digit, or a digit has no name. The message names
        the file and the numbers.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skwbc.datasets import load_raw_images
    >>> with tempfile.NamedTemporaryFile(suffix=".raw") as file:
    ...     np.zeros(2 * 3 * 100 * 100, np.uint8).tofile(file.name)
    ...     load_raw_images(file.name).images.shape
    (2, 100, 100, 3)
    """
    if labels is None and (return_X_y or target_names is not None):
        parameter = "return_X_y=True" if return_X_y else "target_names"
        raise ValueError(f"{parameter} needs a file of labels; got labels=None.")
    names = None if target_names is None else _check_names(target_names)
    path = Path(path)
    images, filenames = read_raw(path, image_shape, layout)
    target = None if labels is None else _read_labels(Path(labels), len(images), path)
    if target is not None and names is not None:
        digits = target.tolist()
        missing = [digit for digit in digits if digit not in names]
        if missing:
            listing = ", ".join(f"{digit} is {name}" for digit, name in names.items())
            raise ValueError(
                f"{labels} has the label {max(missing)}, but there are {len(names)} "
                f"names: {listing}. Give a name for each digit."
            )
        target = np.array([names[digit] for digit in digits])
    if return_X_y:
        return images, target
    return ShortBunch(
        images=images,
        target=target,
        target_names=None if target is None else np.unique(target).astype(str),
        filenames=filenames,
        DESCR=f"Raw images from {path}\n{len(images)} images of shape "
        f"{images.shape[1:]} (height, width, channels), {layout} on disk, uint8.",
    )


def _check_names(target_names: Any) -> dict[int, str]:
    """Return a dict from digits to names."""
    # A pandas Series has keys, too.
    has_keys = hasattr(target_names, "keys")
    names = dict(target_names if has_keys else enumerate(target_names))
    words = [name.strip() if isinstance(name, str) else "" for name in names.values()]
    are_digits = all(isinstance(digit, Integral) for digit in names)
    are_names = all(words) and len(set(words)) == len(words)
    # Sets have no order.
    if isinstance(target_names, set | frozenset) or not (are_digits and are_names):
        raise ValueError(
            f"target_names={target_names!r}: expected a different name (str) for each "
            "digit. Give a list of names for the digits from 0, or a dict such as "
            "{0: 'neutrophil', 1: 'eosinophil'}."
        )
    return {int(digit): word for digit, word in zip(names, words, strict=True)}


def _read_labels(path: Path, n_images: int, images_path: Path) -> np.ndarray:
    text = path.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")
    if wrong := re.search(r"[^0-9,\s]", text):
        number = text.count("\n", 0, wrong.start()) + 1
        raise ValueError(
            f"{path}, line {number}: {wrong[0]!r} is not a label. Labels are digits "
            "from 0 to 9, one per image."
        )
    labels = [*map(int, re.findall("[0-9]", text))]
    if len(labels) != n_images:
        raise ValueError(
            f"{path} has {len(labels)} labels, but {images_path} has {n_images} "
            "images. Expected one label per image."
        )
    return np.array(labels)
