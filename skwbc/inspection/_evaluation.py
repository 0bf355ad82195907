"""Metrics of fitted classifiers as plain data that can be printed or stored."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import encode_labels
from skwbc._utils.probabilities import most_probable
from skwbc.ensemble._parts import parts_of
from skwbc.ensemble._typicality import LEVEL, describe_unlike, warn_of_unlike
from skwbc.inspection._predictions import Predictions, predict_once

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def evaluate(estimator: Any, X: Any, y: Any) -> dict[str, Any]:
    """Score a fitted classifier on labelled samples.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier with ``predict_proba``.
    X : array-like of shape (n_samples, ...)
        Samples that it was not trained on.
    y : array-like of shape (n_samples,)
        Their labels, all of them classes of the classifier.

    Returns
    -------
    dict
        "n_samples" (int); "accuracy", "balanced_accuracy" (the mean recall over the
        classes that occur in `y`) and "log_loss" (natural logarithm) as float;
        "classes", the labels as str; "per_class", a dict from label to "recall",
        "precision" (float, or None if it is undefined) and "support" (int);
        "confusion_matrix", a list of rows, with true classes in rows and predicted
        classes in columns; "typicality", None if it is not known (see
        :meth:`skwbc.KFoldEnsembleClassifier.typicality`), or else a dict with
        "n_unlike", the number of samples whose p-value is below 0.05, "n_expected", the
        mean of that number for samples like the training samples, "n_training", and
        "accuracy_unlike" and "accuracy_others" (float, or None without such samples);
        "n_trained_on", the number of images that the classifier was trained on (int, or
        None if it is not known).

    Raises
    ------
    ValueError
        If `y` has labels that are not classes of the classifier, or predicted
        probabilities are NaN.

    Warns
    -----
    UserWarning
        If more samples than by chance are unlike the training samples.
    """
    check_is_fitted(estimator)
    check_consistent_length(X, y)
    codes = encode_labels(y, estimator.classes_)
    predictions = predict_once(estimator, X)
    if predictions.p is not None:
        warn_of_unlike(predictions.p, predictions.n_training, stacklevel=2)
    return score_predictions(estimator.classes_, codes, predictions)


def score_predictions(
    classes: np.ndarray, codes: np.ndarray, predictions: Predictions
) -> dict[str, Any]:
    """Score predictions, as :func:`evaluate` does.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The classes.
    codes : ndarray of shape (n_samples,), int
        Positions of the true labels in `classes`.
    predictions : Predictions
        For the same samples.
    """
    y, proba, overlap = classes[codes], predictions.proba, predictions.trained_on
    predicted = most_probable(classes, proba)
    how = {"labels": classes, "zero_division": np.nan}
    precision, recall, _, support = precision_recall_fscore_support(y, predicted, **how)
    # Sums of members in single precision are off by more than scikit-learn allows.
    sums = proba.sum(axis=1, keepdims=True)
    whole = proba / np.where(np.abs(sums - 1) < 1e-9, 1, sums)
    return {
        "n_samples": len(y),
        "accuracy": float((y == predicted).mean()),
        "balanced_accuracy": float(np.mean(recall[support > 0])),
        "log_loss": float(log_loss(y, whole, labels=classes)),
        "classes": [str(label) for label in classes],
        "per_class": {
            str(label): {
                "recall": _float_or_none(recall[k]),
                "precision": _float_or_none(precision[k]),
                "support": int(support[k]),
            }
            for k, label in enumerate(classes)
        },
        "confusion_matrix": confusion_matrix(y, predicted, labels=classes).tolist(),
        "typicality": _typicality(predictions, y == predicted),
        "n_trained_on": None if overlap is None else int(overlap.sum()),
    }


def _typicality(predictions: Predictions, right: np.ndarray) -> dict[str, Any] | None:
    if predictions.p is None:
        return None
    unlike = predictions.unlike
    return {
        "n_unlike": int(unlike.sum()),
        "n_expected": LEVEL * len(unlike),
        "n_training": predictions.n_training,
        "accuracy_unlike": float(right[unlike].mean()) if unlike.any() else None,
        "accuracy_others": float(right[~unlike].mean()) if not unlike.all() else None,
    }


def class_table(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row with recall, precision and predictions of each class."""
    labels = scores["classes"]
    columns, rows = [f"as {label}" for label in labels], []
    for label, counts in zip(labels, scores["confusion_matrix"], strict=True):
        of_class = scores["per_class"][label]
        row = {"true class": label, "images": of_class["support"]}
        for name in ("recall", "precision"):
            value = of_class[name]
            row[name] = "-" if value is None else f"{value:.3f}"
        rows.append(row | dict(zip(columns, counts, strict=True)))
    return rows


def describe_typicality(scores: Mapping[str, Any]) -> str:
    """Say how many images are unlike the training images, and how accurate both are."""
    typicality = scores["typicality"]
    if typicality is None:
        return ""
    n_unlike, n_samples = typicality["n_unlike"], scores["n_samples"]
    text = describe_unlike(n_unlike, n_samples, typicality["n_training"], "images")
    for which, key in (("them", "accuracy_unlike"), ("others", "accuracy_others")):
        if n_unlike and typicality[key] is not None:
            text += f"; accuracy on {which} {typicality[key]:.3f}"
    return f"{text}."


class TrainingRecord(NamedTuple):
    """Metrics of a member by epoch or iteration, and the one that was kept, from 1."""

    history: dict[str, Any]
    best: int
    unit: str


def training_records(estimator: Any) -> list[TrainingRecord]:
    """Return how the members of a fold ensemble were trained.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier
        A fitted ensemble whose members are or contain a :class:`~skwbc.CNNClassifier`
        or a ``HistGradientBoostingClassifier`` with early stopping.

    Raises
    ------
    ValueError
        If a member did not record its training.
    """
    check_is_fitted(estimator)
    return [_record_of(member) for member in estimator.estimators_]


def training_table(estimator: Any) -> list[dict[str, float]]:
    """Tabulate the metrics of the epochs that the members of a fold ensemble kept.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier
        A fitted ensemble, as for :func:`training_records`.

    Returns
    -------
    list of dict
        One row per fold, with "fold" (from 1), those of "loss", "accuracy", "val_loss"
        and "val_accuracy" that were recorded, in the epoch whose weights were kept,
        "score" (of the whole member on its held-out fold, one of the ensemble's
        `fold_scores_`), "best_epoch" (the epoch that was kept, from 1) and "epochs"
        (the number of epochs). The training metrics are of augmented images, computed
        while the weights still changed. The validation metrics and the score are of
        the held-out fold. They are optimistic if that fold chose the epoch, as with
        the recipe "article".

    Raises
    ------
    ValueError
        If a member did not record its training.
    """
    rows = []
    for fold, (history, best, _) in enumerate(training_records(estimator)):
        row: dict[str, float] = {"fold": fold + 1}
        row |= {name: history[name][best - 1] for name in METRICS if name in history}
        if hasattr(estimator, "fold_scores_"):
            row["score"] = float(estimator.fold_scores_[fold])
        n_epochs = len(next(iter(history.values())))
        rows.append(row | {"best_epoch": best, "epochs": n_epochs})
    return rows


def _record_of(member: Any) -> TrainingRecord:
    """Return the record of the first estimator in a member that has one."""
    parts = list(parts_of(member))
    for part in parts:
        if hasattr(part, "history_"):
            return TrainingRecord(part.history_, part.best_epoch_, "epoch")
        if hasattr(part, "validation_score_") and len(part.train_score_):
            return _boosting_record(part)
    kinds = ", ".join(type(part).__name__ for part in parts)
    raise ValueError(
        f"The members consist of {kinds}, which did not record their training. "
        "Expected CNNClassifier, or HistGradientBoostingClassifier with "
        "early_stopping=True."
    )


def _boosting_record(boosting: Any) -> TrainingRecord:
    """Return the metrics of gradient boosting, without those before the first tree."""
    name = boosting.scoring if isinstance(boosting.scoring, str) else "score"
    # scikit-learn records the negative loss.
    sign = -1.0 if name == "loss" else 1.0
    history = {name: sign * boosting.train_score_[1:]}
    if len(boosting.validation_score_):
        history[f"val_{name}"] = sign * boosting.validation_score_[1:]
    return TrainingRecord(history, boosting.n_iter_, "iteration")


def _float_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
