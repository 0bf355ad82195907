import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skwbc import KFoldEnsembleClassifier


@pytest.fixture(scope="module")
def iris():
    """Iris flowers, labelled by name."""
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="module")
def ensemble(iris):
    """An ensemble whose predictions for iris are uncertain."""
    member = LogisticRegression(max_iter=500, C=0.02)
    return KFoldEnsembleClassifier(member, random_state=0).fit(*iris)
