"""Output files of the `skwbc` command: checks before the work, and tables."""

import csv
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from skwbc._utils.files import check_writable, replacing
from skwbc._utils.names import in_table
from skwbc.cli._data import is_onnx, is_raw

_OVERWRITES = (
    "{option} {path} would overwrite another file of this command; give another name."
)


def check_output(
    option: str,
    path: Path | None,
    others: Sequence[Path | None],
    suffixes: Sequence[str] = (),
) -> None:
    """Check that a file can be written and is not one of the others, before any work.

    A folder among `others` stands for the images in it. Other names of a file, such as
    links, are the same file.
    """
    if path is None:
        return
    fits = not suffixes or path.suffix.lower() in suffixes
    if not fits or path.is_dir() or not path.parent.is_dir():
        kind = f"{' or '.join(suffixes)} file".lstrip()
        raise ValueError(f"{option} {path}: expected a {kind} in a folder that exists.")
    for other in filter(None, others):
        if _same(path, other):
            raise ValueError(_OVERWRITES.format(option=option, path=path))
        check_not_read(option, path, _files_in(other))
    if _is_stdout(path):
        raise ValueError(f"{option} {path} is the command's output; give another file.")
    check_writable(path)


def check_not_read(
    option: str, path: Path | None, read: Iterable[str | os.PathLike]
) -> None:
    """Check that the command does not write to a file that it reads, by any name."""
    if path is None or not path.exists():
        return
    written = path.stat()
    for file in read:
        with suppress(OSError):
            if os.path.samestat(written, os.stat(file)):
                raise ValueError(_OVERWRITES.format(option=option, path=path))


def check_model(path: Path, others: Sequence[Path | None]) -> None:
    """Check that a model can be written, and recognised by its name."""
    if is_onnx(path) or is_raw(path):
        name = path.with_suffix(".joblib").name
        advice = f"give a name such as {name}"
        if is_onnx(path):
            advice += ", and convert it to .onnx with skwbc export"
        raise ValueError(f"--model {path}: this suffix is not for models; {advice}.")
    check_output("--model", path, others)


def check_new_folder(option: str, folder: Path | None) -> None:
    """Make a folder; refuse one with files, which could be mixed up with new ones."""
    if folder is None:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"{option} {folder} exists and is not an empty folder; give a new one."
        )
    folder.mkdir(parents=True, exist_ok=True)


def check_report(path: Path | None, others: Sequence[Path | None]) -> None:
    """Check that a report can be made and written, before any work."""
    check_output("--report", path, others, (".html", ".htm"))
    if path is not None:
        from skwbc.report._page import check_installed

        leave_no_fonts()
        check_installed()


def leave_no_fonts() -> None:
    """Keep matplotlib from writing its list of fonts into the home folder.

    Without a folder that it can write to, it makes a temporary one, and says so. A
    folder that is there already is used.
    """
    home = Path.home()
    folders = (".matplotlib", ".cache/matplotlib", ".config/matplotlib")
    if not any((home / each).exists() for each in folders):
        os.environ.setdefault("MPLCONFIGDIR", os.devnull)
        logging.getLogger("matplotlib").setLevel(logging.ERROR)


def write_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as comma-separated values, with a column for each probability.

    Names are changed by :func:`in_table`. What no row has is left out.
    """
    columns = zip(*map(_cells, rows), strict=True)
    kept = [c for c in columns if any(value is not None for _, value in c)]
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(in_table(column[0][0]) for column in kept)
        for values in zip(*kept, strict=True):
            writer.writerow("" if v is None else in_table(v) for _, v in values)


def _cells(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, "|".join(value) if isinstance(value, list) else value


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # One of them does not exist.
        return os.path.realpath(path) == os.path.realpath(other)


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the files that the command may read in a folder."""
    from skwbc.datasets._image_files import SUFFIXES, image_files

    if not folder.is_dir():
        return
    # Class folders may be links; links further down are not followed.
    for each in (folder, *(each for each in folder.iterdir() if each.is_dir())):
        yield from image_files(
            each,
            recursive=True,
            suffixes=(*SUFFIXES, ".raw"),
            on_error=lambda _: None,
        )


def _is_stdout(path: Path) -> bool:
    try:
        stdout = os.fstat(1)
        return stat.S_ISREG(stdout.st_mode) and os.path.samestat(stdout, path.stat())
    except OSError:
        return False
