"""What is known of classes and predictions, as figures and blocks of a page."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from skwbc.ensemble._averaging import average_members, first_choices
from skwbc.ensemble._held_out import Answers
from skwbc.inspection import evaluate
from skwbc.report._page import Key, Table
from skwbc.uncertainty import predictive_entropy

_CONFIDENCE = 0.95
# Images that are shown of those that stand out, at the most.
SHOWN = 12
# Bars below an image.
_BARS = 4


class Judged(NamedTuple):
    """Images, their labels, and what was said of them.

    Attributes
    ----------
    labels : list of str
        The classes.
    given : ndarray of shape (n_samples,), int
        Positions of the true labels in `labels`.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities.
    members : ndarray of shape (n_members, n_samples, n_classes) or None
        Probabilities of each member.
    rows : ndarray of shape (n_samples,), int
        Where each of these samples is in the data.
    """

    labels: list[str]
    given: np.ndarray
    proba: np.ndarray
    members: np.ndarray | None
    rows: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Positions of the most probable labels."""
        return self.proba.argmax(axis=1)

    @property
    def agreement(self) -> np.ndarray | None:
        """How many members have the most probable label as their own first choice."""
        if self.members is None:
            return None
        return (first_choices(self.members) == self.predicted).sum(axis=0)

    def scores(self) -> dict[str, Any]:
        """Return what :func:`skwbc.inspection.evaluate` says of them."""
        classes = np.arange(len(self.labels))
        answers = Answers(classes, self.proba)
        scores = evaluate(answers, np.empty((len(self.given), 1)), self.given)
        named = {
            self.labels[int(position)]: of_class
            for position, of_class in scores["per_class"].items()
        }
        return scores | {"classes": self.labels, "per_class": named}


def judge(estimator: Any, X: Any, labels: list[str], given: np.ndarray) -> Judged:
    """Predict, with all members where there are members."""
    members = None
    if hasattr(estimator, "predict_proba_members"):
        members = estimator.predict_proba_members(X)
        proba = average_members(members)
    else:
        proba = np.asarray(estimator.predict_proba(X))
    return Judged(labels, given, proba, members, np.arange(len(given)))


def accuracy_key(judged: Judged, label: str) -> Key:
    """Return the accuracy with its interval."""
    right, n = int((judged.predicted == judged.given).sum()), len(judged.given)
    interval = binomtest(right, n).proportion_ci(_CONFIDENCE, method="wilson")
    note = (
        f"{right} of {n}; {_CONFIDENCE:.0%} interval {interval.low:.3f} to "
        f"{interval.high:.3f} (Wilson)"
    )
    return Key(label, f"{right / n:.3f}", note)


def per_class_table(scores: dict[str, Any]) -> Table:
    """Tabulate recall and precision of each class."""
    rows = [
        [
            label,
            str(of_class["support"]),
            _figure(of_class["recall"]),
            _figure(of_class["precision"]),
        ]
        for label, of_class in scores["per_class"].items()
    ]
    header = ["Class", "Images", "Recall", "Precision"]
    return Table("Each class: the part found, and how often it is right", header, rows)


def confusion_table(scores: dict[str, Any]) -> Table:
    """Tabulate what each class was taken for."""
    labels = scores["classes"]
    rows = [
        [label, *map(str, counts)]
        for label, counts in zip(labels, scores["confusion_matrix"], strict=True)
    ]
    header = ["True class", *[f"as {label}" for label in labels]]
    return Table("What each class was taken for: number of images", header, rows)


def class_counts_table(
    labels: Sequence[str], given: np.ndarray, splits: Sequence[Any] | None = None
) -> Table:
    """Tabulate how many images there are of each class, and held out in each fold."""
    counts = np.bincount(given, minlength=len(labels))
    header = ["Class", "Images", "Part"]
    rows = [
        [label, str(count), f"{count / len(given):.0%}"]
        for label, count in zip(labels, counts, strict=True)
    ]
    if splits is None:
        return Table("Images of each class", header, rows)
    for fold, (_, held_out) in enumerate(splits, start=1):
        header.append(f"Fold {fold}")
        in_fold = np.bincount(given[held_out], minlength=len(labels))
        for row, count in zip(rows, in_fold, strict=True):
            row.append(str(count))
    return Table("Images of each class, and how many each fold holds out", header, rows)


def least_sure(judged: Judged, n: int) -> np.ndarray:
    """Return positions of the samples with the highest entropy, the highest first."""
    entropy = predictive_entropy(judged.proba[np.newaxis])
    return np.argsort(-entropy, kind="stable")[:n]


def surest_mistakes(judged: Judged) -> np.ndarray:
    """Return positions of the samples that were taken for another, surest first."""
    wrong = np.flatnonzero(judged.predicted != judged.given)
    return wrong[np.argsort(-judged.proba[wrong].max(axis=1), kind="stable")]


def say(judged: Judged, positions: np.ndarray, names: list[str]) -> list[dict]:
    """Say of samples what they are and what they were taken for, for their cards."""
    said = []
    agreement = judged.agreement
    for k in positions:
        name = names[judged.rows[k]]
        true, taken = judged.labels[judged.given[k]], judged.labels[judged.predicted[k]]
        right = true == taken
        lines = [name, f"labelled {true}", f"taken for {taken}"]
        if agreement is not None and judged.members is not None:
            lines.append(f"{agreement[k]} of {len(judged.members)} members agree")
        order = np.argsort(-judged.proba[k], kind="stable")[:_BARS]
        said.append(
            {
                "alt": f"{name}, labelled {true}, taken for {taken}",
                "lines": lines,
                "bars": [(judged.labels[c], float(judged.proba[k, c])) for c in order],
                "flag": "" if right else "wrong",
            }
        )
    return said


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def one_of_each(given: np.ndarray) -> list[int]:
    """Return the position of the first sample of each class."""
    return [int(k) for k in np.unique(given, return_index=True)[1]]
