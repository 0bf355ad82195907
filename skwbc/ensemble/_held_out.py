"""What the held-out folds say of the members: scores, and warnings of failed folds."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from skwbc.ensemble._averaging import in_columns, mean_over_known
from skwbc.ensemble._folds import Split
from skwbc.ensemble._members import (
    FittedFold,
    accuracy,
    guessing_accuracy,
    take,
    take_rows,
)


class Answers(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are known: lets a scorer score probabilities."""

    def __init__(self, classes_: np.ndarray, proba: np.ndarray) -> None:
        self.classes_ = classes_
        self.proba = proba

    def fit(self, X: Any, y: Any) -> "Answers":
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
    X: Any,
    y: np.ndarray,
    *,
    scoring: str | Callable | None,
    params: Mapping[str, Any],
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
    X, y : array-like of shape (n_samples, ...), ndarray of shape (n_samples,)
        All samples and their labels.
    scoring : str, callable or None
        As in scikit-learn; None is accuracy.
    params : mapping of str to object
        What the scorer requested of metadata; what has an entry for each sample is
        sliced.

    Returns
    -------
    HeldOutScores
    """
    placed = [in_columns(f.proba, f.member.classes_, classes, 0.0) for f in folds]
    oof_proba = _average(placed, splits, folds, classes, len(y))
    seen = np.unique(np.concatenate([held_out for _, held_out in splits]))

    def score(proba: np.ndarray, rows: np.ndarray) -> float:
        if scoring is None:
            # What a scorer gives, without checks of what is known to be in order.
            return accuracy(classes, proba, y[rows])
        theirs = {
            name: take_rows(value, rows, len(y)) for name, value in params.items()
        }
        samples = take(X, rows, lazily=True)
        return _score(scoring, Answers(classes, proba), samples, y[rows], theirs)

    oof_score = score(oof_proba[seen], seen)
    held_out_labels = [y[held_out] for _, held_out in splits]
    fold_scores = [
        score(proba, held_out)
        for proba, (_, held_out) in zip(placed, splits, strict=True)
    ]
    _warn_of_unknown_classes(classes, [fold.member for fold in folds])
    _warn_of_guessing(folds, held_out_labels)
    return HeldOutScores(oof_proba, oof_score, np.array(fold_scores))


def _average(
    placed: Sequence[np.ndarray],
    splits: Sequence[Split],
    folds: Sequence[FittedFold],
    classes: np.ndarray,
    n_samples: int,
) -> np.ndarray:
    """Average what was held out over the members that know a class; NaN if never."""
    shape = (n_samples, len(classes))
    total, votes = np.zeros(shape), np.zeros(shape, int)
    partly = np.zeros(n_samples, bool)
    for proba, (_, held_out), fold in zip(placed, splits, folds, strict=True):
        known = np.isin(classes, fold.member.classes_)
        total[held_out] += proba
        votes[held_out] += known
        partly[held_out] |= not known.all()
    return mean_over_known(total, votes, partly)


def _score(
    scoring: str | Callable,
    answers: Answers,
    X: Any,
    y: np.ndarray,
    params: Mapping[str, Any],
) -> float:
    """Score probabilities; NaN, with a warning, where that cannot be done."""
    try:
        return float(check_scoring(answers, scoring)(answers, X, y, **params))
    except Exception as error:
        # The members are trained, and are not to be lost.
        warnings.warn(
            f"The scoring {scoring!r} cannot be computed on {len(y)} held-out samples, "
            f"so it is NaN: {type(error).__name__}: {error}",
            UserWarning,
            stacklevel=5,
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
    folds: Sequence[FittedFold], held_out_labels: Sequence[np.ndarray]
) -> None:
    """Warn of members that do no better than saying the same class of all samples."""
    failed = []
    for number, (fold, labels) in enumerate(
        zip(folds, held_out_labels, strict=True), start=1
    ):
        if fold.failed(labels):
            score, guess = fold.accuracy(labels), guessing_accuracy(labels)
            again = fold.describe_restarts()
            failed.append(f"fold {number} ({score:.3f}, guessing {guess:.3f}{again})")
    if failed:
        warnings.warn(
            "Members that do no better on their held-out fold than guessing its most "
            f"frequent class: {', '.join(failed)}. They may have failed to learn: look "
            "at their training, or let n_restarts train them again with other seeds.",
            ConvergenceWarning,
            stacklevel=4,
        )
