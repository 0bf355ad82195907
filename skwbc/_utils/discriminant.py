"""Discriminant analysis for fewer samples than features."""

from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from skwbc._utils.sklearn_compat import check_sample_weight


class BalancedDiscriminant(ClassifierMixin, BaseEstimator):
    """Linear discriminant analysis [1]_ that counts all classes as equally frequent.

    All classes share one covariance matrix, which is shrunk by as much as the number of
    samples asks for [2]_, so there is nothing to choose.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (n_classes, n_features)
        Weights of the features.
    intercept_ : ndarray of shape (n_classes,)
        Constants of the scores.

    References
    ----------
    .. [1] R. A. Fisher. "The use of multiple measurements in taxonomic problems."
       Annals of Eugenics 7, 1936.
    .. [2] O. Ledoit, M. Wolf. "Honey, I shrunk the sample covariance matrix." Journal
       of Portfolio Management 30(4), 2004.
    """

    __module__ = "skwbc.recipes"  # the address in pickles

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts within its class; 1 by default. A weight that
            all samples of a class share only changes how much the class counts in the
            covariance matrix, since all classes count as equally frequent.

        Returns
        -------
        BalancedDiscriminant
            The classifier itself.

        Raises
        ------
        ValueError
            If there is one class only, or the weights of a class are zero.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {n_classes} "
                "class."
            )
        weights = check_sample_weight(sample_weight, X, ensure_non_negative=True)
        totals = np.bincount(codes, weights)
        if not (totals > 0).all():
            none = self.classes_[totals <= 0][0]
            raise ValueError(f"All samples of class {none} have a weight of zero.")
        means = np.zeros((n_classes, X.shape[1]))
        np.add.at(means, codes, X * weights[:, None])
        means /= totals[:, None]
        # On small matrices several threads only wait for each other.
        with threadpool_limits(1, user_api="blas"):
            covariance = _covariance(X - means[codes], weights, n_classes)
            self.coef_ = np.linalg.solve(covariance, means.T).T
        self.intercept_ = -0.5 * (self.coef_ * means).sum(axis=1)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return softmax(self._scores(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_.T + self.intercept_


def _covariance(rest: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the shrunk covariance of samples less their means, by Ledoit and Wolf.

    As `sklearn.covariance.ledoit_wolf`, which takes no weights.
    """
    n, n_features = weights.sum(), rest.shape[1]
    covariance = (rest * weights[:, None]).T @ rest / n
    mean = np.trace(covariance) / n_features
    square = (covariance**2).sum()
    fourth = (weights * (rest**2).sum(axis=1) ** 2).sum() / n
    noise, spread = (fourth - square) / n, square - n_features * mean**2
    shrinkage = min(1.0, noise / spread) if spread > 0 else 1.0
    covariance *= 1 - shrinkage
    # Features may be copies of each other, or without any variance.
    floor = 1e-9 * mean + np.finfo(float).tiny
    covariance.flat[:: n_features + 1] += shrinkage * mean + floor
    # Each mean takes one degree of freedom.
    return covariance * n / max(n - n_classes, 1)
