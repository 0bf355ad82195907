"""How unsure an ensemble is, from the probabilities of its members.

All functions take what ``KFoldEnsembleClassifier.predict_proba_members`` returns: an
array of shape (n_members, n_samples, n_classes), with NaN for a class that a member was
never shown. Such a class is left out of that member's vote, as it is when the ensemble
predicts.
"""

from typing import Any

import numpy as np

from skwbc._averaging import average_members

__all__ = ["mutual_information", "predictive_entropy", "vote_disagreement"]


def predictive_entropy(proba_members: Any) -> np.ndarray:
    """Return the entropy of the mean of the members' probabilities.

    It is high where an image could be one class or another, be it because the members
    say so or because they contradict each other [1]_.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.

    Returns
    -------
    ndarray of shape (n_samples,)
        In nats, from 0 to ``log(n_classes)``.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell. "Simple and scalable predictive
       uncertainty estimation using deep ensembles." NeurIPS 2017.

    Examples
    --------
    >>> from skwbc.uncertainty import predictive_entropy
    >>> predictive_entropy([[[1.0, 0.0]], [[0.0, 1.0]]]).round(3)
    array([0.693])
    """
    return _entropy(average_members(_check(proba_members)))


def mutual_information(proba_members: Any) -> np.ndarray:
    """Return what knowing the member would tell of the class.

    The entropy of the mean less the mean of the entropies: it is high where members are
    sure and contradict each other, and zero where they agree, however unsure they are
    [1]_. The first is cured by more training images, the second is not.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.

    Returns
    -------
    ndarray of shape (n_samples,)
        In nats, from 0 to ``log(min(n_members, n_classes))``.

    References
    ----------
    .. [1] N. Houlsby, F. Huszár, Z. Ghahramani, M. Lengyel. "Bayesian active learning
       for classification and preference learning." arXiv:1112.5745, 2011.

    Examples
    --------
    >>> from skwbc.uncertainty import mutual_information
    >>> mutual_information([[[1.0, 0.0]], [[0.0, 1.0]]]).round(3)
    array([0.693])
    >>> mutual_information([[[0.5, 0.5]], [[0.5, 0.5]]]).round(3)
    array([0.])
    """
    proba = _check(proba_members)
    of_mean = _entropy(average_members(proba))
    mean_of = _entropy(np.nan_to_num(proba)).mean(axis=0)
    # Rounding, and members that do not know all classes, can take it below zero.
    return np.maximum(of_mean - mean_of, 0.0)


def vote_disagreement(proba_members: Any) -> np.ndarray:
    """Return the part of the members that do not vote for the most voted class.

    This is the variation ratio [1]_ of the members' first choices.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.

    Returns
    -------
    ndarray of shape (n_samples,)
        From 0, all agree, to below 1.

    References
    ----------
    .. [1] L. C. Freeman. "Elementary applied statistics: for students in behavioral
       science." Wiley, 1965.

    Examples
    --------
    >>> from skwbc.uncertainty import vote_disagreement
    >>> vote_disagreement([[[0.9, 0.1]], [[0.6, 0.4]], [[0.2, 0.8]]]).round(3)
    array([0.333])
    """
    proba = _check(proba_members)
    choices = np.nan_to_num(proba, nan=-1.0).argmax(axis=2)
    votes = (choices[..., np.newaxis] == np.arange(proba.shape[2])).sum(axis=0)
    return 1.0 - votes.max(axis=1) / len(proba)


def _check(proba_members: Any) -> np.ndarray:
    proba = np.asarray(proba_members, dtype=float)
    if proba.ndim != 3 or 0 in proba.shape:
        raise ValueError(
            "Expected probabilities of shape (n_members, n_samples, n_classes), got "
            f"{proba.shape}. predict_proba_members returns them."
        )
    sums = np.nansum(proba, axis=2)
    if (proba < 0).any() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            "Expected probabilities: numbers from 0 that sum to 1 over the classes of "
            "each member and sample."
        )
    return proba


def _entropy(proba: np.ndarray) -> np.ndarray:
    logs = np.log(proba, out=np.zeros_like(proba), where=proba > 0)
    return -(proba * logs).sum(axis=-1)
