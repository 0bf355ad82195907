"""Results of long runs, each a line in a file, and a figure that several need."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

BINS = 10  # of the calibration error


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Return the results in a file; none if there is no file."""
    results = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            results.append(json.loads(line))
        except ValueError:
            continue  # what a killed run left of its last line
    return results


def append(file: Path, record: dict[str, Any]) -> None:
    """Add a line to the results, and see that it is on the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as results:
        torn = False
        if results.seek(0, os.SEEK_END):
            results.seek(-1, os.SEEK_END)
            torn = results.read() != b"\n"
        results.write(b"\n" * torn + json.dumps(record).encode() + b"\n")
        results.flush()
        os.fsync(results.fileno())


def calibration_error(proba: np.ndarray, y: np.ndarray) -> float:
    """Return how far the highest probabilities are from how often they are right.

    The mean over bins of equal width, weighted by how many samples are in each.
    """
    highest = proba.max(axis=1)
    surplus = highest - (proba.argmax(axis=1) == y)
    bins = np.minimum((highest * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, surplus)).sum() / len(y))
