"""The `skwbc` command: train, evaluate and export fold ensembles, and predict.

All work is done by calls into the package. Errors that the package raises about its
input become one line on standard error and exit code 2.
"""

import io
import os
import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from skwbc._utils.files import MAX_PIXELS, reason, replacing
from skwbc._utils.names import shown
from skwbc._utils.recipe_names import RecipeName
from skwbc._utils.version import __version__
from skwbc.cli import INTERRUPTED
from skwbc.cli._data import (
    as_reading,
    check_labels,
    complain,
    is_onnx,
    is_raw,
    labelled_images,
    load_model,
    reading_of,
    start_loading,
)
from skwbc.cli._fields import count, crop, warn_of_fields
from skwbc.cli._files import (
    check_model,
    check_new_folder,
    check_not_read,
    check_output,
    check_report,
    leave_no_fonts,
    write_table,
)
from skwbc.cli._groups import GroupTable
from skwbc.cli._interrupts import keeping_interrupts
from skwbc.cli._options import (
    SOME_FAILED,
    WRONG_USE,
    Json,
    MaxPixels,
    Model,
    Report,
    Trust,
)

if TYPE_CHECKING:
    from skwbc.inspection._predictions import Predictions

# Images that `predict --sort doubt` chooses one by one; the rest are sorted.
_N_DIVERSE = 100

app = typer.Typer(
    name="skwbc",
    help="Classify small sets of microscope images with an ensemble of networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help comes in half the time.
    rich_markup_mode=None,
)


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
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads of each network (default: 1, or TF_NUM_INTRAOP_THREADS). "
        "Rounding errors, and so the model, depend on it.",
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        help="Channels of the images as 0,2,3, or all; the model remembers them "
        "(default: grey and RGB images as RGB)."
    ),
]
Page = Annotated[
    str | None,
    typer.Option(
        help="Page of z-stacks and time series, from 0, or max for a maximum "
        "projection; the model remembers it."
    ),
]


def _show_version(value: bool) -> None:
    if value:
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
        bool, typer.Option("--debug", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Classify small sets of microscope images with an ensemble of networks."""
    # `main` handles --debug, so that it works after a command, too.


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for model and images.")] = Path(
        "skwbc-demo"
    ),
    epochs: Epochs = None,
    seed: Seed = 0,
) -> None:
    """Train on synthetic blood cells and show the results (about a minute)."""
    from skwbc.cli._demo import run_demo

    run_demo(out, epochs, seed)


@app.command()
def train(
    context: typer.Context,
    data: Data,
    model: Annotated[Path, typer.Option(help="File for the trained model.")],
    recipe: Annotated[
        RecipeName,
        typer.Option(
            help="What to train: compact networks, a linear classifier of the features "
            "of a frozen network (in seconds), or the networks of the article that "
            "skwbc is based on."
        ),
    ] = "compact",
    labels: Labels = None,
    image_column: ImageColumn = "file",
    label_column: LabelColumn = "label",
    class_names: ClassNames = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Subfolders or labels to use, as A,B,C (default: all)."),
    ] = None,
    image_size: Annotated[
        int, typer.Option(min=8, help="Resize images to this width and height.")
    ] = 100,
    folds: Annotated[
        int, typer.Option(min=2, help="Number of folds; each trains one network.")
    ] = 5,
    groups: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Table (.csv) with columns filename and group. Images of one group, "
            "such as a patient or a slide, stay in one fold.",
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the groups (default: group) of the table of --groups, "
            "or else of --labels."
        ),
    ] = None,
    epochs: Epochs = None,
    colours: Annotated[
        bool,
        typer.Option(
            help="Use the colours of the cell as features. Without them, images of "
            "other laboratories are recognised more often."
        ),
    ] = True,
    seed: Seed = 0,
    n_jobs: Annotated[
        int,
        typer.Option(
            help="Networks to train at once; -1 uses all cores. The model is the same."
        ),
    ] = -1,
    threads: Threads = None,
    restarts: Annotated[
        int, typer.Option(min=0, help="Maximum number of restarts per failed network.")
    ] = 0,
    channels: Channels = None,
    page: Page = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    report: Report = None,
) -> None:
    """Train a fold ensemble: one network per cross-validation fold."""
    from skwbc.cli import _display as display
    from skwbc.cli._training import load_keras_for_training, training

    if n_jobs == 0:
        raise ValueError("--n-jobs 0: expected a positive number or -1.")
    check_model(model, [data, labels, groups])
    check_report(report, [model, data, labels, groups])
    check_labels(data, labels, class_names, classes)
    in_labels = groups is None and labels is not None and not is_raw(data)
    if group_column is not None and groups is None and not in_labels:
        raise ValueError(
            f"--group-column {group_column} names a column of a table; add --groups "
            "FILE, or --labels FILE."
        )
    reading = as_reading(channels, page)
    table = groups and GroupTable(groups, group_column or "group", data)
    cells = labelled_images(
        data,
        labels,
        (image_size, image_size, 3),
        classes=_listed(classes),
        names=_listed(class_names),
        max_pixels=max_pixels,
        columns=(image_column, label_column),
        **reading,
    )
    # A table of labels may name files anywhere.
    check_not_read("--model", model, cells.filenames)
    check_not_read("--report", report, cells.filenames)
    image_groups = table and table.groups_of(cells.filenames, folds)
    if in_labels and group_column is not None:
        if group_column not in cells:
            raise ValueError(f"{labels} has no column {group_column!r}.")
        image_groups = [*cells[group_column]]
    load_keras_for_training(threads)
    from skwbc.persistence import save_model
    from skwbc.recipes import make_cell_classifier

    if not is_raw(data):
        display.err.print(cells.DESCR)
    names = [*map(shown, cells.target_names)]
    display.err.print(
        f"Training recipe {recipe} on {len(cells.images)} images of "
        f"{len(names)} classes: {', '.join(names)}"
        f"{f'; {len(set(image_groups))} groups' if image_groups else ''}."
    )
    settings: dict[str, Any] = {
        "cv": folds,
        "epochs": epochs,
        "colours": colours,
        "n_restarts": restarts,
        "random_state": seed,
    }
    ensemble = make_cell_classifier(recipe, n_jobs=n_jobs, **settings)
    start = time.perf_counter()
    with training():
        ensemble.fit(cells.images, cells.target, groups=image_groups)
    seconds = time.perf_counter() - start
    ensemble._reading = reading
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
            groups=image_groups,
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
    image_column: ImageColumn = "file",
    label_column: LabelColumn = "label",
    class_names: ClassNames = None,
    trust: Trust = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Json = False,
    report: Report = None,
) -> None:
    """Evaluate a model on labelled images that it was not trained on."""
    from skwbc.cli import _display as display

    check_labels(data, labels, class_names)
    check_report(report, [model, data, labels])
    ensemble, shape, _ = load_model(model, trust=trust)
    cells = labelled_images(
        data,
        labels,
        shape,
        names=_listed(class_names),
        model_classes=ensemble.classes_,
        max_pixels=max_pixels,
        columns=(image_column, label_column),
        **reading_of(ensemble, shape),
    )
    check_not_read("--report", report, cells.filenames)
    if report is None:
        from skwbc.inspection import evaluate as score

        with warnings.catch_warnings():
            # `show_evaluation` says it.
            warnings.filterwarnings("ignore", ".* unlike the training samples")
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
            model_file=model,
        )
    if as_json:
        display.print_json(scores)
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
        Path | None, typer.Option("--csv", help="Also write the table to this file.")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Also list the possible classes of each image. They include the true "
            "class for this fraction of images, such as 0.9.",
        ),
    ] = None,
    sort: Annotated[
        Literal["name", "doubt"],
        typer.Option(
            help="With doubt, the images come first whose labels would teach the model "
            "most. The table of --csv gets an empty column for labels, which `train "
            "--labels` takes once it is filled in."
        ),
    ] = "name",
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a picture of each image with the regions that speak for "
            "its class (Grad-CAM), in the order of the table."
        ),
    ] = None,
    trust: Trust = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    as_json: Json = False,
) -> None:
    """Classify images, with class probabilities and the agreement of the members."""
    from skwbc.cli import _display as display

    check_output("--csv", csv_file, [model, *images])
    loaded = start_loading(model, images, trust=trust)
    from skwbc.datasets._gather import gather_images
    from skwbc.inspection import _predictions as inspection

    if explain is not None and is_onnx(model):
        raise ValueError(f"--explain needs the joblib file that {model} was made of.")
    check_new_folder("--explain", explain)
    ensemble, shape, n_members = loaded()
    cells = gather_images(
        images,
        image_shape=shape,
        max_pixels=max_pixels,
        **reading_of(ensemble, shape),
    )
    for line in cells.errors:
        complain(line)
    if not len(cells.images):
        raise typer.Exit(WRONG_USE)
    warn_of_fields(cells.filenames)
    predictions = inspection.predict_once(ensemble, cells.images)
    rows = inspection.describe_predictions(
        ensemble, predictions, cells.filenames, coverage=coverage
    )
    order = [*range(len(rows))]
    if sort == "doubt":
        mask = ensemble.known_classes_
        order = inspection.by_doubt(predictions, mask, _N_DIVERSE)[0].tolist()
    rows = [rows[k] for k in order]
    try:
        if csv_file is not None:
            write_table([_in_csv(row, sort == "doubt") for row in rows], csv_file)
        if explain is not None:
            _explain(ensemble, cells, order, explain)
    finally:
        if as_json:
            display.print_json(rows)
        else:
            display.show_predictions(rows, n_members)
        _report_unlike(ensemble, cells.images, predictions, as_json)
    if cells.errors:
        raise typer.Exit(SOME_FAILED)


@app.command()
def export(
    model: Model,
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
    trust: Trust = False,
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


app.command()(crop)
app.command()(count)


def run(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted.
    """
    debug = "--debug" in arguments
    # Python sets closed streams to None; the next file would get their descriptors.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # File names may contain bytes that are not text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Images that cannot be decoded are reported by the package, not by OpenCV.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    arguments = [word for word in arguments if word != "--debug"]
    try:
        with keeping_interrupts(), warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            code = app(
                arguments or ["--help"],
                prog_name="skwbc",
                standalone_mode=False,
                # Shown in reports.
                obj=shlex.join(["skwbc", *arguments]),
            )
        if code == INTERRUPTED:  # Typer returns this code instead of raising.
            raise KeyboardInterrupt
        if not arguments:
            return WRONG_USE
        return code if isinstance(code, int) else 0
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if debug:
            raise
        if isinstance(error, TyperException):
            message = error.format_message().rstrip(".")
            complain(f"{message}. See skwbc --help.")
        elif isinstance(error, ValueError | OSError | ImportError):
            complain(reason(error))
        elif isinstance(error, MemoryError):
            complain(
                f"not enough memory: {str(error) or 'for these images'}. Use fewer or "
                "smaller images (--image-size), or a machine with more memory."
            )
        else:
            complain(
                f"unexpected {type(error).__name__}: {error}. Run the command again "
                "with --debug to see the traceback, and please report it."
            )
            return SOME_FAILED
        return WRONG_USE


def _report_unlike(
    ensemble: Any, images: Any, predictions: "Predictions", as_json: bool
) -> None:
    """Say how many images are unlike the training images, and how they differ."""
    from skwbc.cli import _display as display
    from skwbc.ensemble._overlap import describe_overlap
    from skwbc.ensemble._typicality import ADVICE
    from skwbc.inspection._predictions import describe_difference

    overlap = predictions.trained_on
    if overlap is not None and overlap.any() and not as_json:
        text = describe_overlap(int(overlap.sum()), len(overlap))
        display.out.print(f"{text}.")
    summary = predictions.summary()
    if predictions.is_beyond_chance:
        difference = describe_difference(ensemble, images, predictions.unlike)
        advice = f"{ADVICE} (skwbc train --no-colours)"
        summary = f"{summary}. {f'{difference} {advice}'.lstrip()}"
        if as_json:
            complain(f"{summary}.", "warning")
    if summary and not as_json:
        display.out.print(f"{summary}.")


def _in_csv(row: Mapping[str, Any], to_label: bool) -> dict[str, Any]:
    """Return a row of the table, with the columns of `train --labels` to fill in."""
    row = {name: value for name, value in row.items() if name != "trained_on"}
    return {"file": row.pop("image"), "label": "", **row} if to_label else row


def _explain(ensemble: Any, cells: Any, order: Sequence[int], folder: Path) -> None:
    """Write a picture of each image with its class activation map."""
    leave_no_fonts()
    from skwbc.inspection import plot_grad_cam

    for number, k in enumerate(order, start=1):
        figure = plot_grad_cam(ensemble, cells.images[k : k + 1])
        file = folder / f"{number:04}_{Path(cells.filenames[k]).stem}.png"
        with replacing(file) as temporary:
            figure.savefig(temporary, format="png", dpi=110)


def _listed(words: str | None) -> list[str] | None:
    return None if words is None else [word.strip() for word in words.split(",")]


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Show a warning as one line, without its place in the code."""
    complain(str(message), "warning")


def _keywords(settings: Mapping[str, Any]) -> str:
    """Return keyword arguments as Python code, without those that are None."""
    return ", ".join(f"{k}={v!r}" for k, v in settings.items() if v is not None)
