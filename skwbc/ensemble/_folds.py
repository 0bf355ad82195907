"""Decide the folds: which samples each member is trained on, which are held out."""

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from skwbc._utils.random import draw_seed
from skwbc.ensemble._rare_classes import (
    Split as Split,
    missing_classes,
    stratified_splits,
)


class ShuffledKFold(KFold):
    """Shuffled folds that are not stratified, and keep groups together.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    random_state : int, RandomState instance or None, default=None
        Seeds the assignment of samples to folds.
    """

    __module__ = "skwbc.ensemble"  # where pickles look for it

    # With metadata routing groups are requested by default.
    __metadata_request__split = {"groups": True}

    def __init__(self, n_splits: int = 5, *, random_state: Any = None) -> None:
        super().__init__(n_splits, shuffle=True, random_state=random_state)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield training and held-out indices of each fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            Groups of samples that stay in one fold.

        Yields
        ------
        (ndarray of int, ndarray of int)
        """
        if groups is None:
            return super().split(X, y)
        folds = GroupKFold(self.n_splits, shuffle=True, random_state=self.random_state)
        return folds.split(X, y, groups)


def decide_splits(
    cv: Any, X: Any, y: np.ndarray, seed: int | None, params: Mapping[str, Any]
) -> list[Split]:
    """Decide the folds of an ensemble.

    Parameters
    ----------
    cv : int, splitter, iterable of splits or None
        An int means stratified, shuffled folds, which keep groups together if `params`
        has groups; None means 5 of them.
    X : array-like of shape (n_samples, ...)
        Passed to the splitter unchanged.
    y : ndarray of shape (n_samples,)
        Class labels.
    seed : int or None
        Seeds the folds if `cv` is an int, and a copy of a splitter that shuffles
        without a seed of its own.
    params : mapping of str to object
        For ``split``: `groups`.

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Training and held-out indices.

    Raises
    ------
    ValueError
        If there are fewer samples or groups than folds, or a split is empty, overlaps
        itself, or has only one class to train on.

    Warns
    -----
    UserWarning
        If a class has fewer samples than there are folds and `cv` is an int, or the
        training samples of a split lack a class.
    """
    cv = 5 if cv is None else cv
    n_folds = int(cv) if isinstance(cv, Integral) else None
    if n_folds is not None:
        pairs = stratified_splits(n_folds, y, draw_seed(seed), params.get("groups"))
    else:
        pairs = check_cv(_seeded(cv, seed)).split(X, y, **params)
    splits = [
        (_as_indices(train, len(y)), _as_indices(held_out, len(y)))
        for train, held_out in pairs
    ]
    if not splits:
        raise ValueError("cv yields no split; an ensemble needs at least one.")
    grouped = _keep_together(splits, params.get("groups"))
    if grouped:
        advice = "Use fewer folds, or add groups that contain other classes."
    elif n_folds is None:
        advice = "Use stratified or shuffled folds."
    else:
        advice = "Add samples of the other classes."
    for fold, split in enumerate(splits, start=1):
        _check_split(fold, split, y, advice)
    if message := missing_classes(splits, y, n_folds, grouped=grouped):
        warnings.warn(message, stacklevel=4)
    return splits


def routed_splitter(cv: Any) -> Any:
    """Return the splitter that declares requests of ``split`` for metadata routing.

    Parameters
    ----------
    cv : int, splitter, iterable of splits or None
        As for :func:`decide_splits`. Folds given as an int request groups.
    """
    if cv is None or isinstance(cv, Integral):
        return StratifiedGroupKFold()
    # Given splits request nothing, and a generator would yield them only once.
    return cv if hasattr(cv, "split") else StratifiedKFold()


def _seeded(cv: Any, seed: int | None) -> Any:
    """Return a seeded copy of a splitter that would use NumPy's global state."""
    unseeded = getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True)
    if seed is None or not unseeded:
        return cv
    cv = copy.deepcopy(cv)
    cv.random_state = seed
    return cv


def _as_indices(rows: Iterable, n_samples: int) -> np.ndarray:
    """Return one side of a split as indices from 0 on."""
    rows = np.asarray(rows)
    # Indexing also refuses anything that is not an index.
    return np.arange(n_samples)[rows if len(rows) else rows.astype(np.intp)]


def _keep_together(splits: list[Split], groups: np.ndarray | None) -> bool:
    """Return whether each group is on one side of every split."""
    return groups is not None and not any(
        np.isin(groups[train], groups[held_out]).any() for train, held_out in splits
    )


def _check_split(fold: int, split: Split, y: np.ndarray, advice: str) -> None:
    train, held_out = split
    if not len(train) or not len(held_out):
        raise ValueError(
            f"Split {fold} has {len(train)} training samples and {len(held_out)} "
            "held out; it needs at least one of each."
        )
    shared = np.intersect1d(train, held_out)
    if len(shared):
        raise ValueError(
            f"Split {fold} trains on {len(shared)} of its own held-out samples (sample "
            f"{shared[0]}, for instance); training and held-out samples must differ."
        )
    if (y[train] == y[train[0]]).all():
        raise ValueError(
            f"The training samples of split {fold} have only one class: "
            f"{y[train].tolist()[0]!r}; each member needs at least 2. {advice}"
        )
