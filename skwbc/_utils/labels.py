"""Class labels: checked, named, and as positions in the classes of a classifier."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def as_labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return class labels as an array, and their classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        The labels.
    classes : ndarray of shape (n_classes,)
        The sorted classes, at least two.

    Raises
    ------
    ValueError
        If `y` does not hold class labels, or holds only one class.
    """
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return y, classes_of(y)


def classes_of(y: np.ndarray) -> np.ndarray:
    """Return the sorted classes of labels, at least two."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"y holds the one class {classes.tolist()[0]!r}; a classifier needs "
            "samples of at least 2 classes."
        )
    return classes


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
