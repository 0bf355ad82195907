"""Time the training of an ensemble with other numbers of threads and jobs.

    python benchmarks/cores.py --data ../shared/data

Trains the default recipe on 76 cells of three types of BCCD, twice in a process of its
own for each row: the first fit includes the compilation. Prints a Markdown table with
seconds and, for each row, whether its probabilities are those of the first row with as
many threads, to the last bit. ``--rounds`` repeats all rows in turn; a cell has the
median.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from _common import describe_machine
from sklearn.utils import Bunch

# Threads of each network (None: TensorFlow's choice), and n_jobs.
ROWS = [(None, 1), (None, -1), (1, 1), (1, 2), (1, -1)]
CELLS = {"Neutrophil": 30, "Eosinophil": 30, "Monocyte": 16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="../shared/data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fit", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit is not None:
        fit(arguments.data, arguments.fit)
        return
    print(describe_machine(), end="\n\n")
    seconds, digests = defaultdict(list), defaultdict(set)
    for _ in range(arguments.rounds):
        for row in ROWS:
            first, second, digest = in_a_process(arguments.data, *row)
            seconds[row].append((float(first), float(second)))
            digests[row].add(digest)
    print("| threads of a network | n_jobs | first fit, s | later fit, s | same bits |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        threads, n_jobs = row
        first, later = np.median(seconds[row], axis=0)
        reference = next(each for each in ROWS if each[0] == threads)
        same = "yes" if len(digests[row] | digests[reference]) == 1 else "no"
        print(f"| {threads or 'all'} | {n_jobs} | {first:.1f} | {later:.1f} | {same} |")


def in_a_process(data: Path, threads: int | None, n_jobs: int) -> list[str]:
    settings = {"TF_NUM_INTRAOP_THREADS": str(threads)} if threads else {}
    command = [sys.executable, __file__, "--data", str(data), "--fit", str(n_jobs)]
    run = subprocess.run(
        command,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    return run.stdout.split()[-3:]


def load_cells(data: Path) -> tuple[Bunch, np.ndarray]:
    """Return the cells of three types, and the positions of those to train on."""
    from skwbc.datasets import load_image_folder

    cells = load_image_folder(data / "bccd", image_size=(100, 100), classes=[*CELLS])
    rng = np.random.default_rng(0)
    chosen = [
        rng.permutation(np.flatnonzero(cells.target == name))[:n]
        for name, n in CELLS.items()
    ]
    return cells, np.concatenate(chosen)


def fit(data: Path, n_jobs: int) -> None:
    from skwbc import make_cell_classifier

    cells, train = load_cells(data)
    seconds = []
    for _ in range(2):
        model = make_cell_classifier(n_jobs=n_jobs, random_state=0)
        start = time.perf_counter()
        model.fit(cells.images[train], cells.target[train])
        seconds.append(time.perf_counter() - start)
    digest = hashlib.sha256(model.predict_proba(cells.images).tobytes()).hexdigest()
    print(*seconds, digest)


if __name__ == "__main__":
    main()
