"""Cross-conformal prediction sets, calibrated on the held-out samples."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skwbc._utils.probabilities import lacks_probabilities
from skwbc.ensemble._averaging import report_missing
from skwbc.ensemble._typicality import LEVEL

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
        0 for a class that the member was not fitted on. Samples for which it has no
        probabilities are left out.
    """
    scores = []
    for fold, (_, held_out) in zip(folds, splits, strict=True):
        kept = ~lacks_probabilities(fold.proba)
        is_true = fold.member.classes_ == y[held_out][kept][:, np.newaxis]
        scores.append(np.where(is_true, fold.proba[kept], 0.0).sum(axis=1, dtype=float))
    return scores


def prediction_sets(
    ensemble: Any,
    chunks: Iterable[tuple[np.ndarray, np.ndarray | None]],
    coverage: Any,
    *,
    empty_if_unlike: bool = False,
) -> np.ndarray:
    """Return the classes that each new sample may have at the given coverage.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier or OnnxClassifier
        Fitted.
    chunks : iterable of (proba, p)
        Some new samples each. The members' probabilities have the shape (n_members,
        n_rows, n_classes), with 0 for a class that a member was not fitted on. A member
        with NaN is left out for that sample. p has the p-values, or is None.
    coverage, empty_if_unlike : float, bool
        As in ``KFoldEnsembleClassifier.predict_set``.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), bool

    Raises
    ------
    ValueError
        If `coverage` is out of range, there are no held-out probabilities, or no
        p-values for `empty_if_unlike`, or no member has probabilities for some sample.

    Warns
    -----
    UserWarning
        If members are left out.
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
    sizes = np.array([len(scores) for scores in held_out])
    sets, missing = [], []
    for proba, p in chunks:
        missing.append(lacks_probabilities(proba))
        as_strange = np.zeros(proba.shape[1:], int)
        for scores, member, absent in zip(held_out, proba, missing[-1], strict=True):
            ranks = np.searchsorted(scores, member, side="right")
            as_strange += np.where(absent[:, np.newaxis], 0, ranks)
        n_compared = sizes @ ~missing[-1]
        # In whole samples; 1e-9 guards against rounding.
        too_few = np.floor((1 - coverage) * (n_compared + 1) + 1e-9)
        inside = as_strange >= too_few[:, np.newaxis]
        if empty_if_unlike:
            if p is None:
                raise ValueError(
                    "empty_if_unlike=True needs the typicality of samples, which this "
                    "ensemble does not have."
                )
            inside[p < LEVEL] = False
        sets.append(inside)
    report_missing(np.concatenate(missing, axis=1))
    return np.concatenate(sets)
