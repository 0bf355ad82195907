"""Fit an ensemble; test_ensemble_runs.py runs this script and kills it."""

import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from skwbc import KFoldEnsembleClassifier

LOG = Path("fits.txt")


class Tree(DecisionTreeClassifier):
    """A tree that writes a line when it is fitted, and can hang then."""

    def fit(self, X, y):
        with LOG.open("a") as file:
            file.write(f"{X.shape}\n")
        # No parameter or constant: the cache of members depends on those.
        while len(LOG.read_text().splitlines()) == int(sys.argv[-1]):
            time.sleep(0.1)
        return super().fit(X, y)


def main(memory, max_depth, output, _):
    X, y = load_iris(return_X_y=True)
    tree = Tree(max_features=1, max_depth=int(max_depth))
    ensemble = KFoldEnsembleClassifier(tree, memory=memory or None, random_state=0)
    np.save(output, ensemble.fit(X, y).predict_proba(X))


if __name__ == "__main__":
    main(*sys.argv[1:])
