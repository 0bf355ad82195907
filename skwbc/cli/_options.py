"""Arguments and options that several commands have, and exit codes."""

from pathlib import Path
from typing import Annotated

import typer

WRONG_USE, SOME_FAILED = 2, 1

Model = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        help="Model file from `skwbc train` or `skwbc export` (.onnx). A file from "
        "`skwbc train` can run any code of its author when it is loaded.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Load the model even if another user may have written it."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print only JSON to standard output.")
]
Report = Annotated[
    Path | None,
    typer.Option(help="Also write a report with images to this .html file."),
]
MaxPixels = Annotated[
    int,
    typer.Option(min=1, help="Reject image files with more pixels than this."),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Table (.csv, .tsv) with columns of image files and labels. For a .raw "
        "file: text file with one digit per image, its class.",
    ),
]
ImageColumn = Annotated[
    str, typer.Option(help="Column of the files in the table of --labels.")
]
LabelColumn = Annotated[
    str, typer.Option(help="Column of the labels in the table of --labels.")
]
ClassNames = Annotated[
    str | None,
    typer.Option(help="For a .raw file: class names for the digits 0, 1, 2 as A,B,C."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Maximum number of epochs (default: by recipe)."),
]
Data = Annotated[
    Path,
    typer.Argument(
        exists=True,
        help="Folder with one subfolder per class, or with the images of --labels, or "
        "a .raw file.",
    ),
]
