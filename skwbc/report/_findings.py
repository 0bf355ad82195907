"""What the reader of a report should know before trusting its figures."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from skwbc.ensemble._members import guessing_accuracy
from skwbc.ensemble._parts import what_folds_chose
from skwbc.inspection import find_near_duplicates
from skwbc.report._images import Gallery
from skwbc.report._page import Block, Finding, Table

# Images of a class below which its figures are mostly chance; in all, and in a fold.
FEW, FEW_IN_A_FOLD = 10, 2
# Images of the largest class for each of the smallest.
IMBALANCE = 5
# Images beyond which no near-duplicates are looked for: it would take minutes.
MOST_COMPARED = 20_000
_SHOWN_PAIRS = 20


def class_findings(
    labels: Sequence[str], given: np.ndarray, splits: Sequence[Any] | None = None
) -> list[Finding]:
    """Find classes of few images, and classes of far more than others."""
    counts = np.bincount(given, minlength=len(labels))
    found = []
    few = [
        f"{label} {count}"
        for label, count in zip(labels, counts, strict=True)
        if count < FEW
    ]
    if few:
        found.append(
            Finding(
                f"Classes with fewer than {FEW} images",
                f"{', '.join(few)}. What is said of them rests on chance: one image "
                "more or less right changes a lot.",
            )
        )
    for title, side, effect in (
        ("few held-out images", 1, "How well they are recognised is hardly tested"),
        ("no training images", 0, "A member cannot recognise what it was not shown"),
    ):
        least = FEW_IN_A_FOLD if side else 1
        folds = [
            f"{label} in fold {fold}"
            for fold, split in enumerate(splits or [], start=1)
            for label, count in zip(
                labels,
                np.bincount(given[split[side]], minlength=len(labels)),
                strict=True,
            )
            if count < least
        ]
        if folds:
            found.append(
                Finding(
                    f"Folds with {title} of a class",
                    f"{_listed(folds)}. {effect}. More images, fewer folds or "
                    "stratified folds would help.",
                )
            )
    some = counts[counts > 0]
    if some.max() >= IMBALANCE * some.min():
        most = labels[int(counts.argmax())]
        least_of = labels[int(np.where(counts > 0, counts, counts.max() + 1).argmin())]
        found.append(
            Finding(
                "Classes of very different size",
                f"{some.max()} images of {most}, {some.min()} of {least_of}. Accuracy "
                "is mostly that of the large classes: look at the balanced accuracy "
                "and at the recall of each class.",
            )
        )
    return found


def fold_findings(
    ensemble: Any, given: np.ndarray, accuracies: Sequence[float | None]
) -> list[Finding]:
    """Find members that failed to learn, and scores that are too good."""
    found = []
    failed = []
    for fold, accuracy in enumerate(accuracies):
        guess = guessing_accuracy(given[ensemble.splits_[fold][1]])
        if accuracy is not None and accuracy <= guess < 1:
            failed.append(f"fold {fold + 1} ({accuracy:.3f}, guessing {guess:.3f})")
    if failed:
        found.append(
            Finding(
                "Members that failed",
                f"No better on the fold held out from them than guessing its most "
                f"frequent class: {', '.join(failed)}. Look at their learning curves, "
                "or let them be trained again (n_restarts, --restarts).",
            )
        )
    if reasons := what_folds_chose(ensemble):
        found.append(
            Finding(
                "Out-of-fold scores are optimistic",
                f"The held-out folds {' and '.join(reasons)}, and are then judged by "
                "what they chose. For an honest figure use images that the model has "
                "not seen (skwbc evaluate), or cross_val_score around the ensemble.",
            )
        )
    return found


def duplicates(
    gallery: Gallery,
    labels: Sequence[str],
    given: np.ndarray,
    splits: Sequence[Any] | None = None,
) -> tuple[list[Finding], list[Block], str]:
    """Find images that are there twice.

    Returns
    -------
    findings : list of Finding
    blocks : list of Block
        A table of the pairs.
    looked_for : str
        What was looked for.
    """
    if gallery.n > MOST_COMPARED:
        too_many = f"there are more than {MOST_COMPARED:,} images"
        return [], [], f"no near-duplicate images, because {too_many}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="More than .* pairs of images")
        pairs = find_near_duplicates(gallery.X, names=gallery.names, splits=splits)
    looked_for = "near-duplicate images, also turned and flipped"
    if not pairs:
        return [], [], looked_for
    found = []
    leaks = sum(bool(pair["leaks"]) for pair in pairs)
    if leaks:
        found.append(
            Finding(
                "Near-duplicate images across folds",
                f"{_pairs(leaks)} of images are nearly the same, one of them trained "
                "on and the other held out, so the out-of-fold scores are too good. "
                "Leave one of each out, or keep them together with groups.",
            )
        )
    elif splits is None:
        found.append(
            Finding(
                "Near-duplicate images",
                f"{_pairs(len(pairs))} of images are nearly the same. They count "
                "twice, so the interval of the accuracy is too narrow.",
            )
        )
    differ = [p for p in pairs if given[p["first"]] != given[p["second"]]]
    if differ:
        found.append(
            Finding(
                "The same image with two labels",
                f"{_pairs(len(differ))} of images are nearly the same but labelled "
                "differently.",
            )
        )
    header = ["Image", "Nearly the same", "Labels", "Similarity"]
    if splits is not None:
        header.insert(3, "Across folds")
    rows = []
    for pair in pairs[:_SHOWN_PAIRS]:
        names = [labels[given[pair[side]]] for side in ("first", "second")]
        row = [*pair["images"], " and ".join(dict.fromkeys(names))]
        if splits is not None:
            row.append("yes" if pair["leaks"] else "no")
        rows.append([*row, f"{pair['similarity']:.3f}"])
    caption = f"Near-duplicate images: {_pairs(len(pairs)).lower()}"
    if len(pairs) > _SHOWN_PAIRS:
        caption += f", of which the {_SHOWN_PAIRS} most alike are shown"
    return found, [Table(caption, header, rows, len(header) - 1)], looked_for


def _pairs(n: int) -> str:
    return "One pair" if n == 1 else f"{n:,} pairs"


def _listed(words: list[str], most: int = 8) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
