"""Checks of sample weights, class weights and validation sets."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.labels import check_labels
from skwbc._utils.lazy_arrays import select_rows
from skwbc._utils.sklearn_compat import check_sample_weight
from skwbc.augmentation._images import check_images


class ValidationSet(NamedTuple):
    """Images, the positions of their labels in the classes, and weights or None."""

    images: Any
    codes: np.ndarray
    weights: np.ndarray | None


def weigh(X: Any, y: np.ndarray, sample_weight: Any, class_weight: Any) -> tuple:
    """Combine sample and class weights; leave out samples of weight zero.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    y : ndarray of shape (n_samples,)
        Labels.
    sample_weight : array-like of shape (n_samples,) or None
        Weights of the samples.
    class_weight : dict, "balanced" or None
        Weights of the classes.

    Returns
    -------
    tuple
        Images, labels and weights (float32, or None if all are equal) of the samples
        whose weight is not zero.

    Raises
    ------
    ValueError
        If weights are negative or all zero, or their number differs from that of the
        samples.
    """
    if sample_weight is None and class_weight is None:
        return X, y, None
    if sample_weight is not None and not np.any(sample_weight):
        raise ValueError(
            "sample_weight is zero for all samples, so there is nothing to train on."
        )
    weights = check_sample_weight(
        sample_weight, y, dtype=np.float32, ensure_non_negative=True, copy=True
    )
    if class_weight is not None:
        factors = compute_sample_weight(class_weight, y)
        if (factors < 0).any():
            raise ValueError(f"class_weight={class_weight!r} has negative weights.")
        weights = weights * factors
        if not weights.any():
            raise ValueError(
                f"With class_weight={class_weight!r} the weights of all samples are "
                "zero, so there is nothing to train on."
            )
    kept = np.flatnonzero(weights)
    weights = weights.astype(np.float32)
    if len(kept) == len(y):
        return X, y, weights
    return select_rows(X, kept), y[kept], weights[kept]


def check_validation_set(
    X_val: Any,
    y_val: Any,
    sample_weight_val: Any,
    owner: str,
    image_shape: tuple[int, ...],
    classes: np.ndarray,
) -> ValidationSet | None:
    """Check a validation set against the training set.

    Parameters
    ----------
    X_val : array-like of shape (n_val, height, width, channels) or None
        Images.
    y_val : array-like of shape (n_val,) or None
        Labels.
    sample_weight_val : array-like of shape (n_val,) or None
        Weights.
    owner : str
        Name of the estimator, for the messages.
    image_shape : tuple of int
        The (height, width, channels) of the training images.
    classes : ndarray
        The sorted labels of the training images.

    Returns
    -------
    ValidationSet or None
        The samples whose weight is not zero; None if there are none.

    Raises
    ------
    ValueError
        If only one of images and labels is given, they do not fit the training set,
        or weights are negative.
    """
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        raise ValueError(
            "A validation set needs both X_val and y_val; got only "
            f"{'y_val' if X_val is None else 'X_val'}."
        )
    X_val = check_images(X_val, owner, image_shape=image_shape)
    y_val = check_labels(y_val, "y_val")
    check_consistent_length(X_val, y_val)
    if sample_weight_val is not None and not np.any(sample_weight_val):
        # The held-out fold of an ensemble's member may have no weight at all.
        check_consistent_length(X_val, sample_weight_val)
        return None
    X_val, y_val, weights = weigh(X_val, y_val, sample_weight_val, class_weight=None)
    unknown = np.setdiff1d(y_val, classes)
    if len(unknown):
        raise ValueError(
            f"y_val has labels that are not in y: {unknown.tolist()}. The classes in y "
            f"are {classes.tolist()}."
        )
    return ValidationSet(X_val, np.searchsorted(classes, y_val), weights)
