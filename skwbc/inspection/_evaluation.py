"""Figures about a fitted classifier, as plain data that can be printed or stored."""

from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import encode_labels
from skwbc.ensemble._parts import parts_of

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def evaluate(estimator: Any, X: Any, y: Any) -> dict[str, Any]:
    """Score a fitted classifier on labelled samples.

    Parameters
    ----------
    estimator : classifier
        Fitted, with ``predict_proba``.
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
        "precision" (float, or None where there is nothing to divide by) and "support"
        (int); "confusion_matrix", a list of rows, true classes down and predicted ones
        across.

    Raises
    ------
    ValueError
        If `y` has labels that the classifier does not know.
    """
    check_is_fitted(estimator)
    check_consistent_length(X, y)
    classes = estimator.classes_
    # Of the type that the classes have.
    y = classes[encode_labels(y, classes)]
    proba = estimator.predict_proba(X)
    predicted = classes[proba.argmax(axis=1)]
    precision, recall, _, support = precision_recall_fscore_support(
        y, predicted, labels=classes, zero_division=np.nan
    )
    return {
        "n_samples": len(y),
        "accuracy": float(accuracy_score(y, predicted)),
        "balanced_accuracy": float(np.mean(recall[support > 0])),
        "log_loss": float(log_loss(y, proba, labels=classes)),
        "classes": [str(label) for label in classes],
        "per_class": {
            str(label): {
                "recall": _number(recall[k]),
                "precision": _number(precision[k]),
                "support": int(support[k]),
            }
            for k, label in enumerate(classes)
        },
        "confusion_matrix": confusion_matrix(y, predicted, labels=classes).tolist(),
    }


def training_table(ensemble: Any) -> list[dict[str, float]]:
    """Tabulate how the networks of a fold ensemble were trained.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted; its members are, or have among their parts, a
        :class:`~skwbc.CNNClassifier`.

    Returns
    -------
    list of dict
        A row for each fold, with "fold" (from 1), "loss", "accuracy", "val_loss" and
        "val_accuracy" of the network in the epoch whose weights were kept, "score" (of
        the whole member on its held-out fold, one of the ensemble's `fold_scores_`),
        "best_epoch" (the epoch that was kept, from 1) and "epochs" (how many were run).
        The training figures are of augmented images, and taken while the weights were
        still changing. The validation figures and the score are of the held-out fold.
        They are optimistic where that also chose the epoch, as with the recipe
        "article".

    Raises
    ------
    ValueError
        If the members record no training history.
    """
    check_is_fitted(ensemble)
    rows = []
    for fold, member in enumerate(ensemble.estimators_):
        parts = list(parts_of(member))
        network = next((part for part in parts if hasattr(part, "history_")), None)
        if network is None:
            kinds = ", ".join(type(part).__name__ for part in parts)
            raise ValueError(
                f"The members are made of {kinds}, none of which records a training "
                "history; expected CNNClassifier."
            )
        best = network.best_epoch_
        row: dict[str, float] = {"fold": fold + 1}
        row |= {
            name: network.history_[name][best - 1]
            for name in METRICS
            if name in network.history_
        }
        if hasattr(ensemble, "fold_scores_"):
            row["score"] = float(ensemble.fold_scores_[fold])
        epochs = len(network.history_["loss"])
        rows.append(row | {"best_epoch": best, "epochs": epochs})
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
