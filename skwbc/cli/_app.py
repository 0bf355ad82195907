"""The `skwbc` command: train a fold ensemble, evaluate, predict, export it.

Every line of work is a call into the package. What the package raises about input
becomes one line on standard error and exit code 2.
"""

import codecs
import io
import json
import os
import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from skwbc._utils.files import MAX_PIXELS, reason
from skwbc._utils.version import __version__
from skwbc.cli._data import (
    check_labels,
    complain,
    is_onnx,
    labelled_images,
    load_keras,
    load_model,
)
from skwbc.cli._files import check_model, check_output, check_report, write_table
from skwbc.cli._groups import groups_of, read_groups

WRONG_USE, SOME_FAILED, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    name="skwbc",
    help="Classify small sets of microscope images with an ensemble of networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[
    Path,
    typer.Argument(
        help="A model that `skwbc train` wrote, or `skwbc export` (.onnx). Loading one "
        "of the former can run any code that its author put there."
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Load a model although somebody else may have written it."
    ),
]
Labels = Annotated[
    Path | None, typer.Option(help="For a .raw file: a text file, a digit an image.")
]
ClassNames = Annotated[
    str | None,
    typer.Option(help="For a .raw file: what its digits mean, as A,B,C from 0 on."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Random seed.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Epochs at the most (default: what the recipe says)."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")
]
Data = Annotated[
    Path, typer.Argument(help="A folder with a folder for each class, or a .raw file.")
]
Report = Annotated[
    Path | None,
    typer.Option(help="Also write a report to this .html file, with pictures."),
]
MaxPixels = Annotated[
    int,
    typer.Option(min=1, help="Refuse image files of more pixels, before decoding."),
]


def _show_version(asked: bool) -> None:
    if asked:
        print(f"skwbc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Classify small sets of microscope images with an ensemble of networks."""
    # `main` looks for --debug itself, so that it works behind a command, too.


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what is made.")] = Path(
        "skwbc-demo"
    ),
    epochs: Epochs = None,
    seed: Seed = 0,
) -> None:
    """Train on synthetic blood cells and show what comes out (about 2 minutes)."""
    from skwbc.cli._demo import run_demo

    run_demo(out, epochs, seed)


@app.command()
def train(
    context: typer.Context,
    data: Data,
    model: Annotated[Path, typer.Option(help="File to write the model to.")],
    recipe: Annotated[
        str, typer.Option(help="compact, or article for the article's own.")
    ] = "compact",
    labels: Labels = None,
    class_names: ClassNames = None,
    classes: Annotated[
        str | None, typer.Option(help="Class folders to use, as A,B,C (default: all).")
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=8, help="Side in pixels that images are brought to.")
    ] = 100,
    folds: Annotated[int, typer.Option(min=2, help="Folds, a network for each.")] = 5,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="A .csv table of filename and group: images of one group (a patient, "
            "a slide) stay in one fold."
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="What that table calls its groups (default: group)."),
    ] = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    n_jobs: Annotated[
        int | None, typer.Option(help="Networks to train at a time; -1: all cores.")
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(min=0, help="How often to train a network again that failed."),
    ] = 0,
    max_pixels: MaxPixels = MAX_PIXELS,
    report: Report = None,
) -> None:
    """Train a fold ensemble on a folder of class folders or a .raw file."""
    from skwbc.cli import _display as display
    from skwbc.recipes import RECIPES

    if recipe not in RECIPES:
        raise ValueError(f"--recipe {recipe}: expected one of {', '.join(RECIPES)}.")
    if n_jobs == 0:
        raise ValueError("--n-jobs 0: expected a number of networks, or -1.")
    check_model(model, [data, labels, groups])
    check_report(report, model, [data, labels, groups])
    check_labels(data, labels)
    if group_column is not None and groups is None:
        raise ValueError(
            f"--group-column {group_column} goes with a table; add --groups FILE."
        )
    column = "group" if group_column is None else group_column
    table = None if groups is None else read_groups(groups, column, data)
    cells = labelled_images(
        data,
        labels,
        (image_size, image_size, 3),
        _listed(classes),
        names=_listed(class_names),
        max_pixels=max_pixels,
    )
    in_groups = None
    if groups is not None and table is not None:
        in_groups = groups_of(cells.filenames, table, groups, folds)
    load_keras()
    from skwbc.persistence import save_model
    from skwbc.recipes import make_cell_classifier

    display.err.print(
        f"Training recipe {recipe} on {len(cells.images)} images of "
        f"{len(cells.target_names)} classes: {', '.join(cells.target_names)}"
        f"{f'; {len(set(in_groups))} groups' if in_groups else ''}."
    )
    settings: dict[str, Any] = {
        "cv": folds,
        "epochs": epochs,
        "n_restarts": restarts,
        "random_state": seed,
    }
    ensemble = make_cell_classifier(recipe, n_jobs=n_jobs, **settings)
    start = time.perf_counter()
    with display.training_progress():
        ensemble.fit(cells.images, cells.target, groups=in_groups)
    seconds = time.perf_counter() - start
    save_model(ensemble, model)
    display.show_training(ensemble)
    display.out.print(f"Trained in {seconds:.0f} s. Model: {model}")
    if report is not None:
        from skwbc.report import write_training_report

        write_training_report(
            report,
            ensemble,
            cells.images,
            cells.target,
            names=cells.filenames,
            groups=in_groups,
            command=context.obj,
            recipe_call=f"make_cell_classifier({recipe!r}, {_keywords(settings)})",
        )
        display.out.print(f"Report: {report}")


@app.command()
def evaluate(
    context: typer.Context,
    model: Model,
    data: Data,
    labels: Labels = None,
    class_names: ClassNames = None,
    trust: Trust = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Json = False,
    report: Report = None,
) -> None:
    """Score a model on labelled images that it was not trained on."""
    from skwbc.cli import _display as display

    _must_exist(model, data)
    check_labels(data, labels)
    check_report(report, model, [data, labels])
    ensemble, shape, _ = load_model(model, trust=trust)
    cells = labelled_images(
        data,
        labels,
        shape,
        known=ensemble.classes_,
        names=_listed(class_names),
        max_pixels=max_pixels,
    )
    if report is None:
        from skwbc.inspection import evaluate as score

        scores = score(ensemble, cells.images, cells.target)
    else:
        from skwbc.report import write_evaluation_report

        scores = write_evaluation_report(
            report,
            ensemble,
            cells.images,
            cells.target,
            names=cells.filenames,
            command=context.obj,
        )
    if as_json:
        _print_json(scores)
        return
    display.show_evaluation(scores)
    if report is not None:
        display.out.print(f"Report: {report}")


@app.command()
def predict(
    model: Model,
    images: Annotated[
        list[Path], typer.Argument(help="Image files, folders, or .raw files.")
    ],
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write a table to this file.")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Also list the classes that an image may have; the true one is among "
            "them this often, such as 0.9."
        ),
    ] = None,
    trust: Trust = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Json = False,
) -> None:
    """Classify images: a probability for each class, and how many members agree."""
    from skwbc.cli import _display as display
    from skwbc.datasets._gather import gather_images

    _must_exist(model)
    check_output("--csv", csv_file, [model, *images])
    if coverage is not None and not 0 < coverage < 1:
        raise ValueError(f"--coverage {coverage}: expected a number between 0 and 1.")
    ensemble, shape, n_members = load_model(model, trust=trust)
    cells = gather_images(images, image_shape=shape, max_pixels=max_pixels)
    for line in cells.errors:
        complain(line)
    if not len(cells.images):
        raise typer.Exit(WRONG_USE)
    from skwbc.inspection._predictions import describe_predictions

    rows = describe_predictions(
        ensemble, cells.images, cells.filenames, coverage=coverage
    )
    try:
        if csv_file is not None:
            write_table(rows, csv_file)
    finally:
        if as_json:
            _print_json(rows)
        else:
            display.show_predictions(rows, n_members)
    if cells.errors:
        raise typer.Exit(SOME_FAILED)


@app.command()
def export(
    model: Model,
    file: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    trust: Trust = False,
) -> None:
    """Write a model as one ONNX file, which predicts without TensorFlow."""
    from skwbc.cli import _display as display

    _must_exist(model)
    if is_onnx(model):
        raise ValueError(f"{model} is an ONNX file already; expected a joblib file.")
    if not is_onnx(file):
        raise ValueError(f"{file}: expected a .onnx file in a folder that exists.")
    check_output("FILE", file, [model])
    ensemble, _, n_members = load_model(model, trust=trust)
    from skwbc.export import to_onnx

    start = time.perf_counter()
    to_onnx(ensemble, file)
    display.out.print(
        f"Exported {n_members} members in {time.perf_counter() - start:.0f} s "
        f"({file.stat().st_size / 1e6:.1f} MB): {file}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Instead of those of the process.

    Returns
    -------
    int
        The exit code: 0, 2 for wrong use or input, 1 if part of the input could not be
        read or something unforeseen happened, 130 if interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    # Python has None for one that is closed, whose number the next file would get.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # Names of files may be no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Why a file could not be decoded is said in a line of ours.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    arguments = [word for word in arguments if word != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            code = app(
                arguments,
                prog_name="skwbc",
                standalone_mode=False,
                # What reports show.
                obj=shlex.join(["skwbc", *arguments]),
            )
        if code == INTERRUPTED:  # Typer returns it.
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        complain("interrupted.")
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        if isinstance(error, TyperException):
            # Without a message the help has been printed already.
            if message := error.format_message().rstrip("."):
                complain(f"{message}. See skwbc --help.")
        elif isinstance(error, ValueError | OSError | ImportError):
            complain(reason(error))
        elif isinstance(error, MemoryError):
            complain(
                f"there is not enough memory: {str(error) or 'for these images'}. Use "
                "fewer or smaller images (--image-size), or a machine with more of it."
            )
        else:
            complain(
                f"something unforeseen happened: {type(error).__name__}: {error}. "
                "Run it again with --debug to see where, and please report it."
            )
            return SOME_FAILED
        return WRONG_USE


def _listed(words: str | None) -> list[str] | None:
    return None if words is None else [word.strip() for word in words.split(",")]


def _must_exist(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist.")


def _print_json(value: Any) -> None:
    # What an encoding lacks would be written as Python's escapes, not as JSON's.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    as_ascii = not codecs.lookup(encoding).name.startswith("utf")
    json.dump(value, sys.stdout, indent=2, ensure_ascii=as_ascii)
    sys.stdout.write("\n")


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Show a warning as one line, without the place in the code it comes from."""
    complain(str(message), "warning")


def _keywords(settings: Mapping[str, Any]) -> str:
    """Return keyword arguments as Python code, without those that are None."""
    return ", ".join(f"{k}={v!r}" for k, v in settings.items() if v is not None)
