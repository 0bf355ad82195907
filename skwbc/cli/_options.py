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
