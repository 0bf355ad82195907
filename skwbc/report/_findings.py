"""Warnings for readers of a report, with the images that they are about."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skwbc._utils.names import counted
from skwbc._utils.probabilities import lacks_probabilities
from skwbc.ensemble._members import accuracy, guessing_accuracy
from skwbc.ensemble._parts import what_folds_chose
from skwbc.inspection import find_label_issues, find_near_duplicates
from skwbc.report._facts import SHOWN, shown_first
from skwbc.report._images import Gallery
from skwbc.report._page import Block, Card, Cards, Finding

# Metrics of a class with fewer images are mostly chance.
FEW, _IN_A_FOLD = 10, 2
# Ratio of the sizes of the largest and the smallest class.
IMBALANCE = 5
# A search for near-duplicates among more images would take minutes.
MOST_COMPARED = 20_000
_SHOWN_PAIRS, _PAIR_SIDE = 20, 128


def classes(
    gallery: Gallery, splits: Sequence[Any] = (), *, grouped: bool = False
) -> Iterator[Finding]:
    """Return warnings of classes with few images, and of large imbalance."""
    labels, counts = gallery.labels, gallery.count()
    if few := _smaller(counts, FEW):
        smaller = [f"{labels[c]} ({counts[c]})" for c in few]
        yield Finding("few_images", {"least": FEW, "classes": smaller})
    for name, side, least in ("few_held_out", 1, _IN_A_FOLD), ("none_to_train", 0, 1):
        sides = [gallery.count(split[side]) for split in splits]
        numbered = enumerate(sides, start=1)
        folds = [(n, c, fold) for fold, n in numbered for c in _smaller(n, least)]
        if not folds:
            continue
        # Stratified folds have equal shares of a class, unless groups prevent it.
        shares = counts * np.sum(sides)
        enough = shares[[c for _, c, _ in folds]] >= least * counts.sum() * len(splits)
        if grouped:
            advice = "More images from other groups or fewer folds"
        elif enough.any():
            advice = "More images, fewer folds or stratified folds"
        elif side == 1 and (counts[[c for _, c, _ in folds]] > 1).any():
            advice = "More images or fewer folds"
        else:
            advice = "More images"
        places = [f"{labels[c]} ({n[c]}) in fold {fold}" for n, c, fold in folds]
        yield Finding(name, {"places": _listed(places), "advice": advice})
    present = np.flatnonzero(counts)
    largest, smallest = present[[counts[present].argmax(), counts[present].argmin()]]
    if counts[largest] >= IMBALANCE * counts[smallest]:
        most = {"n_most": counts[largest], "largest": labels[largest]}
        fewest = {"n_fewest": counts[smallest], "smallest": labels[smallest]}
        yield Finding("unequal_classes", most | fewest)


def folds(estimator: Any, codes: np.ndarray) -> Iterator[Finding]:
    """Return warnings of members that failed to learn, and of optimistic scores."""
    failed = []
    for fold, score in enumerate(_fold_accuracies(estimator, codes)):
        guessing = guessing_accuracy(codes[estimator.splits_[fold][1]])
        if score <= guessing < 1:
            failed.append(f"fold {fold + 1} ({score:.3f}, guessing {guessing:.3f})")
    if failed:
        yield Finding("failed_members", {"members": failed})
    held_out = np.unique(np.concatenate([rows for _, rows in estimator.splits_]))
    if without := int(lacks_probabilities(estimator.oof_proba_[held_out]).sum()):
        yield Finding("no_probabilities", {"n": without, "n_images": len(codes)})
    if reasons := what_folds_chose(estimator):
        yield Finding("optimistic", {"reasons": reasons})


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
    caption = f"Near-duplicate images: {counted(len(pairs), 'pair')}"
    if len(pairs) > _SHOWN_PAIRS:
        caption += f"; the {_SHOWN_PAIRS} most similar are shown"
    findings = list(_pair_findings(pairs, gallery.codes, splits))
    return findings, [Cards(caption, cards)], checked_for


def _pair_findings(
    pairs: list[dict[str, Any]], codes: np.ndarray, splits: Sequence[Any] | None
) -> Iterator[Finding]:
    if leaks := sum(bool(pair["leaks"]) for pair in pairs):
        yield Finding("pairs_across_folds", {"pairs": counted(leaks, "pair")})
    elif splits is None:
        yield Finding("pairs", {"pairs": counted(len(pairs), "pair")})
    if differ := sum(codes[pair["first"]] != codes[pair["second"]] for pair in pairs):
        yield Finding("two_labels", {"pairs": counted(differ, "pair")})


def labels(estimator: Any, gallery: Gallery) -> tuple[list[Finding], list[Block]]:
    """Return the labels that the out-of-fold probabilities contradict most."""
    title = "Labels that look wrong"
    y = estimator.classes_[gallery.codes]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = find_label_issues(estimator, gallery.X, y, names=gallery.names)
    findings = [
        Finding("contradicted_labels", {"text": str(each.message)})
        for each in caught
        if "labels are contradicted" in str(each.message)
    ]
    issues = [row for row in rows if row["issue"]]
    if not issues:
        return findings, [f"{title}: none."]
    shown = issues[:SHOWN]
    note = (
        f"The out-of-fold probabilities contradict {len(issues)} of {len(rows)} labels "
        "(confident learning). An expert has to decide what is wrong. "
        + shown_first(len(shown), len(issues), "improbable labels")
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
    proba, classes = estimator.oof_proba_, np.arange(len(estimator.classes_))
    return [accuracy(classes, proba[rows], codes[rows]) for rows in folds]


def _smaller(counts: np.ndarray, least: int) -> list[int]:
    """Return the codes of the classes with fewer images than `least`."""
    return np.flatnonzero(counts < least).tolist()


def _listed(words: list[str], most: int = 8) -> str:
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
