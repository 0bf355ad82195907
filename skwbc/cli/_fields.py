"""The commands for whole fields: crop the cells, and count them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from skwbc._utils.files import MAX_PIXELS, replacing
from skwbc._utils.names import counted
from skwbc.cli import _options as options
from skwbc.cli._data import complain, load_model
from skwbc.cli._files import (
    check_new_folder,
    check_output,
    check_report,
    write_table,
)

Fields = Annotated[
    list[Path], typer.Argument(help="Image files of whole fields, or folders of them.")
]
Diameter = Annotated[
    float | None,
    typer.Option(min=8, help="Diameter of a white cell in pixels, if it is known."),
]
MinScore = Annotated[
    float,
    typer.Option(min=0, max=1, help="Score from which a cell is taken."),
]
Margin = Annotated[
    float,
    typer.Option(
        min=0,
        max=10,
        help="Surroundings of a cell on each side, as a fraction of its box.",
    ),
]
_TABLE = "cells.csv"
# Images that `predict` looks at to see whether they are fields.
_LOOKED_AT = 5


def crop(
    fields: Fields,
    out: Annotated[Path, typer.Option(help="Folder for the cells and their table.")],
    preview: Annotated[
        Path | None,
        typer.Option(help="Folder for a picture of each field with its boxes."),
    ] = None,
    size: Annotated[
        int, typer.Option(min=8, help="Width and height of the cells in pixels.")
    ] = 160,
    margin: Margin = 0.25,
    diameter: Diameter = None,
    min_score: MinScore = 0.3,
    max_pixels: options.MaxPixels = MAX_PIXELS,
) -> None:
    """Find the cells of fields and write each as a PNG, ready to be sorted."""
    from skwbc.cli import _display as display
    from skwbc.fields._counting import find_in_each, nothing_found
    from skwbc.fields._cropping import cut
    from skwbc.fields._drawing import draw_boxes

    for option, folder in (("--out", out), ("--preview", preview)):
        check_new_folder(option, folder)
    errors: list[str] = []
    rows: list[dict[str, Any]] = []
    stems: set[str] = set()
    n_fields = 0
    for name, image, boxes, own in find_in_each(
        fields, errors, diameter=diameter, min_score=min_score, max_pixels=max_pixels
    ):
        n_fields += 1
        stem = Path(name).stem
        if stem in stems:
            stem = f"{stem}-{n_fields}"
        stems.add(stem)
        cells = cut(image, boxes, margin, (size, size))
        for row, cell in zip(own, cells, strict=True):
            file = f"{stem}_x{row['xmin']}_y{row['ymin']}.png"
            _write_image(out / file, cell)
            rows.append({"file": file, **row})
        if preview is not None:
            _write_image(preview / f"{stem}.jpg", draw_boxes(image, own))
    for line in errors:
        complain(line)
    if not rows:
        raise ValueError(nothing_found(n_fields, []))
    write_table(rows, out / _TABLE)
    summary = f"{counted(len(rows), 'cell')} of {counted(n_fields, 'field')}"
    display.out.print(f"{summary}: {out}, {out / _TABLE}")
    if errors:
        raise typer.Exit(options.SOME_FAILED)


def count(
    context: typer.Context,
    model: options.Model,
    fields: Fields,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write each cell to this file.")
    ] = None,
    report: options.Report = None,
    margin: Margin = 0.25,
    diameter: Diameter = None,
    min_score: MinScore = 0.3,
    trust: options.Trust = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    as_json: options.Json = False,
) -> None:
    """Find, classify and count the cells of fields: a differential count."""
    from skwbc.cli import _display as display
    from skwbc.fields import _counting

    check_output("--csv", csv_file, [model, *fields])
    check_report(report, [model, csv_file, *fields])
    ensemble, _, _ = load_model(model, trust=trust)
    settings: dict[str, Any] = {"diameter": diameter, "min_score": min_score}
    settings |= {"margin": margin, "max_pixels": max_pixels}
    result = _counting.count(ensemble, fields, **settings)
    for line in result["errors"]:
        complain(line)
    if csv_file is not None:
        write_table(result["cells"], csv_file)
    if report is not None:
        from skwbc.report import write_count_report

        write_count_report(
            report, ensemble, result, fields, margin=margin, command=context.obj,
            model_file=model,
        )  # fmt: skip
    if as_json:
        display.print_json(result)
    else:
        display.show_count(result)
        if report is not None:
            display.out.print(f"Report: {report}")
    if result["errors"]:
        raise typer.Exit(options.SOME_FAILED)


def warn_of_fields(files: Sequence[str]) -> None:
    """Say so if the first of the images to predict are whole fields."""
    from skwbc.fields._counting import looks_like_field

    fields = [file for file in files[:_LOOKED_AT] if looks_like_field(file)]
    if fields:
        complain(
            f"{fields[0]} looks like a whole field, but is classified as one cell. "
            "skwbc count finds and classifies the cells of fields.",
            "warning",
        )


def _write_image(path: Path, image: Any) -> None:
    import cv2

    _, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
