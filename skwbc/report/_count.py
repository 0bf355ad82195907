"""The report of a differential count."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from skwbc._utils.names import counted
from skwbc._utils.sklearn_compat import validated
from skwbc.fields._counting import NOT_ADJUSTED, SIDES
from skwbc.fields._cropping import MARGIN, cut
from skwbc.fields._drawing import draw_boxes, mark_of
from skwbc.fields._images import list_fields, read_field
from skwbc.report import _page as html
from skwbc.report._images import jpeg_uri

Cells = Sequence[Mapping[str, Any]]
# At most so many cells, and so many fields with boxes.
_CELLS, _FIELDS = 24, 12
_SIDE, _LONGEST = 128, 960
# Fewer cells give wide intervals.
_FEW = 100


@validated(**html.CONSTRAINTS, model=html.CONSTRAINTS["estimator"], count=[Mapping])
def write_count_report(
    path: str | os.PathLike,
    model: Any,
    count: Mapping[str, Any],
    fields: Any,
    *,
    margin: float = MARGIN,
    command: str | None = None,
    model_file: str | os.PathLike | None = None,
) -> None:
    """Write a report of the cells that were counted in fields.

    The report is one HTML file that contains its pictures and needs no network: the
    count with its intervals, the most doubtful cells, and fields with a box around each
    cell, marked with a letter and a colour for its class.

    Parameters
    ----------
    path : str or path-like
        The file to write. An existing file is replaced once the report is complete.
    model : classifier
        The model that classified the cells.
    count : Bunch
        From :func:`skwbc.fields.count_cells`.
    fields : path, ndarray, or a sequence of these
        The fields that were counted. Those that the report shows are read again.
    margin : float, default=0.25
        The margin that they were counted with.
    command : str, default=None
        The command line that counted the cells, which the report shows.
    model_file : str or path-like, default=None
        The file that the model was loaded from, which the report shows.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ImportError
        If Jinja2 or matplotlib is not installed.

    See Also
    --------
    skwbc.fields.count_cells : The count alone.

    Examples
    --------
    >>> from skwbc.fields import count_cells
    >>> from skwbc.report import write_count_report
    >>> count = count_cells(model, "fields")  # doctest: +SKIP
    >>> write_count_report("count.html", model, count, "fields")  # doctest: +SKIP
    """
    html.check_report(path, model)
    cells, labels = count["cells"], [row["class"] for row in count["classes"]]
    doubtful = sorted(cells, key=_certainty)[:_CELLS]
    cards, pictures = _images(cells, doubtful, labels, fields, margin)
    title = f"{len(cards)} of {counted(len(cells), 'cell')}"
    html.write_page(
        path,
        "count.html",
        model,
        command=command,
        model_file=model_file,
        count=count,
        findings=[*_findings(count)],
        table=_table(count, labels),
        doubtful=html.Cards(title, cards),
        pictures=pictures,
    )


def _certainty(cell: Mapping[str, Any]) -> tuple:
    # Cells that are unlike the training cells come first.
    p = cell["typicality"] if not cell["counted"] else 1.0
    return p, max(cell["probabilities"].values())


def _findings(count: Mapping[str, Any]) -> Iterator[html.Finding]:
    n, n_unlike, errors = count["n_counted"], count["n_unlike"], count["errors"]
    if n < _FEW:
        yield html.Finding("few_cells", {"n": n, "least": _FEW})
    # By definition, one of 20 cells like the training cells is marked.
    if n_unlike > 0.1 * (n + n_unlike):
        yield html.Finding("unlike_cells", {"n": n_unlike, "n_cells": n + n_unlike})
    if not count["is_adjusted"]:
        yield html.Finding("not_adjusted", {"text": NOT_ADJUSTED})
    if errors:
        yield html.Finding("left_out", {"errors": errors})


def _table(count: Mapping[str, Any], labels: Sequence[str]) -> html.Table:
    rows = [
        {
            "Class": row["class"],
            "Mark": mark_of(row["class"], labels),
            "Cells": row["cells"],
            "Per cent": f"{row['percent']:.1f}",
            "Adjusted": f"{row['adjusted']:.1f}",
            "95 % interval": f"{row['low']:.1f} to {row['high']:.1f}",
        }
        for row in count["classes"]
    ]
    return html.Table("Counted cells by class", rows, n_texts=2)


def _images(
    cells: Cells, doubtful: Cells, labels: Sequence[str], fields: Any, margin: float
) -> tuple[list[html.Card], list[html.Block]]:
    """Read fields again, one at a time, and return cards of cells and the pictures."""
    shown = list(dict.fromkeys([cell["field"] for cell in (*doubtful, *cells)]))
    in_picture = shown[:_FIELDS]
    needed = {*in_picture, *(cell["field"] for cell in doubtful)}
    cards: dict[int, html.Card] = {}
    pictures: dict[str, html.Block] = {}
    for field in list_fields(fields, []):
        if field.name not in needed:
            continue
        image = read_field(field.source, max_pixels=2**62)
        for k, cell in enumerate(doubtful):
            if cell["field"] == field.name:
                cards[k] = _card(image, cell, margin)
        if field.name in in_picture:
            own = [cell for cell in cells if cell["field"] == field.name]
            picture = draw_boxes(image, own, labels, _LONGEST)
            height, width = picture.shape[:2]
            words = ", ".join(
                f"{mark_of(cell['predicted'], labels)} {cell['predicted']}"
                + " (unlike the training cells)" * (not cell["counted"])
                for cell in own
            )
            source = jpeg_uri(picture, _LONGEST)
            boxes = counted(len(own), "box", "boxes")
            alt = f"Field {field.name} with {boxes}: {words}."
            name = os.path.basename(field.name)
            pictures[field.name] = html.Picture(name, source, alt, width, height, words)
    blocks = [pictures[name] for name in in_picture]
    if len(shown) > len(blocks):
        n_rest = len(shown) - len(blocks)
        rest = counted(n_rest, "more field with cells is", "more fields with cells are")
        blocks.append(f"{rest} not shown.")
    return [cards[k] for k in range(len(doubtful))], blocks


def _card(image: np.ndarray, cell: Mapping[str, Any], margin: float) -> html.Card:
    box = [cell[side] for side in SIDES]
    picture = cut(image, [box], margin, (_SIDE, _SIDE))[0]
    lines = [os.path.basename(cell["field"]), f"at {box[0]}, {box[1]}"]
    if cell["typicality"] is not None:
        lines.append(f"typicality {cell['typicality']:.3f}")
    chances = sorted(cell["probabilities"].items(), key=lambda each: -each[1])[:4]
    flag = "" if cell["counted"] else "unlike, not counted"
    alt = f"{cell['predicted']}, {', '.join(lines)}"
    return html.Card(jpeg_uri(picture, _SIDE), alt, lines, chances, flag)
