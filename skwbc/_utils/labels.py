"""Check class labels, name them, and encode them as positions of classes."""

from collections.abc import Mapping, Set, Sized
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

# Types of labels that do not mix. NumPy's strings and bytes are instances of Python's.
_KINDS: tuple[Any, ...] = (str, bytes, bool, np.bool_, (int, float, np.number))


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
        As for :func:`check_labels`, or if there is only one class.
    TypeError
        If labels are bytes.
    """
    labels = check_labels(y)
    return labels, classes_of(labels)


def check_labels(y: Any, name: str = "y") -> np.ndarray:
    """Validate class labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels: strings, whole numbers or booleans.
    name : str, default="y"
        Name of the argument, for the messages.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If `y` is missing or empty, has missing values, values that are not class
        labels, or labels of several types.
    TypeError
        If labels are bytes.
    """
    if y is None:
        raise ValueError(
            f"{name} should be a 1d array of class labels, one per sample; got None."
        )
    # NumPy would turn the missing values and the numbers in a list into strings.
    values = np.asarray(y) if hasattr(y, "__array__") else _as_objects(y, name)
    labels = column_or_1d(values, warn=True) if values.ndim != 1 else values
    if not len(labels):
        raise ValueError(f"{name} is empty; expected one class label per sample.")
    if np.ma.is_masked(y):
        _raise_if_any(np.ma.getmaskarray(y).ravel(), name, "label")
    if labels.dtype.kind == "T":  # NumPy's StringDType, which may have missing values
        labels = labels.astype(object)
    if labels.dtype == object:
        _check_objects(labels, name)
        # As NumPy does with a list. Objects that are numbers come from a data frame
        # with mixed columns, and scikit-learn refuses them, too.
        if not isinstance(getattr(y, "dtype", None), np.dtype):
            is_text = isinstance(labels[0], str) and hasattr(y, "__array__")
            labels = labels if is_text else np.array(labels.tolist())
        elif not isinstance(labels[0], str | bytes):
            raise ValueError(
                f"Unknown label type: {name} is an array of objects, which are "
                f"{type(labels[0]).__name__}. Convert it, with "
                f"{name}.astype({type(labels[0]).__name__})."
            )
    else:
        refuse_missing(name, labels, "label")
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    labels = column_or_1d(labels)
    if type_of_target(labels, input_name=name) == "continuous":
        first = int(np.flatnonzero(labels != np.round(labels))[0])
        raise ValueError(
            f"Unknown label type: continuous. {name}[{first}] is {labels[first]}; "
            "expected class labels: strings, whole numbers or booleans. To classify "
            "measurements, divide them into classes first, with numpy.digitize for "
            "example."
        )
    check_classification_targets(labels)
    return labels


def _as_objects(y: Any, name: str) -> np.ndarray:
    if isinstance(y, str | bytes | Mapping | Set) or not hasattr(y, "__len__"):
        raise ValueError(
            f"{name} should be a 1d array of class labels, one per sample; got a "
            f"{type(y).__name__}."
        )
    return np.array(y, dtype=object)


def _check_objects(labels: np.ndarray, name: str) -> None:
    """Check that no label is missing and that all are of one type."""
    refuse_missing(name, labels, "label")
    kinds: dict[Any, int] = {}
    for position, label in enumerate(labels):
        kind = next((k for k in _KINDS if isinstance(label, k)), type(label))
        kinds.setdefault(kind, position)
    if len(kinds) > 1 or not kinds.keys() <= set(_KINDS):
        examples = ", ".join(f"{name}[{k}] is {labels[k]!r}" for k in kinds.values())
        raise ValueError(
            f"Unknown label type: {examples}. Expected labels of one type: strings, "
            "whole numbers or booleans."
        )


def _differs(value: Any) -> bool:
    """Return whether a value does not equal itself, as NaN, or cannot say, as NA."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return not isinstance(value, Sized)


def refuse_missing(name: str, values: Any, entry: str) -> None:
    """Raise an error if a value is None, NaN or another missing value.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : array-like of shape (n_samples,)
        Its values.
    entry : str
        What one of them is, for the message: "label".

    Raises
    ------
    ValueError
        If values are missing.
    """
    # NumPy would turn missing values among the strings in a list into strings.
    as_is = None if hasattr(values, "__array__") else object
    array = np.asarray(values, dtype=as_is)
    if array.dtype.kind in "fmM":
        _raise_if_any(array != array, name, entry)
    elif array.dtype == object and array.ndim == 1:
        # NaN, pandas.NaT and pandas.NA do not equal themselves.
        missing = [each is None or _differs(each) for each in array]
        _raise_if_any(np.array(missing), name, entry)


def _raise_if_any(missing: np.ndarray, name: str, entry: str) -> None:
    positions = np.flatnonzero(missing)
    if len(positions):
        listing = ", ".join(map(str, positions[:5])) + ", ..." * (len(positions) > 5)
        raise ValueError(
            f"Input {name} contains NaN: {len(positions)} of {len(missing)} samples "
            f"have no {entry} (positions {listing}). Add it, or leave these samples "
            "out."
        )


def classes_of(y: np.ndarray) -> np.ndarray:
    """Return the sorted classes of labels, at least two."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"y has only one class: {classes.tolist()[0]!r}; a classifier needs "
            "samples of at least 2 classes."
        )
    return classes


def true_names(y: Any, classes: Any, n_samples: int) -> list[str | None]:
    """Return the names of true labels, or a None per sample if there are no labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or None
        Labels; 1.0 and True equal the class 1. Labels outside `classes` are allowed.
    classes : sequence of length n_classes
        The classes of the classifier.
    n_samples : int
        Number of samples.

    Returns
    -------
    list of str or None
    """
    if y is None:
        return [None] * n_samples
    names = {label: str(label) for label in classes}
    return [names.get(label, str(label)) for label in np.asarray(y).tolist()]


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
        If labels are missing, or a label is not among the classes.
    """
    classes = np.asarray(classes).tolist()
    positions = {label: k for k, label in enumerate(classes)}
    labels = column_or_1d(y).tolist()
    refuse_missing("y", y, "label")
    unknown = sorted({label for label in labels if label not in positions}, key=str)
    if unknown:
        raise ValueError(
            f"The classifier does not know the labels {unknown}; its classes are "
            f"{classes}."
        )
    return np.array([positions[label] for label in labels], dtype=np.intp)
