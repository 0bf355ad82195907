"""Labels as positions in the classes of a classifier."""

from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d


def label_names(y: Any, classes: Any) -> list[str]:
    """Return what to call labels, equal ones by the name of the class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; 1.0 and True are the class 1. Others than the classes are allowed.
    classes : sequence of length n_classes
        What the classifier knows.

    Returns
    -------
    list of str
    """
    known = {label: str(label) for label in classes}
    return [known.get(label, str(label)) for label in np.asarray(y).tolist()]


def encode_labels(y: Any, classes: Any) -> np.ndarray:
    """Turn labels into positions in the classes of a classifier.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; of another type than the classes if they are equal.
    classes : array-like of shape (n_classes,)
        What the classifier knows.

    Returns
    -------
    ndarray of shape (n_samples,), int

    Raises
    ------
    ValueError
        If the classifier does not know a label.
    """
    known = np.asarray(classes).tolist()
    positions = {label: k for k, label in enumerate(known)}
    labels = column_or_1d(y).tolist()
    unknown = sorted({str(label) for label in labels if label not in positions})
    if unknown:
        raise ValueError(
            f"The classifier does not know the labels {unknown}; its classes are "
            f"{[str(label) for label in known]}."
        )
    return np.array([positions[label] for label in labels], dtype=np.intp)
