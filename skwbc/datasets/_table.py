"""Images whose labels are in a table: a CSV or TSV file, or a data frame."""

import csv
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skwbc._utils.files import MAX_PIXELS, one_spelling
from skwbc._utils.names import from_table
from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.datasets._decoding import Reading
from skwbc.datasets._image_files import image_files
from skwbc.datasets._loading import COMMON, choose, load_files


@validated(
    table=[str, os.PathLike, HasMethods(["__getitem__", "keys"])],
    image=[str],
    label=[str],
    root=[str, os.PathLike, None],
    **COMMON,
)
def load_image_table(
    table: Any,
    *,
    image: str = "file",
    label: str = "label",
    root: str | os.PathLike | None = None,
    image_size: tuple[int, int] = (100, 100),
    classes: Sequence[str] | None = None,
    on_error: str = "raise",
    lazy: bool = False,
    channels: Sequence[int] | str | None = None,
    page: int | str | None = None,
    max_pixels: int = MAX_PIXELS,
    return_X_y: bool = False,
) -> Any:
    """Load images whose files and labels are listed in a table.

    Parameters
    ----------
    table : str, path-like, DataFrame or mapping of str to sequence
        Comma-, semicolon- or tab-separated text with a header, in UTF-8; or a data
        frame. Rows without a label are left out, with one warning that counts them.
    image : str, default="file"
        Column of file names. A name that is not below `root` is searched in all its
        sub-folders, with or without its suffix.
    label : str, default="label"
        Column of classes.
    root : str or path-like, default=None
        Folder that file names are relative to: by default that of a table in a file,
        or the current folder.
    image_size, classes, on_error, lazy, channels, page, max_pixels, return_X_y
        As for :func:`load_image_folder`. Files that are not there count as files that
        cannot be read.

    Returns
    -------
    data : Bunch
        As from :func:`load_image_folder`, and an array of each other column of the
        table under its name, such as ``data.patient``, unless the name is taken.

    (images, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ValueError
        If a column is missing, no row has a label, labels are measurements, a file
        occurs twice, or files cannot be read. The message shows the rows.
    OSError
        If the table cannot be read.

    Warns
    -----
    UserWarning
        As :func:`load_image_folder`, and if rows have no label.

    Examples
    --------
    >>> from skwbc.datasets import load_image_table
    >>> cells = load_image_table("labels.csv", image="path")  # doctest: +SKIP
    >>> clf.fit(cells.images, cells.target, groups=cells.patient)  # doctest: +SKIP
    """
    how = Reading.checked(image_size, channels, page, max_pixels)
    is_file = isinstance(table, str | os.PathLike)
    source = os.fspath(table) if is_file else "the table"
    folder = Path(root if root is not None else Path(table).parent if is_file else ".")
    columns = read_table(table) if is_file else table
    others = {str(name): np.asarray(columns[name]) for name in columns.keys()}  # noqa: SIM118
    for parameter, name in (("image", image), ("label", label)):
        if name not in others:
            raise ValueError(
                f"{source} has the columns {[*others]}; expected {name!r}, or the name "
                f"of another column as {parameter} (--{parameter}-column)."
            )
    names, labels = ([*map(_as_text, others.pop(name))] for name in (image, label))
    if is_file:
        labels = [*map(from_table, labels)]
    kept = [k for k, text in enumerate(labels) if text]
    n_empty = len(labels) - len(kept)
    if not kept:
        raise ValueError(f"{source} has no label in column {label!r}.")
    if n_empty:
        warnings.warn(
            f"{n_empty} of {len(labels)} rows of {source} have no label and were left "
            "out.",
            stacklevel=2,
        )
    chosen = set(choose(classes, {labels[k] for k in kept}, source, "label"))
    kept = [k for k in kept if labels[k] in chosen]
    measured = [k for k in kept if _is_measurement(labels[k])]
    _refuse_rows(measured, labels, f"{source}: labels have to be classes, not numbers")
    unnamed = [k for k in kept if not names[k]]
    _refuse_rows(unnamed, labels, f"{source} has labels without a file")
    files = _find(names, kept, folder)
    missing = [k for k in kept if not files[k].exists()]
    message = f"{len(missing)} of {len(kept)} files of {source} are not in {folder}"
    _refuse_rows(missing if on_error == "raise" else [], names, message)
    first: dict[Path, int] = {}
    twice = [k for k in kept if first.setdefault(files[k], k) != k]
    _refuse_rows(twice, names, f"{source} has files twice")
    labelled = [(files[k], labels[k]) for k in kept]
    further = {name: values[kept] for name, values in others.items()}
    return load_files(labelled, how, source, on_error, lazy, return_X_y, further)


def read_table(path: str | os.PathLike) -> dict[str, list[str]]:
    """Read a table of text.

    Parameters
    ----------
    path : str or path-like
        Values separated by commas, semicolons or tabs, in UTF-8, with a header.

    Returns
    -------
    dict of str to list of str
        The columns, without white space around values.

    Raises
    ------
    ValueError
        If it is not such a table.
    OSError
        If it cannot be read.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            separator = max(",;\t", key=head.count)
            rows = [row for row in csv.reader(file, delimiter=separator) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} could not be read as comma-separated values: {error}. Save it as "
            "CSV in UTF-8."
        ) from error
    names = [one_spelling(name).strip() for name in rows[0]] if rows else []
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"{path} has the columns {names}; expected different names.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise ValueError(
                f"{path}, row {number}, has {len(row)} values, but there are "
                f"{len(names)} columns: {separator.join(row)[:100]}"
            )
    values = [[one_spelling(value).strip() for value in row] for row in rows[1:]]
    return {name: [row[k] for row in values] for k, name in enumerate(names)}


def _as_text(value: Any) -> str:
    """Return a value of a data frame as text, whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = one_spelling(str(value)).strip()
    return "" if text in ("nan", "None", "<NA>", "NaT") else text


def _is_measurement(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def _refuse_rows(rows: Sequence[int], values: Sequence[str], message: str) -> None:
    if rows:
        # The header is row 1, as in a spreadsheet.
        shown = ", ".join(f"{values[k]} (row {k + 2})" for k in rows[:5])
        raise ValueError(f"{message}: {shown}{', ...' * (len(rows) > 5)}.")


def _find(names: Sequence[str], rows: Iterable[int], folder: Path) -> dict[int, Path]:
    """Return the file of each row; a path that does not exist if there is none."""
    below: dict[str, list[Path]] = {}
    files = {}
    for k in rows:
        # The table may come from Windows, or be one of `skwbc predict`.
        name = names[k].replace("\\", "/") if os.sep == "/" else names[k]
        files[k] = folder / name
        if not files[k].is_file() and (meant := from_table(names[k])) != names[k]:
            name, files[k] = meant, folder / meant
        if files[k].is_file():
            continue
        if not below:
            for file in image_files(folder, recursive=True):
                for key in {file.name, file.stem}:
                    below.setdefault(one_spelling(key), []).append(file)
        places = below.get(one_spelling(os.path.basename(name)), [])
        if len(places) > 1:
            where = ", ".join(map(str, places[:3]))
            _refuse_rows([k], names, f"There are {len(places)} such files ({where})")
        files[k] = places[0] if places else files[k]
    return files
