"""The command that trains a model."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from skwbc._utils.files import MAX_PIXELS
from skwbc._utils.names import shown
from skwbc._utils.recipe_names import RecipeName
from skwbc.cli import _options as options
from skwbc.cli._data import as_reading, check_labels, is_raw, labelled_images
from skwbc.cli._files import check_model, check_not_read, check_report
from skwbc.cli._groups import GroupTable

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


def train(
    context: typer.Context,
    data: options.Data,
    model: Annotated[Path, typer.Option(help="File for the trained model.")],
    recipe: Annotated[
        RecipeName,
        typer.Option(
            help="What to train: compact networks, a linear classifier of the features "
            "of a frozen network (in seconds), or the networks of the article that "
            "skwbc is based on."
        ),
    ] = "compact",
    labels: options.Labels = None,
    image_column: options.ImageColumn = "file",
    label_column: options.LabelColumn = "label",
    class_names: options.ClassNames = None,
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
    epochs: options.Epochs = None,
    colours: Annotated[
        bool,
        typer.Option(
            help="Use the colours of the cell as features. Without them, images of "
            "other laboratories are recognised more often."
        ),
    ] = True,
    seed: options.Seed = 0,
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
    max_pixels: options.MaxPixels = MAX_PIXELS,
    report: options.Report = None,
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
        classes=classes,
        names=class_names,
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


def _keywords(settings: Mapping[str, Any]) -> str:
    """Return keyword arguments as Python code, without those that are None."""
    return ", ".join(f"{k}={v!r}" for k, v in settings.items() if v is not None)
