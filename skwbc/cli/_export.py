"""The command that writes a model in other forms."""

import time
from pathlib import Path
from typing import Annotated

import typer

from skwbc.cli import _options as options
from skwbc.cli._data import is_onnx, load_model
from skwbc.cli._files import check_output


def export(
    model: options.Model,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The .onnx file to write, or a web page that classifies images: an "
            ".html file, or a folder for a web server.",
        ),
    ],
    runtime: Annotated[
        str,
        typer.Option(
            metavar="DIR|cdn",
            help="For pages: folder of the npm package onnxruntime-web, or cdn, from "
            "where the page loads it.",
        ),
    ] = "node_modules/onnxruntime-web",
    trust: options.Trust = False,
) -> None:
    """Write a model as an ONNX file or a web page, which need no TensorFlow."""
    from skwbc.cli import _display as display

    as_onnx = is_onnx(target)
    if as_onnx and is_onnx(model):
        raise ValueError(f"{model} is already an ONNX file; expected a joblib file.")
    if target.suffix and not target.is_dir():
        check_output("FILE", target, [model], [".onnx", ".html"])
    ensemble, _, n_members = load_model(model, trust=trust)
    from skwbc.export import to_onnx, to_page
    from skwbc.export._to_onnx import input_dtype_of

    start = time.perf_counter()
    if as_onnx:
        to_onnx(ensemble, target, input_dtype=input_dtype_of(ensemble))
    else:
        to_page(model if is_onnx(model) else ensemble, target, runtime=runtime)
    size = sum(each.stat().st_size for each in (target, *target.glob("*")))
    display.out.print(
        f"Exported {n_members} members in {time.perf_counter() - start:.0f} s "
        f"({size / 1e6:.1f} MB): {target}"
    )
