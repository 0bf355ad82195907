"""Read the groups of images from a table, for `skwbc train --groups`."""

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from skwbc._utils.files import one_spelling
from skwbc._utils.names import counted, from_table
from skwbc.cli._data import is_raw


class GroupTable:
    """A table with the group of each image, such as its patient or slide.

    Parameters
    ----------
    path : pathlib.Path
        Comma-separated values with a column "filename" and one of groups. At least the
        last two parts of each file name, class folder and file, have to be there.
    column : str
        Name of the column of groups.
    data : pathlib.Path
        The folder of class folders.

    Raises
    ------
    ValueError
        If the table cannot be used. The message gives the reason.
    """

    def __init__(self, path: Path, column: str, data: Path) -> None:
        if is_raw(data):
            raise ValueError(
                "--groups needs a folder of class folders; the images of a .raw file "
                "have no names."
            )
        self._path = path
        # The parts of each file name and the group, by class folder and file. These two
        # may occur in several data sets.
        self._lines: dict[tuple[str, ...], list[tuple[list[str], str]]] = {}
        for name, group in self._read("filename", _plain(column)):
            # The table may come from Windows, or be one of `skwbc predict`.
            plain, meant = name.replace("\\", "/"), from_table(name)
            for spelling in [plain, meant][: 1 + (meant != name)]:
                words = spelling.split("/")
                parts = [word for word in words if word not in ("", ".")]
                if len(parts) < 2 or not group:
                    raise ValueError(
                        f"{path}: {name!r}, {group!r}: expected class folder and file, "
                        "such as neutrophil/0001.png, and a group."
                    )
                self._lines.setdefault(tuple(parts[-2:]), []).append((parts, group))

    def _read(self, *names: str) -> list[tuple[str, ...]]:
        """Return the named columns, line by line."""
        # Imported here, because it imports scikit-learn.
        from skwbc.datasets._table import read_table

        table = read_table(self._path)
        if not {*names} <= table.keys():
            raise ValueError(
                f"{self._path} has the columns {[*table]}; expected one column "
                f"{names[0]!r} and one column {names[1]!r} (--group-column)."
            )
        return [*zip(*(table[name] for name in names), strict=True)]

    def groups_of(self, filenames: list[str], folds: int) -> list[str]:
        """Return the group of each image; there have to be at least `folds` groups."""
        places = [Path(_plain(os.path.abspath(name))).parts for name in filenames]
        keys = [
            "/".join(place[-2:]) for place in places if place[-2:] not in self._lines
        ]
        if keys:
            raise ValueError(
                f"{self._path} has no group for {len(keys)} of {len(places)} images: "
                f"{', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}. Add one "
                "line per image."
            )
        groups = [self._group_of(place) for place in places]
        n_groups = len(set(groups))
        if n_groups < folds:
            raise ValueError(
                f"{self._path} assigns these images to only "
                f"{counted(n_groups, 'group')}; {folds} folds need at least {folds} "
                "groups, since each group stays in one fold. Use fewer --folds."
            )
        return groups

    def _group_of(self, place: tuple[str, ...]) -> str:
        """Return the group in the line that shares most folders with the image."""
        lines = self._lines[place[-2:]]
        ranked = [(_n_shared(parts, place), parts, group) for parts, group in lines]
        # A line with further folders has to share at least one of them.
        matches = [each for each in ranked if each[0] > 2 or len(each[1]) == 2]
        if not matches:
            raise ValueError(
                f"{self._path} has {'/'.join(lines[0][0][-3:])}, but the image is "
                f"{'/'.join(place[-3:])}, in another folder. Give the table for "
                f"{place[-3]}; or, if this is the right one, write only class folder "
                "and file."
            )
        most = max(n for n, *_ in matches)
        groups = list(dict.fromkeys(group for n, _, group in matches if n == most))
        if len(groups) > 1:
            raise ValueError(
                f"{self._path} has {'/'.join(place[-2:])} twice, in the groups "
                f"{groups[0]!r} and {groups[1]!r}. Delete one of the two lines."
            )
        return groups[0]


def _n_shared(parts: Sequence[str], others: Sequence[str]) -> int:
    """Count the parts that are the same in both, from the last one backward."""
    pairs = zip(reversed(parts), reversed(others), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _plain(text: str | None) -> str:
    """Strip white space, and spell accented letters in one of several ways."""
    return one_spelling(text or "").strip()
