"""Output of the `skwbc` command on a terminal."""

import codecs
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skwbc._utils.files import common_folder
from skwbc._utils.names import shown, shown_json
from skwbc.ensemble._overlap import describe_overlap
from skwbc.ensemble._typicality import ADVICE, LEVEL, is_beyond_chance

# Results go to `out` and everything else to `err`, so that results can be piped. Piped
# output gets 120 columns instead of Rich's 80. Rich's markup is off, because names of
# files and classes may look like it.
_plain: Any = {"soft_wrap": True, "highlight": False, "markup": False, "emoji": False}


class _SafeConsole(Console):
    """A console that prints no control characters but its own."""

    def print(self, *objects: Any, **kwargs: Any) -> None:
        """Print; names in strings of several lines have to be safe by themselves."""
        safe = [shown(o, "\n") if isinstance(o, str) else o for o in objects]
        super().print(*safe, **kwargs)


class _SafeTable(Table):
    """A table whose cells have no control characters."""

    def add_column(self, header: Any = "", *args: Any, **kwargs: Any) -> None:
        """Add a column."""
        super().add_column(shown(header), *args, **kwargs)

    def add_row(self, *cells: Any, **kwargs: Any) -> None:
        """Add a row of strings or of styled text, which is safe by itself."""
        safe = [shown(cell) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*safe, **kwargs)


out = _SafeConsole(width=None if sys.stdout.isatty() else 120, **_plain)
err = _SafeConsole(stderr=True, **_plain)


def show_training(ensemble: Any) -> None:
    """Print the metrics of each fold and their means, as in the article."""
    from skwbc.ensemble._parts import has_networks, what_folds_chose

    if has_networks(ensemble):
        _show_epochs(ensemble)
    if reasons := what_folds_chose(ensemble):
        meaning = f", which is optimistic: the held-out folds {' and '.join(reasons)}"
        estimate = "an unbiased estimate"
    else:
        meaning = ": the member that was not trained on an image classified it"
        estimate = "the accuracy of all members together"
    out.print(
        f"Out-of-fold accuracy {ensemble.oof_score_:.3f}{meaning}.\n"
        f"For {estimate}, evaluate the model on new images (skwbc evaluate)."
    )


def _show_epochs(ensemble: Any) -> None:
    from skwbc.inspection._evaluation import training_table

    rows = training_table(ensemble)
    names = [name for name in rows[0] if name not in ("fold", "epochs")]
    table = _table("Metrics of each fold in the epoch whose weights were kept")
    table.add_column("fold", justify="right")
    for name in names:
        table.add_column(name.replace("best_epoch", "epoch"), justify="right")
    for row in rows:
        cells = [_rounded(row[name]) for name in names[:-1]]
        table.add_row(
            str(row["fold"]), *cells, f"{row['best_epoch']} of {row['epochs']}"
        )
    means = [sum(row[name] for row in rows) / len(rows) for name in names]
    table.add_section()
    table.add_row("mean", *map(_rounded, means[:-1]), f"{means[-1]:.1f}")
    out.print(table)


def show_predictions(
    rows: Sequence[Mapping[str, Any]],
    n_members: int,
    truth: Sequence[Any] | None = None,
) -> None:
    """Print predicted classes, probabilities and agreement, one line per image."""
    names = [row["image"] for row in rows]
    title = "Predictions"
    if (folder := common_folder(names)) is not None:
        title = f"Predictions for images in {folder or '.'}"
        names = [os.path.relpath(name, folder or ".") for name in names]
    table = _table(title)
    table.add_column("image", overflow="fold", min_width=12)
    table.add_column("predicted", overflow="fold")
    for label in rows[0]["probabilities"]:
        table.add_column(label, justify="right", overflow="fold")
    table.add_column("agree", justify="right", no_wrap=True)
    with_p = rows[0]["typicality"] is not None
    if with_p:
        table.add_column("typicality", justify="right", no_wrap=True)
    with_sets = "set" in rows[0]
    if with_sets:
        table.add_column("possible", overflow="fold")
    for k, row in enumerate(rows):
        predicted = row["predicted"]
        if truth is not None and str(truth[k]) != row["predicted"]:
            predicted = f"{row['predicted']}, is {truth[k]}"
            predicted = Text(shown(predicted), style="bold red")
        table.add_row(
            names[k],
            predicted,
            *[f"{p:.3f}" for p in row["probabilities"].values()],
            f"{row['agreement']} of {n_members}",
            *([_typicality(row["typicality"])] if with_p else []),
            *([" or ".join(row["set"]) or "none"] if with_sets else []),
        )
    out.print(table)
    counts = Counter(row["predicted"] for row in rows).most_common()
    out.print(f"Predicted: {', '.join(f'{n} {label}' for label, n in counts)}.")
    if any(row["agreement"] < n_members for row in rows):
        out.print(f"agree: how many of the {n_members} members put this class first.")


def _typicality(p: float) -> Text | str:
    return Text(f"unlike {p:.3f}", style="bold red") if p < LEVEL else f"{p:.3f}"


def show_evaluation(scores: Mapping[str, Any]) -> None:
    """Print scores, recall and precision of each class, and the confusion matrix."""
    from skwbc.inspection._evaluation import class_table, describe_typicality

    if n_trained_on := scores["n_trained_on"]:
        text = describe_overlap(n_trained_on, scores["n_samples"])
        out.print(Text(f"{text}: the scores are too good.", style="bold red"))
    if typicality := scores["typicality"]:
        n_unlike, n_training = typicality["n_unlike"], typicality["n_training"]
        beyond = is_beyond_chance(n_unlike, scores["n_samples"], n_training)
        text = describe_typicality(scores)
        if beyond:
            text += f" {ADVICE} (skwbc train --no-colours)."
        out.print(Text(text, style="bold red" if beyond else ""))
    out.print(f"images             {scores['n_samples']}")
    out.print(f"accuracy           {scores['accuracy']:.3f}")
    out.print(f"balanced accuracy  {scores['balanced_accuracy']:.3f}")
    out.print(f"log loss           {scores['log_loss']:.3f}")
    table = _table("Each class and its predictions")
    rows = class_table(scores)
    for k, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if k else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    out.print(table)


def show_count(count: Mapping[str, Any]) -> None:
    """Print how many cells of each class were counted, with intervals."""
    from skwbc.fields._counting import NOT_ADJUSTED

    table = _table("Differential count")
    table.add_column("class", overflow="fold")
    for name in ("cells", "%", "adjusted %", "95 % interval"):
        table.add_column(name, justify="right")
    for row in count["classes"]:
        table.add_row(
            row["class"],
            str(row["cells"]),
            f"{row['percent']:.1f}",
            f"{row['adjusted']:.1f}",
            f"{row['low']:.1f} to {row['high']:.1f}",
        )
    out.print(table)
    out.print(f"cells counted: {count['n_counted']}; fields: {count['n_fields']}")
    if count["n_unlike"]:
        text = f"not counted, unlike the training cells (typicality < {LEVEL})"
        out.print(Text(f"{count['n_unlike']} {text}", style="bold red"))
    if not count["is_adjusted"]:
        out.print(NOT_ADJUSTED)


def _table(title: str) -> Table:
    return _SafeTable(
        title=Text(shown(title), style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )


def _rounded(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinity, which JSON lacks, become null."""
    # Characters that the encoding lacks have to become escapes of JSON, not of Python.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    as_ascii = not codecs.lookup(encoding).name.startswith("utf")
    value = _finite(value)
    text = json.dumps(value, indent=2, ensure_ascii=as_ascii, allow_nan=False)
    sys.stdout.write(f"{shown_json(text)}\n")


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
