"""Warnings for readers of a report, with the images that they are about."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skwbc._utils.probabilities import lacks_probabilities
from skwbc.ensemble._members import accuracy, guessing_accuracy
from skwbc.ensemble._parts import what_folds_chose
from skwbc.inspection import find_label_issues, find_near_duplicates
from skwbc.report._facts import SHOWN
from skwbc.report._images import Gallery
from skwbc.report._page import Block, Card, Cards, Finding, Text

# Metrics of a class with fewer images are mostly chance.
FEW, FEW_IN_A_FOLD = 10, 2
# Ratio of the sizes of the largest and the smallest class.
IMBALANCE = 5
# A search for near-duplicates among more images would take minutes.
MOST_COMPARED = 20_000
_SHOWN_PAIRS, _PAIR_SIDE = 20, 128


def class_findings(
    gallery: Gallery, splits: Sequence[Any] = (), *, grouped: bool = False
) -> Iterator[Finding]:
    """Return warnings of classes with few images, and of large imbalance."""
    labels, counts = gallery.labels, gallery.count()
    if few := _smaller(counts, FEW):
        yield Finding(
            f"Classes with fewer than {FEW} images",
            f"{', '.join(f'{labels[c]} ({counts[c]})' for c in few)}. Their "
            "metrics are unreliable: a single image changes them a lot.",
        )
    for title, side, least, effect in (
        ("few held-out images", 1, FEW_IN_A_FOLD, "Their recall is hardly tested"),
        ("no training images", 0, 1, "A member cannot learn classes without images"),
    ):
        sides = [gallery.count(split[side]) for split in splits]
        folds = [
            (n, c, fold) for fold, n in enumerate(sides, 1) for c in _smaller(n, least)
        ]
        if not folds:
            continue
        # Stratified folds have equal shares of a class, unless groups prevent it.
        shares = counts * np.sum(sides)
        enough = shares[[c for _, c, _ in folds]] >= least * counts.sum() * len(splits)
        if grouped:
            advice = "More images from other groups or fewer folds would help"
        elif enough.any():
            advice = "More images, fewer folds or stratified folds would help"
        elif side == 1 and (counts[[c for _, c, _ in folds]] > 1).any():
            advice = "More images or fewer folds would help"
        else:
            advice = "More images would help"
        places = [f"{labels[c]} ({n[c]}) in fold {fold}" for n, c, fold in folds]
        text = f"{_listed(places)}. {effect}. {advice}."
        yield Finding(f"Folds with {title} of a class", text)
    present = np.flatnonzero(counts)
    largest, smallest = present[[counts[present].argmax(), counts[present].argmin()]]
    if counts[largest] >= IMBALANCE * counts[smallest]:
        yield Finding(
            "Classes of very different size",
            f"{counts[largest]} images of {labels[largest]}, {counts[smallest]} of "
            f"{labels[smallest]}. The large classes dominate the accuracy: look at "
            "the balanced accuracy and at the recall of each class.",
        )


def fold_findings(estimator: Any, codes: np.ndarray) -> Iterator[Finding]:
    """Return warnings of members that failed to learn, and of optimistic scores."""
    failed = []
    for fold, score in enumerate(_fold_accuracies(estimator, codes)):
        guessing = guessing_accuracy(codes[estimator.splits_[fold][1]])
        if score <= guessing < 1:
            failed.append(f"fold {fold + 1} ({score:.3f}, guessing {guessing:.3f})")
    if failed:
        yield Finding(
            "Members that failed",
            "On their held-out folds these members are not better than guessing "
            f"the most frequent class: {', '.join(failed)}. Look at their learning "
            "curves, or allow restarts (n_restarts, --restarts).",
        )
    held_out = np.unique(np.concatenate([rows for _, rows in estimator.splits_]))
    if without := int(lacks_probabilities(estimator.oof_proba_[held_out]).sum()):
        yield Finding(
            "Images without out-of-fold probabilities",
            f"{without} of {len(codes)} images were held out only by members whose "
            "training diverged (they predict NaN). Scores and figures of held-out "
            "images on this page are of the other images.",
        )
    if reasons := what_folds_chose(estimator):
        yield Finding(
            "Out-of-fold scores are optimistic",
            f"The held-out folds {' and '.join(reasons)}, and are then used to "
            "score what they chose. For unbiased scores use images that the model "
            "was not trained on (skwbc evaluate), or cross_val_score around the "
            "ensemble.",
        )


def duplicates(
    gallery: Gallery, splits: Sequence[Any] | None = None
) -> tuple[list[Finding], list[Block], str]:
    """Search for near-duplicate images.

    Returns
    -------
    findings : list of Finding
        Warnings.
    blocks : list of Block
        Pictures of the pairs.
    checked_for : str
        Description of the search.
    """
    if len(gallery.names) > MOST_COMPARED:
        too_many = f"there are more than {MOST_COMPARED:,} images"
        return [], [], f"no near-duplicate images, because {too_many}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="More than .* pairs of images")
        pairs = find_near_duplicates(gallery.X, names=gallery.names, splits=splits)
    checked_for = "near-duplicate images (also rotated and flipped)"
    if not pairs:
        return [], [], checked_for
    cards = []
    for number, pair in enumerate(pairs[:_SHOWN_PAIRS], start=1):
        rows = [pair["first"], pair["second"]]
        similarity = f"pair {number}, similarity {pair['similarity']:.3f}"
        across = ["across folds"] if pair["leaks"] else []
        for row, source in zip(rows, gallery.sources(rows, _PAIR_SIDE), strict=True):
            label = gallery.labels[gallery.codes[row]]
            lines = [gallery.names[row], label, similarity, *across]
            cards.append(Card(source, ", ".join(lines), lines))
    caption = f"Near-duplicate images: {_pairs(len(pairs)).lower()}"
    if len(pairs) > _SHOWN_PAIRS:
        caption += f"; the {_SHOWN_PAIRS} most similar are shown"
    findings = list(_pair_findings(pairs, gallery.codes, splits))
    return findings, [Cards(caption, cards)], checked_for


def _pair_findings(
    pairs: list[dict[str, Any]], codes: np.ndarray, splits: Sequence[Any] | None
) -> Iterator[Finding]:
    leaks = sum(bool(pair["leaks"]) for pair in pairs)
    if leaks:
        yield Finding(
            "Near-duplicate images across folds",
            f"{_pairs(leaks)} of images may show the same cell, one used for "
            "training and the other held out; then the out-of-fold scores are too "
            "good. Look at the pictures. Remove one image of each pair, or keep "
            "pairs together with groups.",
        )
    elif splits is None:
        yield Finding(
            "Near-duplicate images",
            f"{_pairs(len(pairs))} of images may show the same cell. Then they "
            "count twice, and the interval of the accuracy is too narrow.",
        )
    if differ := sum(codes[pair["first"]] != codes[pair["second"]] for pair in pairs):
        yield Finding(
            "The same image with two labels",
            f"{_pairs(differ)} of images may show the same cell, but have "
            "different labels.",
        )


def doubted_labels(
    estimator: Any, gallery: Gallery
) -> tuple[list[Finding], list[Block]]:
    """Return the labels that the out-of-fold probabilities contradict most."""
    title = "Labels that look wrong"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = find_label_issues(
            estimator, gallery.X, estimator.classes_[gallery.codes], names=gallery.names
        )
    findings = [
        Finding("Most labels are contradicted", str(each.message))
        for each in caught
        if "labels are contradicted" in str(each.message)
    ]
    issues = [row for row in rows if row["issue"]]
    if not issues:
        return findings, [Text(f"{title}: none.")]
    shown = issues[:SHOWN]
    note = (
        f"The out-of-fold probabilities contradict {len(issues)} of {len(rows)} labels "
        "(confident learning). An expert has to decide whether these are wrong. "
        f"{len(shown)} are shown, the most improbable labels first."
    )
    cards = gallery.cards(
        [row["index"] for row in shown],
        [[f"labelled {row['given']}"] for row in shown],
        [f"{row['suggested']}?" for row in shown],
        np.array([list(row["probabilities"].values()) for row in shown]),
    )
    return findings, [Cards(title, cards, note)]


def _fold_accuracies(estimator: Any, codes: np.ndarray) -> list[float]:
    """Return the accuracy of each member on its held-out fold; empty if unknown."""
    if estimator.scoring in (None, "accuracy"):
        return estimator.fold_scores_.tolist()
    folds = [held_out for _, held_out in estimator.splits_]
    if len(np.unique(np.concatenate(folds))) < sum(map(len, folds)):
        # Out-of-fold probabilities are means over several members.
        return []
    classes = np.arange(len(estimator.classes_))
    return [
        accuracy(classes, estimator.oof_proba_[rows], codes[rows]) for rows in folds
    ]


def _smaller(counts: np.ndarray, least: int) -> list[int]:
    """Return the codes of the classes with fewer images than `least`."""
    return np.flatnonzero(counts < least).tolist()


def _pairs(n: int) -> str:
    return "One pair" if n == 1 else f"{n:,} pairs"


def _listed(words: list[str], most: int = 8) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
