"""Score the members on their held-out folds, and warn of folds that failed."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from skwbc._utils.probabilities import lacks_probabilities
from skwbc.ensemble._averaging import (
    average_members,
    describe_missing,
    find_known_classes,
    in_columns,
)
from skwbc.ensemble._folds import Split
from skwbc.ensemble._members import (
    FittedFold,
    accuracy,
    guessing_accuracy,
    take,
    take_rows,
)


class Answers(ClassifierMixin, BaseEstimator):
    """A classifier with fixed probabilities, which lets a scorer score them."""

    def __init__(self, classes_: np.ndarray, proba: np.ndarray) -> None:
        self.classes_ = classes_
        self.proba = proba

    def fit(self, X: Any, y: Any) -> "Answers":
        """Do nothing; scorers check that the method exists."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities."""
        return self.proba

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable classes."""
        return self.classes_[self.proba.argmax(axis=1)]


def score_held_out(
    folds: Sequence[FittedFold],
    splits: Sequence[Split],
    classes: np.ndarray,
    X: Any,
    y: np.ndarray,
    *,
    scoring: str | Callable | None,
    params: Mapping[str, Any],
) -> tuple[np.ndarray, float, np.ndarray]:
    """Gather and score the held-out probabilities, and warn of failed folds.

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
        The metadata that the scorer requests. Values with one entry per sample are
        sliced.

    Returns
    -------
    oof_proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities.
    oof_score : float
        Their score.
    fold_scores : ndarray of shape (n_splits,)
        The score of each member on its held-out fold.
    """

    def score(proba: np.ndarray, rows: np.ndarray) -> float:
        labels = y[rows]
        proba = _count_as_wrong(proba, np.searchsorted(classes, labels))
        if scoring is None:
            return accuracy(classes, proba, labels)
        metadata = {n: take_rows(value, rows, len(y)) for n, value in params.items()}
        samples, answers = take(X, rows, lazily=True), Answers(classes, proba)
        try:
            scorer = check_scoring(answers, scoring)
            return float(scorer(answers, samples, labels, **metadata))
        except Exception as error:
            # The members are trained and must not be lost.
            warnings.warn(
                f"The scoring {scoring!r} cannot be computed on {len(labels)} held-out "
                f"samples, so it is NaN: {type(error).__name__}: {error}",
                stacklevel=5,
            )
            return np.nan

    held_out = [rows for _, rows in splits]
    probas = [in_columns(f.proba, f.member.classes_, classes) for f in folds]
    by_member = np.full((len(folds), len(y), len(classes)), np.nan)
    for out, proba, rows in zip(by_member, probas, held_out, strict=True):
        out[rows] = proba
    mask = find_known_classes([fold.member for fold in folds], classes)
    oof_proba = average_members(by_member, mask)
    scored = np.unique(np.concatenate(held_out))
    oof_score = score(oof_proba[scored], scored)
    fold_scores = np.array(list(map(score, probas, held_out)))
    _warn_of_failures(folds, splits, y)
    return oof_proba, oof_score, fold_scores


def held_out_confusion(
    oof_proba: np.ndarray, classes: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Count held-out samples by true class (rows) and predicted class.

    Parameters
    ----------
    oof_proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities. Samples without them are left out.
    classes : ndarray of shape (n_classes,)
        All labels.
    y : ndarray of shape (n_samples,)
        The labels.

    Returns
    -------
    ndarray of shape (n_classes, n_classes), int
    """
    kept = ~lacks_probabilities(oof_proba)
    confusion = np.zeros((len(classes), len(classes)), int)
    true, predicted = np.searchsorted(classes, y[kept]), oof_proba[kept].argmax(axis=1)
    np.add.at(confusion, (true, predicted), 1)
    return confusion


def _count_as_wrong(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Replace rows of NaN by probabilities that every metric counts as wrong."""
    missing = np.flatnonzero(lacks_probabilities(proba))
    if not len(missing):
        return proba
    proba = proba.copy()
    proba[missing] = 1 / (proba.shape[1] - 1)
    proba[missing, codes[missing]] = 0.0
    return proba


def _warn_of_failures(
    folds: Sequence[FittedFold], splits: Sequence[Split], y: np.ndarray
) -> None:
    """Warn of members that lack classes, predict NaN, or do no better than guessing.

    Before the training, ``decide_splits`` warns of classes that training samples lack.
    """
    unknown, missing, failed = [], {}, []
    for number, (fold, (train, held_out)) in enumerate(
        zip(folds, splits, strict=True), start=1
    ):
        name, labels = f"fold {number}", y[held_out]
        missing[name] = lacks_probabilities(fold.proba)
        left_out = np.setdiff1d(y[train], fold.member.classes_).tolist()
        if left_out:
            unknown.append(f"{name}: {left_out}")
        if fold.failed(labels) and not missing[name].any():
            failed.append(
                f"{name} ({fold.accuracy(labels):.3f}, guessing "
                f"{guessing_accuracy(labels):.3f}{fold.describe_restarts()})"
            )
    if unknown:
        warnings.warn(
            "Some members were not trained on all classes of their training samples "
            f"({'; '.join(unknown)}), as happens if all samples of a class have the "
            "weight zero. Each class is averaged over the members that know it.",
            stacklevel=5,
        )
    if listing := describe_missing(missing):
        warnings.warn(
            f"Members that predict NaN on their held-out fold: {listing}. Their "
            "training may have diverged. They are left out of the mean, and those "
            "samples count as wrong. Check the training, or set n_restarts to train "
            "such members again with other seeds.",
            ConvergenceWarning,
            stacklevel=5,
        )
    if failed:
        warnings.warn(
            "Members that do no better on their held-out fold than guessing its most "
            f"frequent class: {', '.join(failed)}. They may have failed to learn. Check"
            " their training, or set n_restarts to train them again with other seeds.",
            ConvergenceWarning,
            stacklevel=5,
        )
