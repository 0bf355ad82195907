"""Predictions of an ensemble as plain data that can be printed or stored.

scikit-learn is not imported here, because a model in ONNX predicts without it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skwbc._utils.probabilities import information_of
from skwbc.ensemble._averaging import average_ensemble, count_agreeing
from skwbc.ensemble._conformal import prediction_sets
from skwbc.ensemble._overlap import trained_on
from skwbc.ensemble._typicality import LEVEL, describe_unlike, is_beyond_chance

# Doubts count as alike up to this part of the greatest one.
_NOISE = 0.1


class Predictions(NamedTuple):
    """Predictions of a classifier for some samples, all from one pass.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities.
    members : ndarray of shape (n_members, n_samples, n_classes), or None
        Those of the members of an ensemble.
    p : ndarray of shape (n_samples,), or None
        Typicality of the samples, if it is watched.
    n_training : int
        Number of training samples that they were compared with.
    trained_on : ndarray of shape (n_samples,), bool, or None
        Whether the classifier was trained on them, if it is known.
    """

    proba: np.ndarray
    members: Any = None
    p: Any = None
    n_training: int = 0
    trained_on: Any = None

    @property
    def unlike(self) -> np.ndarray:
        """Mask of the samples that are unlike the training samples."""
        return np.zeros(len(self.proba), bool) if self.p is None else self.p < LEVEL

    @property
    def is_beyond_chance(self) -> bool:
        """Whether there are more of them than chance explains."""
        n_unlike = int(self.unlike.sum())
        return is_beyond_chance(n_unlike, len(self.proba), self.n_training)

    def summary(self) -> str:
        """Say how many are unlike the training images; empty if it is not known."""
        if self.p is None:
            return ""
        n_unlike = int(self.unlike.sum())
        return describe_unlike(n_unlike, len(self.p), self.n_training, "images")


def predict_once(estimator: Any, X: Any) -> Predictions:
    """Predict, with members and typicality if the classifier has them.

    No warning of unlike samples is given.
    """
    if not hasattr(estimator, "_answer_in_chunks"):
        return Predictions(np.asarray(estimator.predict_proba(X)))
    members, p = zip(*estimator._answer_in_chunks(X), strict=True)
    joined = np.concatenate(members, axis=1)
    proba = average_ensemble(estimator, joined)
    overlap = trained_on(estimator, X)
    typical = estimator._typical
    if typical is None or not typical["watched"]:
        return Predictions(proba, joined, trained_on=overlap)
    return Predictions(proba, joined, np.concatenate(p), typical["n_samples"], overlap)


def describe_difference(estimator: Any, X: Any, unlike: np.ndarray) -> str:
    """Say how images that are unlike the training images look, compared with them.

    Parameters
    ----------
    estimator : classifier
        Fitted on images.
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    unlike : ndarray of shape (n_samples,), bool
        Mask of the images that are unlike the training images.

    Returns
    -------
    str
        A sentence; empty if no simple statistic differs, or none is known.
    """
    appearance = getattr(estimator, "_appearance", None)
    if appearance is None or not unlike.any():
        return ""
    # Imported here: models in ONNX predict without scikit-learn.
    from skwbc.augmentation._appearance import compare_appearance

    difference = compare_appearance(appearance, X[np.flatnonzero(unlike)])
    return difference and f"On average they are {difference}."


def describe_predictions(
    estimator: Any,
    predictions: Predictions,
    names: Sequence[str],
    *,
    coverage: float | None = None,
) -> list[dict[str, Any]]:
    """Describe predictions of a fold ensemble, and count how many members agree.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier or OnnxClassifier
        A fitted ensemble.
    predictions : Predictions
        From :func:`predict_once`.
    names : sequence of str
        One name per sample.
    coverage : float, default=None
        Coverage of the prediction sets, as in
        :meth:`KFoldEnsembleClassifier.predict_set`. By default no sets are predicted.

    Returns
    -------
    list of dict
        One row per sample: "image" (its name), "predicted" (the label as str),
        "probabilities" (a dict from label to float, the mean over the members),
        "agreement" (int, the number of members whose first choice is "predicted"),
        "typicality" (float, the p-value, or None), "trained_on" (bool, whether the
        ensemble was trained on it, or None) and, with `coverage`, "set" (a list of
        labels, the most probable first).

    Raises
    ------
    ValueError
        If the numbers of names and samples differ, `coverage` is not between 0 and 1,
        the ensemble has no held-out probabilities, or no member has probabilities for
        some sample.
    """
    proba, members, p, _, overlap = predictions
    if len(names) != members.shape[1]:
        raise ValueError(
            f"Got {len(names)} names for {members.shape[1]} samples; expected one per "
            "sample."
        )
    labels = [str(label) for label in estimator.classes_]
    agreeing = count_agreeing(members, proba)
    rows = [
        {
            "image": str(name),
            "predicted": labels[row.argmax()],
            "probabilities": dict(zip(labels, row.tolist(), strict=True)),
            "agreement": int(agreeing[k]),
            "typicality": None if p is None else float(p[k]),
            "trained_on": None if overlap is None else bool(overlap[k]),
        }
        for k, (name, row) in enumerate(zip(names, proba, strict=True))
    ]
    if coverage is not None:
        sets = prediction_sets(estimator, [(members, p)], coverage)
        orders = (-proba).argsort(axis=1)
        for row, order, inside in zip(rows, orders, sets, strict=True):
            row["set"] = [labels[k] for k in order if inside[k]]
    return rows


def by_doubt(
    predictions: Predictions, known_classes: np.ndarray, n_diverse: int
) -> tuple[np.ndarray, int]:
    """Sort samples by what their labels would teach.

    Parameters
    ----------
    predictions : Predictions
        With those of the members.
    known_classes : ndarray of shape (n_members, n_classes), bool
        The classes that each member was fitted on.
    n_diverse : int
        Number of samples that are chosen one by one, each beside those before it.

    Returns
    -------
    order : ndarray of shape (n_samples,), int
        Those to choose from, then those that the ensemble was trained on or that are
        unlike the training samples.
    n_new : int
        Number of samples to choose from.
    """
    members, proba = predictions.members, predictions.proba
    deviations = np.where(known_classes[:, np.newaxis], members - proba, 0.0)
    information = information_of(members, proba)
    # None, if it is not known, becomes False.
    out = predictions.unlike | np.asarray(predictions.trained_on, bool)
    order = np.lexsort([-information, out])
    rows = order[: len(out) - int(out.sum())]
    first = _diverse(
        information[rows],
        np.nan_to_num(deviations)[:, rows].transpose(1, 0, 2).reshape(len(rows), -1),
        min(n_diverse, len(rows)),
    )
    rest = np.delete(np.arange(len(order)), first)
    return order[np.concatenate([first, rest])], len(rows)


def _diverse(information: np.ndarray, directions: np.ndarray, n: int) -> np.ndarray:
    """Return positions of samples with much information in different directions."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions / np.maximum(lengths, 1e-12)
    points *= np.sqrt(information)[:, np.newaxis]
    left = information.copy()
    noise = _NOISE * max(information.max(initial=0.0), 1e-12)
    chosen = np.zeros(n, int)
    columns = np.zeros((n, len(points)))
    for k in range(n):
        best = chosen[k] = left.argmax()
        column = points @ points[best] - columns[:k].T @ columns[:k, best]
        columns[k] = column / np.sqrt(max(left[best], 0.0) + noise)
        left -= columns[k] ** 2
        left[best] = -np.inf
    return chosen
