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
