"""Check class labels, name them, and encode them as positions of classes."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def as_labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Validate class labels, and return them with their classes.

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
        If `y` has values that are not class labels, or only one class.
    """
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return y, classes_of(y)


def classes_of(y: np.ndarray) -> np.ndarray:
    """Return the sorted classes of labels, at least two."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"y has only one class: {classes.tolist()[0]!r}; a classifier needs "
            "samples of at least 2 classes."
        )
    return classes


def label_names(y: Any, classes: Any) -> list[str]:
    """Return labels as text, equal labels as the text of their class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; 1.0 and True equal the class 1. Labels outside `classes` are allowed.
    classes : sequence of length n_classes
        The classes of the classifier.

    Returns
    -------
    list of str
    """
    names = {label: str(label) for label in classes}
    return [names.get(label, str(label)) for label in np.asarray(y).tolist()]


def true_names(y: Any, classes: Any, n_samples: int) -> list[str | None]:
    """Return the names of true labels, or a None per sample if there are no labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or None
        Labels, as for :func:`label_names`.
    classes : sequence of length n_classes
        The classes of the classifier.
    n_samples : int
        Number of samples.

    Returns
    -------
    list of str or None
    """
    return [None] * n_samples if y is None else list(label_names(y, classes))


def encode_labels(y: Any, classes: Any) -> np.ndarray:
    """Encode labels as positions in the classes of a classifier.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels. They may differ from the classes in type if they are equal.
    classes : array-like of shape (n_classes,)
        The classes of the classifier.

    Returns
    -------
    ndarray of shape (n_samples,), int

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    classes = np.asarray(classes).tolist()
    positions = {label: k for k, label in enumerate(classes)}
    labels = column_or_1d(y).tolist()
    unknown = sorted({str(label) for label in labels if label not in positions})
    if unknown:
        raise ValueError(
            f"The classifier does not know the labels {unknown}; its classes are "
            f"{[str(label) for label in classes]}."
        )
    return np.array([positions[label] for label in labels], dtype=np.intp)
