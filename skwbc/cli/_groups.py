"""Which images belong together, from a table, for `skwbc train --groups`."""

import csv
import os
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from skwbc._utils.files import one_spelling
from skwbc.cli._data import is_raw


class Line(NamedTuple):
    """What a table says of an image: the folders above its class folder, its group."""

    above: list[str]
    group: str


# By the names of class folder and file. Other data sets may have files of these names.
Groups = dict[tuple[str, str], list[Line]]


def read_groups(path: Path, column: str, data: Path) -> Groups:
    """Read which patient, slide or the like each image is of."""
    if is_raw(data):
        raise ValueError(
            "--groups goes with a folder of class folders; the images of a .raw file "
            "have no names that a table could give."
        )
    column = _plain(column)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = [_plain(name) for name in table.fieldnames or []]
            table.fieldnames = columns
            for name in ("filename", column):
                if columns.count(name) > 1:
                    raise ValueError(
                        f"{path} has {columns.count(name)} columns {name!r}; expected "
                        "one. Rename or delete the others."
                    )
            if not {"filename", column} <= set(columns):
                raise ValueError(
                    f"{path} has the columns {columns}; expected 'filename' and "
                    f"{column!r} (--group-column)."
                )
            rows = [(_plain(row["filename"]), _plain(row[column])) for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} could not be read as comma-separated values: {error}."
        ) from error
    groups: Groups = {}
    for name, group in rows:
        # Written on Windows, perhaps.
        words = name.replace("\\", "/").split("/")
        parts = [word for word in words if word not in ("", ".")]
        if len(parts) < 2 or not group:
            raise ValueError(
                f"{path}: {name!r}, {group!r}: expected class folder and file, as in "
                "neutrophil/0001.png, and a group."
            )
        *above, folder, file_name = parts
        groups.setdefault((folder, file_name), []).append(Line(above, group))
    return groups


def groups_of(
    filenames: list[str], groups: Groups, path: Path, folds: int
) -> list[str]:
    """Return the group of each image; there have to be as many as folds."""
    places = [Path(_plain(os.path.abspath(name))).parts for name in filenames]
    keys = [(place[-2], place[-1]) for place in places]
    missing = ["/".join(key) for key in keys if key not in groups]
    if missing:
        raise ValueError(
            f"{path} has no group for {len(missing)} of {len(keys)} images: "
            f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}. Add a "
            "line for each."
        )
    found = [
        _group_of(place, groups[key], path)
        for place, key in zip(places, keys, strict=True)
    ]
    if len(set(found)) < folds:
        raise ValueError(
            f"{path} parts these images into {len(set(found))}, fewer than the "
            f"{folds} folds. A group is never parted itself: use fewer --folds."
        )
    return found


def _group_of(place: tuple[str, ...], lines: list[Line], path: Path) -> str:
    """Return the group in the lines whose folders agree with the image's the most."""
    key = "/".join(place[-2:])
    above = place[:-2]
    ranked = [(_n_shared(line.above, above), line) for line in lines]
    fitting = [(n, line.group) for n, line in ranked if n or not line.above]
    if not fitting:
        other = "/".join([*lines[0].above[-1:], key])
        raise ValueError(
            f"{path} has {other}, but the image is {'/'.join([*above[-1:], key])}, in "
            f"another folder. Give the table of {above[-1]}; or, if it is this one, "
            "write class folder and file only."
        )
    most = max(n for n, _ in fitting)
    best = list(dict.fromkeys(group for n, group in fitting if n == most))
    if len(best) > 1:
        raise ValueError(
            f"{path} has {key} twice, in the groups {best[0]!r} and {best[1]!r}. Leave "
            "one of the two lines out."
        )
    return best[0]


def _n_shared(folders: list[str], others: tuple[str, ...]) -> int:
    """Count the folders that are the same in both, from the last one upward."""
    pairs = zip(reversed(folders), reversed(others), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _plain(text: str | None) -> str:
    """Without white space around it, and its accents in the one way of several."""
    return one_spelling(text or "").strip()
