"""What the held-out folds say of the members: scores, and warnings of failed folds."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from skwbc._folds import Split
from skwbc._members import FittedFold, average_members


class _Answers(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are known: lets a scorer score probabilities."""

    def __init__(self, classes_: np.ndarray, proba: np.ndarray) -> None:
        self.classes_ = classes_
        self.proba = proba

    def fit(self, X: Any, y: Any) -> "_Answers":
        """Do nothing; scorers ask for the method."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the answers."""
        return self.proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable classes."""
        return self.classes_[self.proba.argmax(axis=1)]


class HeldOutScores(NamedTuple):
    """What the held-out folds give together, and each by itself."""

    oof_proba: np.ndarray
    oof_score: float
    fold_scores: np.ndarray


def score_held_out(
    folds: Sequence[FittedFold],
    splits: Sequence[Split],
    classes: np.ndarray,
    y: np.ndarray,
    *,
    scoring: str | Callable | None,
) -> HeldOutScores:
    """Gather and score the held-out probabilities, and warn of what is amiss.

    Parameters
    ----------
    folds : sequence of FittedFold
        The members and their held-out probabilities.
    splits : sequence of (ndarray, ndarray)
        Training and held-out indices of each.
    classes : ndarray of shape (n_classes,)
        All labels.
    y : ndarray of shape (n_samples,)
        The labels of all samples.
    scoring : str, callable or None
        As in scikit-learn; None is accuracy.

    Returns
    -------
    HeldOutScores
    """
    proba = np.full((len(folds), len(y), len(classes)), np.nan)
    for k, (fold, (_, held_out)) in enumerate(zip(folds, splits, strict=True)):
        columns = np.searchsorted(classes, fold.member.classes_)
        proba[k][np.ix_(held_out, columns)] = fold.proba
    oof_proba = average_members(proba)
    seen = np.flatnonzero(~np.isnan(oof_proba).any(axis=1))
    oof_score = _score(scoring, classes, oof_proba[seen], y[seen])
    fold_scores = [
        _score(scoring, classes, np.nan_to_num(proba[k, held_out]), y[held_out])
        for k, (_, held_out) in enumerate(splits)
    ]
    _warn_of_unknown_classes(classes, [fold.member for fold in folds])
    _warn_of_guessing(classes, splits, proba, y)
    return HeldOutScores(oof_proba, oof_score, np.array(fold_scores))


def accuracy(classes: np.ndarray, proba: np.ndarray, y: np.ndarray) -> float:
    """Return the part of `y` that is the most probable class."""
    return float(np.mean(classes[proba.argmax(axis=1)] == y))


def _score(
    scoring: str | Callable | None,
    classes: np.ndarray,
    proba: np.ndarray,
    y: np.ndarray,
) -> float:
    """Score probabilities; NaN, with a warning, where that cannot be done."""
    if scoring is None:
        # What a scorer gives, without its checks of what is known to be in order.
        return accuracy(classes, proba, y)
    answers = _Answers(classes, proba)
    scorer = check_scoring(answers, scoring)
    try:
        return float(scorer(answers, np.empty((len(y), 0)), y))
    except ValueError as error:
        warnings.warn(
            f"The scoring {scoring!r} cannot be computed on {len(y)} held-out samples, "
            f"so it is NaN: {error}",
            UserWarning,
            stacklevel=4,
        )
        return np.nan


def _warn_of_unknown_classes(classes: np.ndarray, members: Sequence[Any]) -> None:
    """Warn, once, of the members that were not shown some class."""
    missing = {
        fold: np.setdiff1d(classes, member.classes_).tolist()
        for fold, member in enumerate(members, start=1)
    }
    listing = "; ".join(
        f"fold {fold}: {unknown}" for fold, unknown in missing.items() if unknown
    )
    if listing:
        warnings.warn(
            "Some members were not trained on all classes, because the training part "
            f"of their fold lacks them ({listing}). Each class is averaged over the "
            "members that know it. Stratified folds would show every class to all.",
            UserWarning,
            stacklevel=4,
        )


def _warn_of_guessing(
    classes: np.ndarray, splits: Sequence[Split], proba: np.ndarray, y: np.ndarray
) -> None:
    """Warn of members that do no better than saying the same class of all samples."""
    failed = []
    for fold, (_, held_out) in enumerate(splits, start=1):
        guess = np.unique(y[held_out], return_counts=True)[1].max() / len(held_out)
        score = accuracy(classes, np.nan_to_num(proba[fold - 1, held_out]), y[held_out])
        # A fold of one class cannot tell learning from guessing.
        if score <= guess < 1:
            failed.append(f"fold {fold} ({score:.3f}, guessing {guess:.3f})")
    if failed:
        warnings.warn(
            "Members that do no better on their held-out fold than guessing its most "
            f"frequent class: {', '.join(failed)}. They may have failed to learn: look "
            "at their training, or fit again with another random_state.",
            ConvergenceWarning,
            stacklevel=4,
        )
