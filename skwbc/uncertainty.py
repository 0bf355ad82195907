"""Measures of uncertainty and calibration.

The measures of disagreement take the return value of
``KFoldEnsembleClassifier.predict_proba_members``: an array of shape (n_members,
n_samples, n_classes). Members without probabilities for a sample (NaN) are left out
there, as when the ensemble predicts.
:func:`expected_calibration_error` takes the return value of ``predict_proba``, or
``oof_proba_``.
"""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length

from skwbc._utils.labels import encode_labels
from skwbc._utils.probabilities import (
    entropies,
    information_of,
    lacks_probabilities,
)
from skwbc._utils.sklearn_compat import Interval, validated
from skwbc.ensemble._averaging import average_members, first_choices

__all__ = [
    "expected_calibration_error",
    "mutual_information",
    "predictive_entropy",
    "vote_disagreement",
]


# Confidences such as 3 * 0.2, or 0.6 in single precision, exceed the edge they lie on.
_ROUNDING = 1e-6


def predictive_entropy(proba_members: Any, *, known_classes: Any = None) -> np.ndarray:
    """Return the entropy of the mean of the members' probabilities.

    It is high for an image that could belong to several classes, either because each
    member is uncertain or because the members contradict each other [1]_.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.
    known_classes : array-like of shape (n_members, n_classes), bool, default=None
        The ensemble's `known_classes_`. By default all members know all classes.

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
    proba, mask = check_members(proba_members, known_classes)
    return entropies(average_members(proba, mask))


def mutual_information(proba_members: Any, *, known_classes: Any = None) -> np.ndarray:
    """Return the mutual information of the class and the member.

    This is the entropy of the mean minus the mean of the entropies. It is high if the
    members are certain and contradict each other, and zero if they agree, however
    uncertain they are [1]_. More training images reduce disagreement, but not the
    uncertainty on which members agree.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.
    known_classes : array-like of shape (n_members, n_classes), bool, default=None
        The ensemble's `known_classes_`. By default all members know all classes.

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
    proba, mask = check_members(proba_members, known_classes)
    return information_of(proba, average_members(proba, mask))


def vote_disagreement(proba_members: Any) -> np.ndarray:
    """Return the fraction of members that do not vote for the most voted class.

    This is the variation ratio [1]_ of the members' first choices.

    Parameters
    ----------
    proba_members : array-like of shape (n_members, n_samples, n_classes)
        Class probabilities of each member.

    Returns
    -------
    ndarray of shape (n_samples,)
        From 0 if all agree, to below 1.

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
    proba, _ = check_members(proba_members)
    choices = first_choices(proba)
    votes = (choices[..., np.newaxis] == np.arange(proba.shape[2])).sum(axis=0)
    return 1.0 - votes.max(axis=1) / votes.sum(axis=1)


@validated(
    y_true=["array-like"],
    y_proba=["array-like"],
    classes=["array-like"],
    n_bins=[Interval(Integral, 1, None, closed="left")],
)
def expected_calibration_error(
    y_true: Any, y_proba: Any, *, classes: Any, n_bins: int = 10
) -> float:
    """Return the expected calibration error of the most probable classes.

    Samples are sorted into bins of equal width by the probability of their most
    probable class, the confidence. In each bin the mean confidence is compared with the
    accuracy of these classes. The error is the mean of the absolute differences,
    weighted by the number of samples in the bins [1]_ [2]_.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels, all of them in `classes`.
    y_proba : array-like of shape (n_samples, n_classes)
        Class probabilities. Rows with NaN are left out: `oof_proba_` has them for
        samples without out-of-fold probabilities.
    classes : array-like of shape (n_classes,)
        The labels of the columns of `y_proba`: ``estimator.classes_``.
    n_bins : int, default=10
        Number of bins between 0 and 1. A bin includes its upper edge and not its lower
        one, as in [2]_; the first one also includes 0. A confidence that exceeds an
        edge by less than 1e-6 lies on it up to rounding.

    Returns
    -------
    float
        From 0, if accuracy equals confidence in every bin, to 1.

    Raises
    ------
    ValueError
        If lengths, labels or probabilities are invalid, or all rows have NaN.

    See Also
    --------
    skwbc.inspection.ReliabilityDisplay : Plot of the bins.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht. "Obtaining well calibrated
       probabilities using Bayesian binning." AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. "On calibration of modern neural
       networks." ICML 2017.

    Examples
    --------
    >>> from skwbc.uncertainty import expected_calibration_error
    >>> proba = [[0.75, 0.25], [0.75, 0.25], [0.75, 0.25], [0.75, 0.25]]
    >>> expected_calibration_error([0, 0, 0, 1], proba, classes=[0, 1])
    0.0
    >>> expected_calibration_error([0, 0, 1, 1], proba, classes=[0, 1])
    0.25
    """
    bins = sort_by_confidence(y_true, y_proba, classes=classes, n_bins=n_bins)
    return bins.calibration_error


class ConfidenceBins(NamedTuple):
    """Samples in bins by the probability of their most probable class.

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
        Number of samples in each bin.
    confidence : ndarray of shape (n_bins,)
        Sum of their highest probabilities.
    right : ndarray of shape (n_bins,)
        How many of them are predicted correctly.
    n_left_out : int
        Number of samples without probabilities.
    """

    counts: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    n_left_out: int

    @property
    def calibration_error(self) -> float:
        """The expected calibration error."""
        surplus = np.abs(self.confidence - self.right).sum()
        return float(surplus / self.counts.sum())


def sort_by_confidence(
    y_true: Any, y_proba: Any, *, classes: Any, n_bins: int
) -> ConfidenceBins:
    """Sort samples into bins, for :func:`expected_calibration_error`."""
    proba = check_array(
        y_proba, dtype=float, ensure_all_finite="allow-nan", input_name="y_proba"
    )
    check_consistent_length(proba, y_true)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"y_proba has {proba.shape[1]} columns, but there are {len(classes)} "
            "classes. Expected one column per class."
        )
    truth = encode_labels(y_true, classes)
    kept = ~lacks_probabilities(proba)
    proba, truth = proba[kept], truth[kept]
    if not len(proba):
        raise ValueError(
            "Each row of y_proba has NaN. Expected probabilities for at least one "
            "sample."
        )
    if (proba < 0).any() or not np.allclose(proba.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            "y_proba has rows that are not probabilities. Expected numbers of at least "
            "0 that sum to 1 over the classes."
        )
    highest = proba.max(axis=1)
    right = proba.argmax(axis=1) == truth
    edges = np.arange(1, n_bins + 1) / n_bins
    bins = np.searchsorted(edges + _ROUNDING, highest).clip(max=n_bins - 1)
    return ConfidenceBins(
        np.bincount(bins, minlength=n_bins),
        np.bincount(bins, highest, minlength=n_bins),
        np.bincount(bins, right, minlength=n_bins),
        int((~kept).sum()),
    )


def check_members(
    proba_members: Any, known_classes: Any = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Validate the probabilities of members and the mask of the classes they know."""
    proba = np.asarray(proba_members, dtype=float)
    if proba.ndim != 3 or 0 in proba.shape:
        raise ValueError(
            "Expected probabilities of shape (n_members, n_samples, n_classes), got "
            f"{proba.shape}. predict_proba_members returns them."
        )
    missing = lacks_probabilities(proba)
    if missing.all(axis=0).any():
        raise ValueError(
            f"All members have NaN for {missing.all(axis=0).sum()} samples. Expected "
            "probabilities from at least one member for each sample."
        )
    valid = proba[~missing]
    if (valid < 0).any() or not np.allclose(valid.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            "Expected probabilities: numbers of at least 0 that sum to 1 over the "
            "classes for each member and sample."
        )
    if known_classes is None:
        return proba, None
    mask = np.asarray(known_classes)
    if mask.dtype != bool or mask.shape != (proba.shape[0], proba.shape[2]):
        raise ValueError(
            f"known_classes is an array of {mask.dtype} of shape {mask.shape}; "
            f"expected bool of shape {(proba.shape[0], proba.shape[2])}, as "
            "known_classes_ of the ensemble has it."
        )
    return proba, mask
