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

# Converges so far that weighted and repeated samples agree to 1e-9.
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
    vote = SoftVotingClassifier(PARTS, weights=weights).fit(X, y)
    plain = VotingClassifier(PARTS, voting="soft", weights=weights).fit(X, y)
    assert_allclose(vote.predict_proba(X), plain.predict_proba(X), rtol=1e-12)
    assert_allclose(vote.transform(X), plain.transform(X), rtol=1e-12)
    assert_array_equal(vote.predict(X), plain.predict(X))
    assert vote.n_features_in_ == 4
    assert len(vote.get_feature_names_out()) == vote.transform(X).shape[1]


def test_classifiers_get_the_labels_as_they_are(iris):
    """Class weights are set by label, and scikit-learn's vote would encode labels."""
    X, y = iris
    class_weight = {"setosa": 1, "versicolor": 9, "virginica": 1}
    linear = LogisticRegression(class_weight=class_weight, max_iter=500)
    vote = SoftVotingClassifier([("linear", linear)]).fit(X, y)
    assert_array_equal(vote.predict_proba(X), linear.fit(X, y).predict_proba(X))


@sklearn.config_context(enable_metadata_routing=True)
@pytest.mark.parametrize("within_folds", [False, True])
def test_metadata_follow_the_requests_of_the_classifiers(iris, within_folds):
    X, y = iris
    weights = np.random.default_rng(0).random(len(y))
    trees = HistGradientBoostingClassifier(early_stopping=True, max_iter=5)
    weighted = trees.set_fit_request(sample_weight=True)
    parts = [
        ("weighted", clone(LINEAR).set_fit_request(sample_weight=True)),
        ("plain", clone(LINEAR).set_fit_request(sample_weight=False)),
        ("trees", make_pipeline(weighted)),
        ("dropped", "drop"),
    ]
    vote = SoftVotingClassifier(parts)
    train, held_out = np.arange(150), []
    if within_folds:
        ensemble = KFoldEnsembleClassifier(vote, cv=3, random_state=0)
        ensemble.fit(X, y, sample_weight=weights)
        vote = ensemble.estimators_[0]
        train, held_out = ensemble.splits_[0]
    else:
        vote.fit(X, y, sample_weight=weights)
    expected = clone(LINEAR).fit(X[train], y[train], weights[train]).coef_
    assert_array_equal(vote.named_estimators_["weighted"].coef_, expected)
    expected = clone(LINEAR).fit(X[train], y[train]).coef_
    assert_array_equal(vote.named_estimators_["plain"].coef_, expected)
    if within_folds:
        alone = clone(trees).fit(
            X[train],
            y[train],
            weights[train],
            X_val=X[held_out],
            y_val=y[held_out],
            sample_weight_val=weights[held_out],
        )
        fitted = vote.named_estimators_["trees"][-1]
        assert_array_equal(fitted.validation_score_, alone.validation_score_)
    refused = SoftVotingClassifier([("linear", LINEAR)])
    with pytest.raises(ValueError, match="not explicitly set as requested"):
        refused.fit(X, y, sample_weight=weights)


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
def test_only_classifiers_that_can_use_the_held_out_fold_get_it(iris, routing):
    """In a pipeline it is transformed by a scaler that was fitted without it."""
    X, y = iris
    trees = HistGradientBoostingClassifier(
        early_stopping=True, max_iter=300, learning_rate=0.5
    )
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
    """A classifier that cannot take them gets an array, whatever the others take."""
    save_image_folder(cells.images, cells.target, tmp_path / "cells")
    lazy = load_image_folder(tmp_path / "cells", image_size=(24, 24), lazy=True)
    types = []

    class Spy(ImageAugmenter):
        def fit_transform(self, X, y=None, **params):
            types.append(type(X).__name__)
            return super().fit_transform(X, y, **params)

    class Rows(GaussianNB):
        def fit(self, X, y):
            types.append(type(X).__name__)
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
    assert types == [type(lazy.images).__name__, "ndarray"]
    images = np.asarray(lazy.images)
    assert_array_equal(
        clone(vote).fit(images, lazy.target).predict_proba(images), proba
    )


def test_a_class_that_one_classifier_lacks(cells):
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
    of_network, of_colours = np.split(vote.transform(X), 2, axis=1)
    assert (of_network == 0).all(axis=0).tolist() == [False, True, False]
    lacks = vote.classes_ == "monocyte"
    expected = np.where(lacks, of_colours * 3, of_network * 2 + of_colours)
    assert_allclose(proba, expected / expected.sum(axis=1, keepdims=True))


def test_classifiers_are_set_and_dropped_by_name(iris):
    X, y = iris
    # Parameters of the parts are set in place.
    vote = clone(SoftVotingClassifier(PARTS, weights=[2, 1]))
    vote.set_params(bayes__var_smoothing=0.1, linear="drop").fit(X, y)
    assert list(vote.named_estimators_) == ["bayes"]
    expected = GaussianNB(var_smoothing=0.1).fit(X, y).predict_proba(X)
    assert_allclose(vote.predict_proba(X), expected)
    assert vote.named_estimators["bayes"].var_smoothing == 0.1


def test_diagrams_show_the_classifiers():
    diagram = estimator_html_repr(KFoldEnsembleClassifier(SoftVotingClassifier(PARTS)))
    for name in ("linear", "StandardScaler", "bayes", "GaussianNB"):
        assert name in diagram


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
    with pytest.raises(ValueError, match="only one class: 'setosa'"):
        vote.fit(X[:10], y[:10])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        vote.fit(X, y[:10])
    with pytest.raises(NotFittedError):
        clone(vote).predict(X)
