"""Time an ensemble of networks on the workers of a local Dask cluster.

    pip install 'skwbc[dask]'
    python benchmarks/cluster.py

Fits the five members of the compact network to synthetic cells in PNG files, on one
worker and on two. Each worker is a process that has one core to itself, as if it were
another machine, and has compiled the network before. Prints a Markdown table: seconds,
the ratio to one worker, and whether the probabilities are those of one worker to the
last bit. ``--rounds`` repeats all rows in turn; a cell has the median. Linux only.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from _common import describe_machine, network_pipeline
from distributed import Client, LocalCluster
from joblib import parallel_config

from skwbc import KFoldEnsembleClassifier, make_cell_classifier
from skwbc.datasets import ImageFiles, make_blood_cells

WORKERS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print(describe_machine(), end="\n\n")
    cells, y = make_blood_cells(arguments.images // 3, random_state=0)
    network = network_pipeline(make_cell_classifier(epochs=arguments.epochs).estimator)
    ensemble = KFoldEnsembleClassifier(network, random_state=0)
    seconds, probas = defaultdict(list), {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{k}.png") for k in range(len(cells))]
        for file, cell in zip(files, cells, strict=True):
            cv2.imwrite(str(file), cell[..., ::-1])
        X = ImageFiles(files, cells.shape[1:3])
        for _ in range(arguments.rounds):
            for n_workers in WORKERS:
                took, probas[n_workers] = fit(ensemble, X, y, n_workers)
                seconds[n_workers].append(took)
    print("| workers | seconds | ratio | same bits |")
    print("|---|---|---|---|")
    for n_workers in WORKERS:
        took = np.median(seconds[n_workers])
        ratio = np.median(np.divide(seconds[n_workers], seconds[1]))
        same = "yes" if np.array_equal(probas[n_workers], probas[1]) else "no"
        print(f"| {n_workers} | {took:.1f} | {ratio:.2f} | {same} |")


def fit(ensemble, X, y, n_workers: int) -> tuple[float, np.ndarray]:
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        for core, worker in enumerate(client.scheduler_info()["workers"]):
            client.run(keep_to, core, workers=[worker])
        client.run(warm_up, ensemble.estimator, X[:6], y[:6])
        start = time.perf_counter()
        if n_workers == 1:  # joblib would fit all members here, and not on the worker.
            fitted = client.submit(ensemble.fit, X, y).result()
        else:
            with parallel_config(backend="dask"):
                fitted = ensemble.fit(X, y)
        took = time.perf_counter() - start
    return took, fitted.oof_proba_


def keep_to(core: int) -> None:
    """Keep all threads of this process, and those they start, to one core."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})


def warm_up(network, X, y) -> None:
    network.set_params(cnn__epochs=1).fit(X, y, cnn__X_val=np.asarray(X), cnn__y_val=y)


if __name__ == "__main__":
    main()
