"""The discriminant analysis of the recipes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.estimator_checks import parametrize_with_checks

from skwbc.recipes import BalancedDiscriminant


@parametrize_with_checks([BalancedDiscriminant()])
def test_conformity(estimator, check):
    check(estimator)


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 6, 4])
    return rng.normal(size=(40, 60)) + np.eye(60)[y] * 3, y


def test_equals_a_discriminant_with_that_covariance(samples):
    X, y = samples
    means = np.array([X[y == c].mean(axis=0) for c in range(3)])
    covariance, _ = ledoit_wolf(X - means[y], assume_centered=True)
    covariance *= 40 / 37
    expected = np.linalg.solve(covariance, means.T).T
    assert_allclose(BalancedDiscriminant().fit(X, y).coef_, expected, rtol=1e-6)


def test_rare_classes_are_found(samples):
    X, y = samples
    X_new = np.random.default_rng(1).normal(size=(300, 60))
    y_new = np.arange(300) % 3
    X_new += np.eye(60)[y_new] * 3
    recall = []
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    for classifier in (plain, BalancedDiscriminant()):
        predicted = classifier.fit(X, y).predict(X_new)
        recall.append(np.mean(predicted[y_new > 0] == y_new[y_new > 0]))
    assert recall[1] > recall[0]


@pytest.mark.parametrize("constant", [True, False])
def test_features_without_information_do_no_harm(samples, constant):
    X, y = samples
    more = np.ones((40, 1)) if constant else X[:, :1]
    proba = BalancedDiscriminant().fit(np.hstack([X, more]), y).predict_proba
    assert np.isfinite(proba(np.hstack([X, more]))).all()


def test_class_without_weight(samples):
    X, y = samples
    with pytest.raises(ValueError, match="All samples of class 2 have a weight of"):
        BalancedDiscriminant().fit(X, y, (y < 2).astype(float))
