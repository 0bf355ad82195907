"""The commands that use a model: predict, and evaluate with labels."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from skwbc._utils.files import MAX_PIXELS, replacing
from skwbc.cli import _data as inputs, _files as outputs, _options as options
from skwbc.cli._fields import warn_of_fields

if TYPE_CHECKING:
    from skwbc.inspection._predictions import Predictions

# Images that `predict --sort doubt` chooses one by one; the rest are sorted.
_N_DIVERSE = 100


def evaluate(
    context: typer.Context,
    model: options.Model,
    data: options.Data,
    labels: options.Labels = None,
    image_column: options.ImageColumn = "file",
    label_column: options.LabelColumn = "label",
    class_names: options.ClassNames = None,
    trust: options.Trust = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    as_json: options.Json = False,
    report: options.Report = None,
) -> None:
    """Evaluate a model on labelled images that it was not trained on."""
    from skwbc.cli import _display as display

    inputs.check_labels(data, labels, class_names)
    outputs.check_report(report, [model, data, labels])
    ensemble, shape, _ = inputs.load_model(model, trust=trust)
    cells = inputs.labelled_images(
        data,
        labels,
        shape,
        names=class_names,
        model_classes=ensemble.classes_,
        max_pixels=max_pixels,
        columns=(image_column, label_column),
        **inputs.reading_of(ensemble, shape),
    )
    outputs.check_not_read("--report", report, cells.filenames)
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


def predict(
    model: options.Model,
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
    trust: options.Trust = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    as_json: options.Json = False,
) -> None:
    """Classify images, with class probabilities and the agreement of the members."""
    from skwbc.cli import _display as display

    outputs.check_output("--csv", csv_file, [model, *images])
    loaded = inputs.start_loading(model, images, trust=trust)
    from skwbc.datasets._gather import gather_images
    from skwbc.inspection import _predictions as inspection

    if explain is not None and inputs.is_onnx(model):
        raise ValueError(f"--explain needs the joblib file that {model} was made of.")
    outputs.check_new_folder("--explain", explain)
    ensemble, shape, n_members = loaded()
    cells = gather_images(
        images,
        image_shape=shape,
        max_pixels=max_pixels,
        **inputs.reading_of(ensemble, shape),
    )
    for line in cells.errors:
        inputs.complain(line)
    if not len(cells.images):
        raise typer.Exit(options.WRONG_USE)
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
            table = [_in_csv(row, sort == "doubt") for row in rows]
            outputs.write_table(table, csv_file)
        if explain is not None:
            _explain(ensemble, cells, order, explain)
    finally:
        if as_json:
            display.print_json(rows)
        else:
            display.show_predictions(rows, n_members)
        _report_unlike(ensemble, cells.images, predictions, as_json)
    if cells.errors:
        raise typer.Exit(options.SOME_FAILED)


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
            inputs.complain(f"{summary}.", "warning")
    if summary and not as_json:
        display.out.print(f"{summary}.")


def _in_csv(row: Mapping[str, Any], to_label: bool) -> dict[str, Any]:
    """Return a row of the table, with the columns of `train --labels` to fill in."""
    row = {name: value for name, value in row.items() if name != "trained_on"}
    return {"file": row.pop("image"), "label": "", **row} if to_label else row


def _explain(ensemble: Any, cells: Any, order: Sequence[int], folder: Path) -> None:
    """Write a picture of each image with its class activation map."""
    outputs.leave_no_fonts()
    from skwbc.inspection import plot_grad_cam

    for number, k in enumerate(order, start=1):
        figure = plot_grad_cam(ensemble, cells.images[k : k + 1])
        file = folder / f"{number:04}_{Path(cells.filenames[k]).stem}.png"
        with replacing(file) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
