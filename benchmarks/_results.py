"""Results of long runs, one per line of a file."""

import json
import os
from pathlib import Path
from typing import Any


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Return the results in a file; an empty list without the file."""
    results = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            results.append(json.loads(line))
        except ValueError:
            continue  # the incomplete last line of a killed run
    return results


def append(file: Path, record: dict[str, Any]) -> None:
    """Append a result, and flush it to the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as results:
        torn = False
        if results.seek(0, os.SEEK_END):
            results.seek(-1, os.SEEK_END)
            torn = results.read() != b"\n"
        results.write(b"\n" * torn + json.dumps(record).encode() + b"\n")
        results.flush()
        os.fsync(results.fileno())
