"""Cross-conformal prediction sets, calibrated on the held-out samples."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skwbc.ensemble._folds import Split
    from skwbc.ensemble._members import FittedFold


def true_class_proba(
    folds: "Sequence[FittedFold]", splits: "Sequence[Split]", y: np.ndarray
) -> list[np.ndarray]:
    """Return the probabilities that members give the true classes of held-out samples.

    Parameters
    ----------
    folds : sequence of FittedFold
        The members and their held-out probabilities.
    splits : sequence of (ndarray, ndarray)
        Training and held-out indices of each.
    y : ndarray of shape (n_samples,)
        The labels of all samples.

    Returns
    -------
    list of ndarray of shape (n_held_out,), float64
        0 for a class that the member was not fitted on.
    """
    scores = []
    for fold, (_, held_out) in zip(folds, splits, strict=True):
        is_true = fold.member.classes_ == y[held_out][:, np.newaxis]
        scores.append(np.where(is_true, fold.proba, 0.0).sum(axis=1, dtype=float))
    return scores


def prediction_sets(
    ensemble: Any, chunks: Iterable[np.ndarray], coverage: Any
) -> np.ndarray:
    """Return the classes that each new sample may have at the given coverage.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier or OnnxClassifier
        Fitted.
    chunks : iterable of ndarray of shape (n_members, n_rows, n_classes)
        The members' probabilities for new samples, some rows at a time; NaN for a class
        that a member was not fitted on.
    coverage : float
        As in ``KFoldEnsembleClassifier.predict_set``.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), bool

    Raises
    ------
    ValueError
        If `coverage` is out of range, or there are no held-out probabilities.
    """
    if not isinstance(coverage, int | float | np.floating) or not 0 < coverage < 1:
        raise ValueError(
            f"coverage={coverage!r}; expected a number above 0 and below 1, such as "
            "0.9."
        )
    if not hasattr(ensemble, "_held_out_true_proba"):
        raise ValueError(
            "This ensemble has no held-out probabilities, which prediction sets are "
            "computed from. Use fit instead of from_cross_validate, and train it again "
            "if an earlier version of skwbc saved it."
        )
    held_out = [np.sort(scores) for scores in ensemble._held_out_true_proba]
    n_held_out = sum(map(len, held_out))
    # In whole samples; 1e-9 guards against rounding.
    too_few = math.floor((1 - coverage) * (n_held_out + 1) + 1e-9)
    sets = []
    for proba in chunks:
        as_strange = np.zeros(proba.shape[1:], int)
        for scores, member in zip(held_out, np.nan_to_num(proba), strict=True):
            as_strange += np.searchsorted(scores, member, side="right")
        sets.append(as_strange >= too_few)
    return np.concatenate(sets)
