"""Predictions for labelled images, and their metrics as parts of a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from skwbc.ensemble._averaging import count_agreeing
from skwbc.inspection._evaluation import score_predictions
from skwbc.inspection._predictions import Predictions
from skwbc.report._images import Gallery, contact_sheets
from skwbc.report._page import Block, Cards, Table
from skwbc.uncertainty import expected_calibration_error, predictive_entropy

_CONFIDENCE = 0.95
# Maximum number of images in a block of notable images.
SHOWN = 12


class Judged:
    """Labelled images and the predictions for them.

    Parameters
    ----------
    gallery : Gallery
        All images.
    predictions : Predictions
        Predicted probabilities, also by each member, and typicality.
    rows : ndarray of shape (n_samples,), int
        Positions of the predicted images among all.

    Attributes
    ----------
    proba, members : ndarray
        Predicted probabilities, and those of each member.
    codes, predicted : ndarray of shape (n_samples,), int
        Positions of the true and of the most probable classes.
    y_true : ndarray of shape (n_samples,)
        True labels.
    scores : dict
        What :func:`skwbc.inspection.evaluate` returns.
    calibration_error : float
        Expected calibration error.
    """

    def __init__(
        self, gallery: Gallery, predictions: Predictions, rows: np.ndarray
    ) -> None:
        self.gallery, self.predictions, self.rows = gallery, predictions, rows
        self.proba, self.members = predictions.proba, predictions.members
        self.codes, classes = gallery.codes[rows], gallery.classes
        self.y_true = classes[self.codes]
        self.predicted = self.proba.argmax(axis=1)
        self.scores = score_predictions(classes, self.codes, predictions)
        error = expected_calibration_error(self.y_true, self.proba, classes=classes)
        self.calibration_error = error


def accuracy_note(judged: Judged) -> str:
    """Describe the accuracy in numbers of images, with its interval."""
    right, n = int((judged.predicted == judged.codes).sum()), len(judged.codes)
    low, high = binomtest(right, n).proportion_ci(_CONFIDENCE, method="wilson")
    interval = f"{_CONFIDENCE:.0%} interval {low:.3f} to {high:.3f} (Wilson)"
    return f"{right} of {n}; {interval}"


def class_counts_table(gallery: Gallery, splits: Sequence[Any] = ()) -> Table:
    """Tabulate the number of images per class, and those that each fold holds out."""
    counts = gallery.count()
    fractions = [f"{count / counts.sum():.0%}" for count in counts]
    columns = {"Class": gallery.labels, "Images": counts, "Fraction": fractions}
    for fold, (_, held_out) in enumerate(splits, start=1):
        columns[f"Fold {fold}"] = gallery.count(held_out)
    caption = "Images per class"
    if splits:
        caption += ", and the number that each fold holds out"
    by_class = zip(*columns.values(), strict=True)
    return Table(caption, [dict(zip(columns, row, strict=True)) for row in by_class])


def images(gallery: Gallery, pairs: Sequence[Block], splits: Any = ()) -> list[Block]:
    """Return the blocks about all images: classes, near-duplicates and examples."""
    return [class_counts_table(gallery, splits), *pairs, *contact_sheets(gallery)]


def shown_first(n_shown: int, n: int, quality: str) -> str:
    """Say in which order images are shown, and how many; empty for one image."""
    if n == 1:
        return ""
    text = f"The most {quality} first"
    return f"{text}." if n_shown == n else f"{text}; {n_shown} of {n:,} are shown."


def least_sure(judged: Judged, n: int) -> np.ndarray:
    """Return positions of the samples with the highest entropy, the highest first."""
    entropy = predictive_entropy(judged.proba[np.newaxis])
    return np.argsort(-entropy, kind="stable")[:n]


def surest_mistakes(judged: Judged) -> np.ndarray:
    """Return positions of the wrong predictions, the most confident first."""
    wrong = np.flatnonzero(judged.predicted != judged.codes)
    return wrong[np.argsort(-judged.proba[wrong].max(axis=1), kind="stable")]


def one_of_each(codes: np.ndarray) -> list[int]:
    """Return the position of the first sample of each class."""
    return np.unique(codes, return_index=True)[1].tolist()


def prediction_cards(title: str, judged: Judged, which: np.ndarray, note: str) -> Cards:
    """Return a block of images with their labels and predictions."""
    labels, members, p = judged.gallery.labels, judged.members, judged.predictions.p
    if members is not None:
        agreeing = count_agreeing(members, judged.proba)
    captions, flags = [], []
    for k in which:
        true, predicted = labels[judged.codes[k]], labels[judged.predicted[k]]
        lines = [f"labelled {true}", f"predicted {predicted}"]
        if members is not None:
            lines.append(f"{agreeing[k]} of {len(members)} members agree")
        if p is not None:
            lines.append(f"typicality {p[k]:.3f}")
        captions.append(lines)
        flags.append("" if judged.codes[k] == judged.predicted[k] else "wrong")
    rows = judged.rows[which]
    cards = judged.gallery.cards(rows, captions, flags, judged.proba[which])
    return Cards(title, cards, note)


def uncertain_cards(judged: Judged, kind: str = "") -> Cards:
    """Return a block of the images with the most uncertain predictions."""
    note = f"Sorted by the entropy of the {kind}probabilities, the highest first."
    unsure = least_sure(judged, SHOWN)
    return prediction_cards("Most uncertain predictions", judged, unsure, note)
