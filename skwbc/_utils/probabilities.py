"""Class probabilities that may be missing. Only NumPy is imported here."""

import numpy as np


def lacks_probabilities(proba: np.ndarray) -> np.ndarray:
    """Return, for each row of class probabilities, whether it has NaN.

    Parameters
    ----------
    proba : ndarray of shape (..., n_classes)
        Probabilities.

    Returns
    -------
    ndarray of shape (...), bool
    """
    return np.isnan(proba).any(axis=-1)


def most_probable(classes: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Return the most probable class of each sample.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The class labels.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If probabilities are NaN.
    """
    missing = lacks_probabilities(proba)
    if missing.any():
        raise ValueError(
            f"The predicted probabilities are NaN for {missing.sum()} of {len(proba)} "
            "samples, so there is no class to predict. Training may have diverged: "
            "check the warnings of fit, and fit again."
        )
    return classes[proba.argmax(axis=1)]


def entropies(proba: np.ndarray) -> np.ndarray:
    """Return the entropy of each row of class probabilities, in nats.

    Parameters
    ----------
    proba : ndarray of shape (..., n_classes)
        Probabilities. A row with NaN has the entropy NaN.

    Returns
    -------
    ndarray of shape (...)
    """
    # Not -0.0 for a sure row.
    return 0.0 - (proba * np.log(np.where(proba > 0, proba, 1.0))).sum(axis=-1)


def information_of(members: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the mutual information of class and member.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_samples, n_classes)
        Probabilities of each member.
    mean : ndarray of shape (n_samples, n_classes)
        Those of the ensemble.

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    information = entropies(mean) - np.nanmean(entropies(members), axis=0)
    # Rounding, and members that lack a class, can make it negative.
    return np.maximum(information, 0.0)
