"""Compare two fits of the same networks with the same seed.

    python benchmarks/reproducibility.py

Fits the compact recipe to 90 synthetic cells in separate processes, twice with each
number of threads, and compares the probabilities of the ensembles. Prints a
table of the largest differences.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 60])
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit:
        fit(int(arguments.fit[0]), arguments.fit[1])
        return
    import numpy as np

    print("| epochs | threads | largest difference | same predicted class |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for epochs in arguments.epochs:
            proba = {
                (threads, run): np.load(
                    in_a_process(epochs, threads, Path(folder, f"{threads}{run}.npy"))
                )
                for threads in (1, 2)
                for run in "ab"
            }
            for one, other in (((1, "a"), (1, "b")), ((2, "a"), (2, "b")),
                               ((1, "a"), (2, "a"))):  # fmt: skip
                first, second = proba[one], proba[other]
                same = (first.argmax(axis=1) == second.argmax(axis=1)).mean()
                print(
                    f"| {epochs} | {one[0]} and {other[0]} | "
                    f"{abs(first - second).max():.1e} | {same:.3f} |",
                    flush=True,
                )


def in_a_process(epochs: int, threads: int, output: Path) -> Path:
    subprocess.run(
        [sys.executable, __file__, "--fit", str(epochs), str(output)],
        env={
            **os.environ,
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return output


def fit(epochs: int, output: str) -> None:
    import numpy as np

    from skwbc import make_cell_classifier
    from skwbc.datasets import make_blood_cells

    X, y = make_blood_cells(30, random_state=0)
    model = make_cell_classifier(cv=2, epochs=epochs, random_state=0)
    model.fit(X, y)
    X_new, _ = make_blood_cells(30, random_state=1)
    np.save(output, model.predict_proba(X_new))


if __name__ == "__main__":
    main()
