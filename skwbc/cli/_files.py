"""What the `skwbc` command writes beside models: tables and reports."""

import csv
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skwbc._utils.files import check_writable, replacing
from skwbc.cli._data import is_onnx, is_raw


def check_output(option: str, path: Path | None, read: Sequence[Path | None]) -> None:
    """Check that a file can be written and is none that is read, before any work.

    Of the folders in `read` the images are.
    """
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{option} {path}: expected a file in a folder that exists.")
    for each in read:
        if each is not None and (_same(path, each) or _is_image_in(path, each)):
            raise ValueError(
                f"{option} {path} would overwrite what is read; give another file."
            )
    if _is_stdout(path):
        raise ValueError(
            f"{option} {path} is what the command prints to; give another file."
        )
    check_writable(path)


def check_model(path: Path, read: Sequence[Path | None]) -> None:
    """Check that a model can be written, and found again by its name."""
    if is_onnx(path) or is_raw(path):
        more = (
            ", and make a .onnx file of it with skwbc export" if is_onnx(path) else ""
        )
        raise ValueError(
            f"--model {path}: a file of that name is not read as a model of `skwbc "
            f"train`; give a name such as {path.with_suffix('.joblib').name}{more}."
        )
    check_output("--model", path, read)


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    """Write what `predict` says as comma-separated values."""
    labels = list(rows[0]["probabilities"])
    with_sets = "set" in rows[0]
    with (
        replacing(path) as temporary,
        open(
            temporary, "w", newline="", encoding="utf-8", errors="backslashreplace"
        ) as file,
    ):
        writer = csv.writer(file)
        more = ["set"] if with_sets else []
        writer.writerow(["image", "predicted", *labels, "agreement", *more])
        for row in rows:
            chances = [row["probabilities"][label] for label in labels]
            more = ["|".join(row["set"])] if with_sets else []
            writer.writerow(
                [row["image"], row["predicted"], *chances, row["agreement"], *more]
            )


def check_report(path: Path | None, model: Path, read: Sequence[Path | None]) -> None:
    """Check that a report can be made and written, before anything is computed."""
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(
            f"--report {path}: expected a .html file in a folder that exists."
        )
    if _same(path, model):
        raise ValueError(f"--report {path} is the model's file, too; give another.")
    check_output("--report", path, read)
    from skwbc.report._page import check_installed

    check_installed()


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # One of them is not there.
        return os.path.realpath(path) == os.path.realpath(other)


def _is_image_in(path: Path, folder: Path) -> bool:
    from skwbc.datasets._image_files import SUFFIXES, image_files

    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    if not folder.is_dir():
        return False
    # Class folders may be links, which are not followed further down.
    folders = [folder, *(each for each in folder.iterdir() if each.is_dir())]
    return any(
        _same(path, file)
        for each in folders
        for file in image_files(each, recursive=True, on_error=lambda _: None)
    )


def _is_stdout(path: Path) -> bool:
    try:
        found = os.fstat(1)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, path.stat())
    except OSError:
        return False
