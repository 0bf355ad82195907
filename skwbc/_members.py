"""One member of a fold ensemble being fitted, and several being averaged."""

import time
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from skwbc._progress import report
from skwbc._sklearn_compat import safe_indexing
from skwbc._validation_set import fit_member


def fit_one_fold(
    member: Any,
    X: Any,
    y: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    params: dict[str, Any],
    *,
    watch: bool,
    route: bool,
    fold: int,
    n_folds: int,
) -> tuple[Any, np.ndarray, float, float]:
    """Fit a member on its fold and predict what was held out.

    Parameters
    ----------
    member : estimator
        Unfitted; fitted in place.
    X, y : array-like of shape (n_samples, ...), ndarray of shape (n_samples,)
        All samples.
    split : (ndarray of int, ndarray of int)
        Training and held-out indices.
    params : dict
        For ``fit``; what has an entry for each sample is sliced.
    watch : bool
        Whether the member is given its held-out fold to watch.
    route : bool
        As in :func:`~skwbc._validation_set.fit_member`.
    fold, n_folds : int
        Which fold it is, from 1, and of how many.

    Returns
    -------
    member : estimator
    proba : ndarray of shape (n_held_out, n_known_classes)
        Its probabilities for the held-out samples.
    score : float
        Its accuracy on them.
    seconds : float
        How long it all took.
    """
    report("fold_started", fold=fold, n_folds=n_folds)
    start = time.perf_counter()
    train, held_out = split
    X_held_out = safe_indexing(X, held_out)
    params = {
        name: safe_indexing(value, train) if _is_per_sample(value, len(y)) else value
        for name, value in params.items()
    }
    if watch:
        # A member cannot be told of a class that it is not trained on.
        known = np.isin(y[held_out], y[train])
        if known.any():
            rows = held_out[known]
            params["X_val"] = X_held_out if known.all() else safe_indexing(X, rows)
            params["y_val"] = y[rows]
    try:
        fit_member(member, safe_indexing(X, train), y[train], params, route=route)
        proba = np.asarray(member.predict_proba(X_held_out))
    except Exception as error:
        error.add_note(f"This happened in fold {fold} of {n_folds} of the ensemble.")
        raise
    best = member.classes_[proba.argmax(axis=1)]
    score = float(accuracy_score(y[held_out], best))
    return member, proba, score, time.perf_counter() - start


def _is_per_sample(value: Any, n_samples: int) -> bool:
    if isinstance(value, str | dict) or not hasattr(value, "__len__"):
        return False
    return len(value) == n_samples


def average_members(proba: np.ndarray) -> np.ndarray:
    """Average members' probabilities over those that know each class.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        NaN where a member does not know a class, or has nothing to say of a sample.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Each class is averaged over the members that know it. A row in which they are
        not the same members for all classes is scaled to sum to one; a row that no
        member has anything to say of is NaN.
    """
    known = ~np.isnan(proba)
    votes = known.sum(axis=0)
    total = np.where(known, proba, 0.0).sum(axis=0)
    mean = np.divide(total, votes, out=np.zeros_like(total), where=votes > 0)
    # Only these rows can fail to sum to one; the others stay the exact mean.
    uneven = (known.any(axis=2) & ~known.all(axis=2)).any(axis=0)
    mean[uneven] /= mean[uneven].sum(axis=1, keepdims=True)
    mean[~votes.any(axis=1)] = np.nan
    return mean
