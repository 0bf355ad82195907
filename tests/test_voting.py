"""Classifiers whose probabilities are averaged."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from skwbc import (
    CNNClassifier,
    ColourStatistics,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
)
from skwbc.datasets import load_image_folder, save_image_folder

# Ends where weighted and repeated samples are the same to 1e-9, whatever was rounded.
LINEAR = LogisticRegression(solver="newton-cholesky", tol=1e-10)
PARTS = [
    ("linear", make_pipeline(StandardScaler(), LINEAR)),
    ("bayes", GaussianNB()),
]


@parametrize_with_checks([SoftVotingClassifier(PARTS, weights=[2, 1])])
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.mark.parametrize("weights", [None, [3, 1]])
def test_equals_that_of_scikit_learn(iris, weights):
    X, y = iris
    ours = SoftVotingClassifier(PARTS, weights=weights).fit(X, y)
    theirs = VotingClassifier(PARTS, voting="soft", weights=weights).fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.n_features_in_ == 4


def test_weights_of_samples_reach_the_steps_of_pipelines(iris):
    X, y = iris
    counts = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = SoftVotingClassifier(PARTS).fit(X, y, sample_weight=counts)
    repeated = SoftVotingClassifier(PARTS).fit(
        np.repeat(X, counts, 0), y.repeat(counts)
    )
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
    with pytest.raises(TypeError, match="sample_weight"):
        SoftVotingClassifier([("near", KNeighborsClassifier())]).fit(X, y, counts)


@pytest.mark.parametrize("routing", [False, True])
def test_only_those_that_watch_are_given_the_held_out_fold(iris, routing):
    """Behind a scaler it is scaled, too; the scaler never saw it."""
    X, y = iris
    trees = HistGradientBoostingClassifier(early_stopping=True, max_iter=300)
    watcher = make_pipeline(StandardScaler(), trees)
    member = SoftVotingClassifier([("trees", watcher), *PARTS])
    ensemble = KFoldEnsembleClassifier(member, cv=3, random_state=0)
    with sklearn.config_context(enable_metadata_routing=routing):
        ensemble.fit(X, y)
    for fitted, (train, held_out) in zip(
        ensemble.estimators_, ensemble.splits_, strict=True
    ):
        scaler, watched = fitted.named_estimators_["trees"]
        assert_allclose(scaler.mean_, X[train].mean(axis=0))
        alone = clone(watched).fit(
            scaler.transform(X[train]),
            y[train],
            X_val=scaler.transform(X[held_out]),
            y_val=y[held_out],
        )
        assert watched.n_iter_ == alone.n_iter_ < 300
        bayes = GaussianNB().fit(X[train], y[train])
        assert_array_equal(
            fitted.named_estimators_["bayes"].predict_proba(X), bayes.predict_proba(X)
        )


def test_images_stay_in_their_files(cells, tmp_path):
    """A part that takes arrays alone is given one, whatever the others take."""
    save_image_folder(cells.images, cells.target, tmp_path / "cells")
    lazy = load_image_folder(tmp_path / "cells", image_size=(24, 24), lazy=True)
    seen = []

    class Spy(ImageAugmenter):
        def fit_transform(self, X, y=None, **params):
            seen.append(type(X).__name__)
            return super().fit_transform(X, y, **params)

    class Rows(GaussianNB):
        def fit(self, X, y):
            seen.append(type(X).__name__)
            return super().fit(X.reshape(len(X), -1), y)

        def predict_proba(self, X):
            return super().predict_proba(X.reshape(len(X), -1))

    cnn = CNNClassifier(epochs=1, model__filters=(4, 8), random_state=0)
    vote = SoftVotingClassifier(
        [
            ("network", make_pipeline(Spy(rescale=1 / 255), cnn)),
            (
                "colours",
                make_pipeline(
                    ColourStatistics(), StandardScaler(), LogisticRegression()
                ),
            ),
            ("rows", Rows()),
        ]
    )
    proba = clone(vote).fit(lazy.images, lazy.target).predict_proba(lazy.images)
    assert seen == [type(lazy.images).__name__, "ndarray"]
    images = np.asarray(lazy.images)
    assert_array_equal(
        clone(vote).fit(images, lazy.target).predict_proba(images), proba
    )


def test_a_class_that_one_part_does_not_know(cells):
    """The network leaves out samples of weight zero, and with them a class."""
    X = cells.images / 255
    weight = (cells.target != "monocyte").astype(float)
    linear = LogisticRegression(max_iter=1000)
    vote = SoftVotingClassifier(
        [
            ("network", CNNClassifier(epochs=1, model__filters=(4, 8), random_state=0)),
            ("colours", make_pipeline(ColourStatistics(), StandardScaler(), linear)),
        ],
        weights=[2, 1],
    )
    proba = vote.fit(X, cells.target, sample_weight=weight).predict_proba(X)
    assert vote.named_estimators_["network"].classes_.tolist() == [
        "eosinophil",
        "neutrophil",
    ]
    assert vote.classes_.tolist() == ["eosinophil", "monocyte", "neutrophil"]
    assert_allclose(proba.sum(axis=1), 1)


def test_parts_are_set_searched_and_dropped_by_name(iris):
    X, y = iris
    vote = SoftVotingClassifier(PARTS, weights=[2, 1])
    vote.set_params(bayes__var_smoothing=0.1, linear="drop").fit(X, y)
    assert list(vote.named_estimators_) == ["bayes"]
    expected = GaussianNB(var_smoothing=0.1).fit(X, y).predict_proba(X)
    assert_allclose(vote.predict_proba(X), expected)
    assert vote.named_estimators["bayes"].var_smoothing == 0.1


def test_diagrams_show_the_parts():
    shown = estimator_html_repr(KFoldEnsembleClassifier(SoftVotingClassifier(PARTS)))
    for name in ("linear", "StandardScaler", "bayes", "GaussianNB"):
        assert name in shown


@pytest.mark.parametrize(
    ("estimators", "weights", "message"),
    [
        ([], None, "non-empty list of .string, estimator. tuples"),
        ([("bayes", "drop")], None, "All estimators are dropped"),
        ([GaussianNB()], None, "non-empty list of .string, estimator. tuples"),
        ([("a", GaussianNB()), ("a", GaussianNB())], None, "not unique"),
        ([("a__b", GaussianNB())], None, "must not contain __"),
        ([("line", Perceptron())], None, "'line' is a Perceptron; expected a classif"),
        ([("svc", SVC())], None, "'svc' is a SVC; expected a classifier with predict"),
        ([("scaler", StandardScaler())], None, "StandardScaler should be a classifier"),
        (PARTS, [1], "expected 2 numbers, one per estimator"),
        (PARTS, [1, -1], "none of them negative"),
        (PARTS, [0, 0], "not all of them zero"),
        (PARTS, [1, np.nan], "expected 2 numbers"),
        (PARTS, "both", "The 'weights' parameter"),
        ("bayes", None, "The 'estimators' parameter"),
    ],
)
def test_wrong_parameters(iris, estimators, weights, message):
    with pytest.raises(ValueError, match=message):
        SoftVotingClassifier(estimators, weights=weights).fit(*iris)


def test_wrong_samples(iris):
    X, y = iris
    vote = SoftVotingClassifier(PARTS)
    with pytest.raises(ValueError, match="one class 'setosa'"):
        vote.fit(X[:10], y[:10])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        vote.fit(X, y[:10])
    with pytest.raises(NotFittedError):
        clone(vote).predict(X)
