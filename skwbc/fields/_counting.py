"""Count the cells of fields by class.

scikit-learn is not imported here, because a model in ONNX predicts without it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.names import counted
from skwbc.datasets._claims import size_of
from skwbc.fields._cropping import MARGIN, cut
from skwbc.fields._finding import MIN_SCORE, find_cells
from skwbc.fields._images import check_number, each_field, list_fields
from skwbc.fields._interval import adjusted_shares, wilson
from skwbc.inspection._predictions import describe_predictions, predict_once

SIDES = ("xmin", "ymin", "xmax", "ymax")
NOT_ADJUSTED = (
    "The model has no held-out predictions, so the count is not adjusted for its "
    "confusions. Train or export it again with this version of skwbc."
)
# Cells that a model predicts at a time.
_AT_A_TIME = 64
# The image of one cell is at most so many times as large as the cell in its middle, or
# so many times if it is small. Small images are taken for cells without a look.
_CROP, _SMALL_CROP, _MIDDLE, _SMALL = 1.8, 3.5, 0.15, 300


def find_in_each(
    fields: Any, errors: list[str], *, max_pixels: int = MAX_PIXELS, **settings: Any
) -> Iterator[tuple[str, np.ndarray, np.ndarray, list[dict[str, Any]]]]:
    """Find the cells of fields, one field at a time.

    Fields that cannot be read, and images of single cells, are listed as errors.

    Yields
    ------
    name : str
        Name of the field.
    image : ndarray of shape (height, width, 3), uint8
        The field.
    boxes : ndarray of shape (n_cells, 4), int
        Its cells.
    rows : list of dict
        The name of the field, the box and the score of each cell.
    """
    check_number("max_pixels", max_pixels, 1)
    for field, image in each_field(list_fields(fields, errors), errors, max_pixels):
        boxes, scores = find_cells(image, return_scores=True, **settings)
        if _is_crop(image, boxes):
            errors.append(
                f"{field.name} looks like the image of one cell, not like a field; "
                "classify it with skwbc predict."
            )
            continue
        rows = [
            {"field": field.name, **dict(zip(SIDES, box, strict=True)), "score": score}
            for box, score in zip(boxes.tolist(), scores.round(4).tolist(), strict=True)
        ]
        yield field.name, image, boxes, rows


def _is_crop(image: np.ndarray, boxes: np.ndarray) -> bool:
    if len(boxes) != 1:
        return False
    sides = np.array(image.shape[1::-1])
    shift = np.abs((boxes[0, :2] + boxes[0, 2:]) / 2 / sides - 0.5)
    longest = (boxes[0, 2:] - boxes[0, :2]).max()
    most = _CROP if sides.max() > _SMALL else _SMALL_CROP
    return sides.max() <= most * longest and bool((shift < _MIDDLE).all())


def looks_like_field(path: str) -> bool:
    """Return whether a file shows several cells, or one in a much larger image."""
    try:
        width, height = size_of(Path(path).read_bytes())
        if min(width, height) < _SMALL:
            return False
        boxes = find_cells(path)
    except (OSError, ValueError):
        return False
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return len(boxes) > 1 or any(max(width, height) > 2.5 * sides)


def count_cells(
    model: Any,
    fields: Any,
    *,
    margin: float = MARGIN,
    diameter: float | None = None,
    min_score: float = MIN_SCORE,
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Find the cells of fields, classify them, and count each class.

    Parameters
    ----------
    model : KFoldEnsembleClassifier or OnnxClassifier
        Fitted on RGB images of single cells of 8 bits.
    fields : path, ndarray, or a sequence of these
        Image files and folders with them, or RGB fields of shape (height, width, 3) and
        type uint8. Files are read one at a time.
    margin : float, default=0.25
        Surroundings of each cell, as in :func:`crop_cells`. Choose the margin of the
        images that the model was trained on.
    diameter, min_score
        As in :func:`find_cells`.
    max_pixels : int, default=100,000,000
        Height times width of the largest field that is read.

    Returns
    -------
    count : sklearn.utils.Bunch
        Dictionary-like, with

        classes : list of dict
            One row per class: "class" (its name), "cells" (how many cells were
            predicted as it), "percent" of all counted cells, "adjusted" (the estimated
            true per cent), and "low" and "high" (the ends of its 95 % interval).
        cells : list of dict
            One row per cell: "field", "xmin", "ymin", "xmax", "ymax", "score" (of
            :func:`find_cells`), "predicted", "probabilities", "agreement" (number of
            members that agree), "typicality" (the p-value, or None) and "counted"
            (False if the cell is unlike the training cells).
        n_fields, n_counted, n_unlike : int
            Numbers of fields, of counted cells, and of cells unlike the training cells.
        is_adjusted : bool
            Whether the percentages are adjusted for the confusions of the model.
        errors : list of str
            A line for each field that was left out.

    Raises
    ------
    ValueError
        If no cell was found, or the model does not take RGB images of 8 bits.

    See Also
    --------
    find_cells : Find the cells only.
    skwbc.KFoldEnsembleClassifier.typicality : How unlike cells are told.

    Notes
    -----
    Cells with a typicality below 0.05 are not counted, but listed. Percentages are
    adjusted by the confusion matrix of the held-out cells, inverted as W. J. Rogan and
    B. Gladen did it for two classes [1]_. The intervals are quantiles of 1,000
    inversions in which both the counted and the held-out cells are drawn by the
    Bayesian bootstrap [2]_: they cover how few cells were counted, how often the model
    confuses classes, and how uncertain that is. They assume that cells are confused as
    often as the held-out cells were, so they do not cover a new laboratory, nor cells
    that were not found. A model without held-out predictions gets intervals of Wilson,
    which cover only how few cells were counted.

    References
    ----------
    .. [1] W. J. Rogan, B. Gladen. "Estimating prevalence from the results of a
       screening test", American Journal of Epidemiology 107(1), 71-76, 1978.
    .. [2] D. B. Rubin. "The Bayesian bootstrap", Annals of Statistics 9(1), 130-134,
       1981.

    Examples
    --------
    >>> from skwbc import load_model
    >>> from skwbc.fields import count_cells
    >>> count = count_cells(load_model("m.joblib"), "fields")  # doctest: +SKIP
    >>> count.classes[0]["adjusted"], count.n_unlike  # doctest: +SKIP
    """
    from skwbc._utils.bunch import ShortBunch

    settings = {"diameter": diameter, "min_score": min_score, "max_pixels": max_pixels}
    return ShortBunch(**count(model, fields, margin=margin, **settings))


def count(
    model: Any, fields: Any, *, margin: float = MARGIN, **settings: Any
) -> dict[str, Any]:
    """Count cells, see `count_cells`."""
    check_number("margin", margin, 0, 10)
    size = _image_size(model)
    errors: list[str] = []
    rows: list[dict[str, Any]] = []
    waiting: list[np.ndarray] = []
    n_fields = 0

    def classify() -> None:
        images = np.concatenate(waiting)
        cells = rows[len(rows) - len(images) :]
        predictions = predict_once(model, images)
        names = [cell["field"] for cell in cells]
        described = describe_predictions(model, predictions, names)
        for cell, row, unlike in zip(cells, described, predictions.unlike, strict=True):
            for key in ("predicted", "probabilities", "agreement", "typicality"):
                cell[key] = row[key]
            cell["counted"] = not unlike
        waiting.clear()

    for _, image, boxes, own in find_in_each(fields, errors, **settings):
        n_fields += 1
        rows += own
        waiting.append(cut(image, boxes, margin, size))
        if sum(map(len, waiting)) >= _AT_A_TIME:
            classify()
    if not rows:
        raise ValueError(nothing_found(n_fields, errors))
    if any(map(len, waiting)):
        classify()
    n_counted = sum(row["counted"] for row in rows)
    confusion = getattr(model, "_confusion", None)
    return {
        "classes": _differential(model, rows, confusion),
        "cells": rows,
        "n_fields": n_fields,
        "n_counted": n_counted,
        "n_unlike": len(rows) - n_counted,
        "is_adjusted": confusion is not None,
        "errors": errors,
    }


def nothing_found(n_fields: int, errors: Sequence[str]) -> str:
    """Say that no cell was found, and what to do."""
    if not n_fields:
        return " ".join([*errors, "No field was read."])
    return (
        f"No cell was found in {counted(n_fields, 'field')}. Expected stained nuclei "
        "of 20 pixels or more; give the diameter of a white cell (diameter, "
        "--diameter), or take less certain cells (min_score, --min-score)."
    )


def _image_size(model: Any) -> tuple[int, int]:
    shape = getattr(model, "image_shape_", None)
    if shape is None:
        from skwbc.ensemble._parts import expected_image_shape

        shape = expected_image_shape(model)
    reading = getattr(model, "_reading", None) or {}
    appearance = getattr(model, "_appearance", None) or {}
    white = appearance.get("white", 255)
    if shape[2] != 3 or reading.get("channels") is not None or white != 255:
        raise ValueError(
            f"The model takes images of {shape[2]} channels in which white is "
            f"{white:g}; cells are cut out of fields as RGB images of 8 bits."
        )
    return shape[:2]


def _differential(
    model: Any, rows: Sequence[dict[str, Any]], confusion: Any
) -> list[dict[str, Any]]:
    labels = [str(label) for label in model.classes_]
    counted = [row["predicted"] for row in rows if row["counted"]]
    counts = np.array([counted.count(label) for label in labels])
    n = max(len(counted), 1)
    if not counted:
        shares, low, high = np.zeros(len(labels)), *np.full((2, len(labels)), np.nan)
    elif confusion is None:
        shares, low, high = counts / n, *wilson(counts)
    else:
        shares, low, high = adjusted_shares(counts, np.asarray(confusion))
    columns = {
        "cells": counts,
        "percent": 100 * counts / n,
        "adjusted": 100 * shares,
        "low": 100 * low,
        "high": 100 * high,
    }
    return [
        {"class": label, **{name: column[k].item() for name, column in columns.items()}}
        for k, label in enumerate(labels)
    ]
