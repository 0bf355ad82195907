"""What members say together. Nothing but NumPy is imported here."""

import numpy as np


def average_members(proba: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average members' probabilities over those that know each class.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        NaN where a member does not know a class, or has nothing to say of a sample.
    weights : ndarray of shape (n_members,), default=None
        What each member counts; by default all the same.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Each class is averaged over the members that know it. A row in which they are
        not the same members for all classes is scaled to sum to one; a row that no
        member has anything to say of is NaN.
    """
    known = ~np.isnan(proba)
    if known.all():
        return np.average(proba, axis=0, weights=weights)
    if weights is None:
        weights = np.ones(len(proba))
    votes = np.tensordot(weights, known, axes=1)
    total = np.tensordot(weights, np.where(known, proba, 0.0), axes=1)
    partly = (known.any(axis=2) & ~known.all(axis=2)).any(axis=0)
    return mean_over_known(total, votes, partly)


def most_probable(proba: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class with the highest probability of each sample.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Averaged probabilities.
    classes : ndarray of shape (n_classes,)
        The labels of the columns.

    Returns
    -------
    ndarray of shape (n_samples,)
        Labels.

    Raises
    ------
    ValueError
        If there is NaN, of which none is the highest.
    """
    if np.isnan(proba).any():
        raise ValueError(
            "There are no probabilities for some samples, but NaN. Classifiers have "
            "diverged in their training, perhaps: look for warnings of fit, and fit "
            "again."
        )
    return classes[proba.argmax(axis=1)]


def first_choices(proba: np.ndarray) -> np.ndarray:
    """Return which class each member finds most probable.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        NaN where a member does not know a class, which it cannot choose then.

    Returns
    -------
    ndarray of shape (n_members, n_samples), int
        Positions of classes.
    """
    return np.nan_to_num(proba, nan=-1.0).argmax(axis=2)


def mean_over_known(
    total: np.ndarray, votes: np.ndarray, partly: np.ndarray
) -> np.ndarray:
    """Divide summed probabilities by the number of members that know each class.

    Parameters
    ----------
    total : ndarray of shape (n_samples, n_classes)
        Sums over the members.
    votes : ndarray of shape (n_samples, n_classes)
        How many members each sum is of, or the sum of their weights.
    partly : ndarray of shape (n_samples,), bool
        Where some member does not know all classes. Only these rows can fail to sum
        to one and are scaled; the others stay the exact mean.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        NaN in rows without any vote.
    """
    mean = np.divide(total, votes, out=np.zeros_like(total), where=votes > 0)
    mean[partly] /= mean[partly].sum(axis=1, keepdims=True)
    mean[~votes.any(axis=1)] = np.nan
    return mean
