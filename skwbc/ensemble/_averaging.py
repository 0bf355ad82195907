"""Combine the probabilities of members. Only NumPy is imported here."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class MeanOfMembers:
    """Mixin for classifiers that average ``predict_proba`` of fitted `estimators_`."""

    estimators_: list[Any]
    classes_: np.ndarray
    predict_proba: Callable[[Any], np.ndarray]

    # Missing if the first member lacks them. The classes document them as attributes; a
    # docstring here would make links of those.
    @property
    def n_features_in_(self) -> int:
        return self.estimators_[0].n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimators_[0].feature_names_in_

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the mean of the members' class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the highest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.

        Raises
        ------
        ValueError
            If the probabilities of all members are NaN for some sample.
        """
        proba = self.predict_proba(X)
        if np.isnan(proba).any():
            raise ValueError(
                "Predicted probabilities are NaN for some samples. Training may have "
                "diverged: check the warnings of fit, and fit again."
            )
        return self.classes_[proba.argmax(axis=1)]


def in_columns(
    proba: np.ndarray, known: np.ndarray, classes: np.ndarray, fill: float
) -> np.ndarray:
    """Place the probabilities of a member in columns for all classes.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_known)
        Probabilities of the member.
    known : ndarray of shape (n_known,)
        The classes that the member was fitted on.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.
    fill : float
        Value for the other classes.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    out = np.full((len(proba), len(classes)), fill)
    out[:, np.searchsorted(classes, known)] = proba
    return out


def stack_members(
    members: Sequence[Any], probas: Sequence[np.ndarray], classes: np.ndarray
) -> np.ndarray:
    """Stack the probabilities of members that may not know all classes.

    Parameters
    ----------
    members : sequence of length n_members
        Fitted classifiers.
    probas : sequence of ndarray of shape (n_samples, n_known_classes)
        Probabilities of each.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_members, n_samples, n_classes)
        NaN for a class that a member was not fitted on.
    """
    return np.stack(
        [
            in_columns(proba, member.classes_, classes, np.nan)
            for member, proba in zip(members, probas, strict=True)
        ]
    )


def average_members(proba: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average probabilities over the members that know each class.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        NaN where a member was not fitted on a class, or has no probability.
    weights : ndarray of shape (n_members,), default=None
        Weight of each member; by default all are equal.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        A row in which not all classes have the same members is scaled to sum to one. A
        row without any probability is NaN.
    """
    present = ~np.isnan(proba)
    if present.all():
        return np.average(proba, axis=0, weights=weights)
    if weights is None:
        weights = np.ones(len(proba))
    votes = np.tensordot(weights, present, axes=1)
    total = np.tensordot(weights, np.where(present, proba, 0.0), axes=1)
    mean = np.divide(total, votes, out=np.full_like(total, np.nan), where=votes > 0)
    # Only rows with members that lack a class can fail to sum to one. The others stay
    # the exact mean.
    incomplete = (present.any(axis=2) & ~present.all(axis=2)).any(axis=0)
    mean[incomplete] = np.nan_to_num(mean[incomplete])
    mean[incomplete] /= mean[incomplete].sum(axis=1, keepdims=True)
    return mean


def first_choices(proba: np.ndarray) -> np.ndarray:
    """Return the class that each member finds most probable.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        NaN where a member was not fitted on a class, which it cannot choose then.

    Returns
    -------
    ndarray of shape (n_members, n_samples), int
        Positions of classes.
    """
    return np.nan_to_num(proba, nan=-1.0).argmax(axis=2)


def count_agreeing(proba_members: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Count the members whose first choice is that of the ensemble.

    Parameters
    ----------
    proba_members : ndarray of shape (n_members, n_samples, n_classes)
        Probabilities of each member.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the ensemble.

    Returns
    -------
    ndarray of shape (n_samples,), int
    """
    return (first_choices(proba_members) == proba.argmax(axis=1)).sum(axis=0)
