"""Which images belong together, from a table, for `skwbc train --groups`."""

import csv
from pathlib import Path

from skwbc._cli_data import is_raw

# By the names of class folder and file.
Groups = dict[tuple[str, str], str]


def read_groups(path: Path, column: str, data: Path) -> Groups:
    """Read which patient, slide or the like each image is of."""
    if is_raw(data):
        raise ValueError(
            "--groups goes with a folder of class folders; the images of a .raw file "
            "have no names that a table could give."
        )
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = list(table.fieldnames or [])
            if not {"filename", column} <= set(columns):
                raise ValueError(
                    f"{path} has the columns {columns}; expected 'filename' and "
                    f"{column!r} (--group-column)."
                )
            rows = [(row["filename"] or "", row[column] or "") for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} could not be read as comma-separated values: {error}."
        ) from error
    groups: Groups = {}
    for name, group in rows:
        # Written on Windows, perhaps.
        parts = name.replace("\\", "/").split("/")
        if len(parts) < 2 or not group:
            raise ValueError(
                f"{path}: {name!r}, {group!r}: expected class folder and file, as in "
                "neutrophil/0001.png, and a group."
            )
        key = parts[-2], parts[-1]
        if groups.setdefault(key, group) != group:
            raise ValueError(
                f"{path} has {'/'.join(key)} twice, in the groups {groups[key]!r} and "
                f"{group!r}. Leave one of the two lines out."
            )
    return groups


def groups_of(
    filenames: list[str], groups: Groups, path: Path, folds: int
) -> list[str]:
    """Return the group of each image; there have to be as many as folds."""
    keys = [(Path(name).parts[-2], Path(name).parts[-1]) for name in filenames]
    missing = ["/".join(key) for key in keys if key not in groups]
    if missing:
        raise ValueError(
            f"{path} has no group for {len(missing)} of {len(keys)} images: "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}. Add a "
            "line for each."
        )
    found = [groups[key] for key in keys]
    if len(set(found)) < folds:
        raise ValueError(
            f"{path} parts these images into {len(set(found))}, fewer than the "
            f"{folds} folds. A group is never parted itself: use fewer --folds."
        )
    return found
