"""Fields in files and arrays: their checks, and one at a time in memory.

scikit-learn is not imported here, because a model in ONNX predicts without it.
"""

import os
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from skwbc._utils.files import MAX_PIXELS, listing
from skwbc.datasets._decoding import Reading, decode
from skwbc.datasets._gather import files_in

_SMALLEST_SIDE = 32
_WHOLE_SLIDES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vsi", ".qptiff")
_EXPORT = "Export fields of a whole-slide image with the viewer of the scanner."


def check_number(name: str, value: Any, low: float, high: float = np.inf) -> None:
    """Check that a parameter is a number in a range."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise ValueError(
            f"{name}={value!r}: expected a number from {low:g}"
            + (f" to {high:g}." if high < np.inf else " up.")
        )


class Field(NamedTuple):
    """The name of a field, and its file or its pixels."""

    name: str
    source: Any


def read_field(image: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return a field as RGB of 8 bits, from a file or an array.

    Raises
    ------
    ValueError
        If it is not an RGB image of 8 bits, has no colours or too many pixels, or the
        file is damaged.
    """
    name, how = "The field", Reading((0, 0), max_pixels=max_pixels)
    if isinstance(image, str | os.PathLike):
        name = os.fspath(image)
        try:
            image = decode(image, how).image
        except ValueError as error:
            is_slide = name.lower().endswith(_WHOLE_SLIDES)
            if is_slide or "max_pixels" in str(error):
                raise ValueError(f"{error} {_EXPORT}") from None
            raise
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"{name} is an array of shape {image.shape} and type {image.dtype}; "
            "expected one RGB image of shape (height, width, 3) and type uint8. Divide "
            "16-bit values by 257; multiply values between 0 and 1 by 255."
        )
    height, width = image.shape[:2]
    if height * width > max_pixels:
        raise ValueError(f"{name} {how.too_large(width, height)} {_EXPORT}")
    if min(height, width) < _SMALLEST_SIDE:
        raise ValueError(
            f"{name} has {width} x {height} pixels; expected a field with sides of at "
            f"least {_SMALLEST_SIDE} pixels."
        )
    some = image[:: max(1, height // 200), :: max(1, width // 200)].astype(np.int16)
    # JPEG rounds the colours of a grey image.
    if np.abs(np.diff(some, axis=2)).mean() < 1:
        raise ValueError(
            f"{name} is grey. Cells are found by the colour of the stain; photograph "
            "the field in colour."
        )
    return image


def list_fields(fields: Any, errors: list[str]) -> list[Field]:
    """List fields without reading them.

    Parameters
    ----------
    fields : path, ndarray, or a sequence of these
        Image files and folders of them; one field, or several.
    errors : list of str
        Gets a line for each path that has no image.

    Returns
    -------
    list of Field
    """
    if isinstance(fields, str | os.PathLike) or getattr(fields, "ndim", 0) == 3:
        fields = [fields]
    sources = []
    for number, each in enumerate(fields):
        if not isinstance(each, str | os.PathLike):
            sources.append(Field(f"field {number}", each))
            continue
        sources += [Field(str(file), file) for file in files_in([each], errors)]
    return sources


def each_field(
    fields: Sequence[Field], errors: list[str], max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Field, np.ndarray]]:
    """Yield fields with their pixels, one at a time; list those that cannot be read."""
    for field in fields:
        with listing(errors):
            yield field, read_field(field.source, max_pixels=max_pixels)
