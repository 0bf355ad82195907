"""What the `skwbc` command writes beside models: tables and reports."""

import csv
from pathlib import Path
from typing import Any

from skwbc._files import replacing


def check_table(path: Path | None) -> None:
    """Check that a table can be written, before anything is computed."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"--csv {path}: expected a file in a folder that exists.")


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


def check_report(path: Path | None, model: Path) -> None:
    """Check that a report can be made and written, before anything is computed."""
    if path is None:
        return
    if (
        path.suffix.lower() not in (".html", ".htm")
        or path.is_dir()
        or not path.parent.is_dir()
    ):
        raise ValueError(
            f"--report {path}: expected a .html file in a folder that exists."
        )
    if path.resolve() == model.resolve():
        raise ValueError(f"--report {path} is the model's file, too; give another.")
    from skwbc.report._page import check_installed

    check_installed()
