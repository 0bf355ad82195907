"""Predictions for labelled images, and their metrics as parts of a page."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from skwbc.ensemble._averaging import count_agreeing
from skwbc.inspection._evaluation import score_predictions
from skwbc.inspection._predictions import Predictions
from skwbc.report._images import Gallery
from skwbc.report._page import Cards, Key, Table
from skwbc.uncertainty import expected_calibration_error, predictive_entropy

_CONFIDENCE = 0.95
# Maximum number of images in a block of notable images.
SHOWN = 12


class Judged(NamedTuple):
    """Labelled images and the predictions for them.

    Attributes
    ----------
    gallery : Gallery
        All images.
    predictions : Predictions
        Predicted probabilities, also by each member, and typicality.
    rows : ndarray of shape (n_samples,), int
        Positions of the predicted images among all.
    """

    gallery: Gallery
    predictions: Predictions
    rows: np.ndarray

    @property
    def proba(self) -> np.ndarray:
        """Predicted probabilities."""
        return self.predictions.proba

    @property
    def members(self) -> np.ndarray | None:
        """Probabilities predicted by each member."""
        return self.predictions.members

    @property
    def codes(self) -> np.ndarray:
        """Positions of the true labels in the classes."""
        return self.gallery.codes[self.rows]

    @property
    def y_true(self) -> np.ndarray:
        """True labels."""
        return self.gallery.classes[self.codes]

    @property
    def predicted(self) -> np.ndarray:
        """Positions of the most probable classes."""
        return self.proba.argmax(axis=1)

    def scores(self) -> dict[str, Any]:
        """Return the scores, as :func:`skwbc.inspection.evaluate` does."""
        return score_predictions(self.gallery.classes, self.codes, self.predictions)

    def calibration_error(self) -> float:
        """Return the expected calibration error."""
        classes = self.gallery.classes
        return expected_calibration_error(self.y_true, self.proba, classes=classes)


def score_keys(judged: Judged, scores: dict[str, Any], kind: str = "") -> list[Key]:
    """Return the accuracy with its interval, balanced accuracy and log loss.

    Parameters
    ----------
    judged : Judged
        The predictions.
    scores : dict
        Their scores.
    kind : str, default=""
        Beginning of the labels.
    """
    right, n = int((judged.predicted == judged.codes).sum()), len(judged.codes)
    interval = binomtest(right, n).proportion_ci(_CONFIDENCE, method="wilson")
    with_interval = (
        f"{right} of {n}; {_CONFIDENCE:.0%} interval {interval.low:.3f} to "
        f"{interval.high:.3f} (Wilson)"
    )
    return [
        Key(f"{kind}{name}".capitalize(), f"{score:.3f}", note)
        for name, score, note in (
            ("accuracy", right / n, with_interval),
            ("balanced accuracy", scores["balanced_accuracy"], "mean recall per class"),
            ("log loss", scores["log_loss"], "natural logarithm"),
        )
    ]


def images_key(gallery: Gallery) -> Key:
    """Return the number and the size of the images."""
    height, width = gallery.X.shape[1:3]
    return Key("Images", f"{len(gallery.names):,}", f"{height} x {width} pixels")


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


def prediction_cards(
    title: str, judged: Judged, positions: np.ndarray, note: str
) -> Cards:
    """Return a block of images with their labels and predictions."""
    labels, members = judged.gallery.labels, judged.members
    captions, flags = [], []
    truths, predictions = judged.codes[positions], judged.predicted[positions]
    for true, predicted in zip(truths, predictions, strict=True):
        captions.append([f"labelled {labels[true]}", f"predicted {labels[predicted]}"])
        flags.append("" if true == predicted else "wrong")
    if members is not None:
        agreeing = count_agreeing(members, judged.proba)[positions]
        for lines, number in zip(captions, agreeing, strict=True):
            lines.append(f"{number} of {len(members)} members agree")
    if judged.predictions.p is not None:
        for lines, p in zip(captions, judged.predictions.p[positions], strict=True):
            lines.append(f"typicality {p:.3f}")
    rows = judged.rows[positions]
    cards = judged.gallery.cards(rows, captions, flags, judged.proba[positions])
    return Cards(title, cards, note)


def uncertain_cards(judged: Judged, kind: str = "") -> Cards:
    """Return a block of the images with the most uncertain predictions."""
    note = f"Sorted by the entropy of the {kind}probabilities, the highest first."
    unsure = least_sure(judged, SHOWN)
    return prediction_cards("Most uncertain predictions", judged, unsure, note)
