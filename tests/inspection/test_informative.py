"""Choice of the images to label next."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.inspection import most_informative
from skwbc.uncertainty import mutual_information


class Answers(ClassifierMixin, BaseEstimator):
    """An ensemble whose members answer what the samples say."""

    def __init__(self, n_members=3):
        self.n_members = n_members

    def fit(self, X=None, y=None):
        self.classes_ = np.arange(3)
        self.known_classes_ = np.ones((self.n_members, 3), bool)
        self._typical = None
        return self

    def predict_proba_members(self, X):
        return np.swapaxes(X, 0, 1)

    def _answer_in_chunks(self, X):
        yield self.predict_proba_members(X), None


# The doubts of three members: about the first two classes, or about the last two.
LEFT = [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.5, 0.5, 0.0]]
RIGHT = [[0.0, 0.2, 0.8], [0.0, 0.8, 0.2], [0.0, 0.5, 0.5]]
SURE = [[1.0, 0.0, 0.0]] * 3
# Uncertain, but members agree: more images would not help.
UNSURE = [[0.5, 0.5, 0.0]] * 3


def test_no_copies_of_one_doubt():
    X = np.array([SURE, *[LEFT] * 20, UNSURE, RIGHT])
    ensemble = Answers().fit()
    information = mutual_information(ensemble.predict_proba_members(X))
    assert (information[1:21] > information[22]).all()
    chosen, unlike = most_informative(ensemble, X, 2)
    assert chosen.tolist() == [1, 22]
    assert len(unlike) == 0
    chosen, _ = most_informative(ensemble, X, 100)
    assert sorted(chosen) == [*range(23)]
    # Samples that all members know, or that all of them doubt, teach least.
    assert set(chosen[-2:]) == {0, 21}


def test_members_without_probabilities_are_left_out():
    X = np.array([SURE, RIGHT, LEFT])
    X[2, 2] = np.nan
    with pytest.warns(UserWarning, match="left out of the mean: fold 3"):
        chosen, _ = most_informative(Answers().fit(), X, 3)
    assert chosen.tolist()[-1] == 0


def test_images_unlike_the_training_images_are_apart(cells):
    X, y = cells.images, cells.target
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    ensemble = KFoldEnsembleClassifier(member, cv=3, random_state=0).fit(X, y)
    new = np.concatenate([X[:3], X[3:6] ^ 4, 255 - X[6:8]])
    chosen, unlike = most_informative(ensemble, new, 50)
    assert set(unlike) >= {6, 7}
    assert not set(chosen) & set(unlike)
    # The model was trained on the first three.
    assert set(chosen) <= {3, 4, 5}


def test_wrong_use(iris):
    X, y = iris
    with pytest.raises(ValueError, match="compares members, but this ensemble has o"):
        most_informative(Answers(n_members=1).fit(), X[:, None, :3])
    with pytest.raises(ValueError, match="'n_images' parameter"):
        most_informative(Answers().fit(), X, 0)
    with pytest.raises(ValueError, match="'estimator' parameter"):
        most_informative(LogisticRegression(max_iter=500).fit(X, y), X)
