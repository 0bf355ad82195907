"""Fits an ensemble of slow members; run, and killed, by test_ensemble_runs.py."""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from skwbc import KFoldEnsembleClassifier


class SlowTree(DecisionTreeClassifier):
    """Writes a line when it is fitted, and takes its time."""

    log = Path("fits.txt")

    def fit(self, X, y):
        with open(self.log, "a") as file:
            file.write(f"{X.shape}\n")
        time.sleep(1)
        return super().fit(X, y)


def main(memory, max_depth, output):
    X, y = load_iris(return_X_y=True)
    tree = SlowTree(max_features=1, max_depth=int(max_depth))
    ensemble = KFoldEnsembleClassifier(tree, memory=memory or None, random_state=0)
    np.save(output, ensemble.fit(X, y).predict_proba(X))


if __name__ == "__main__":
    main(*sys.argv[1:])
