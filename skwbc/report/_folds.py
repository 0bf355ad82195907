"""Scores of the folds, and labels that the held-out folds contradict."""

import warnings
from typing import Any

import numpy as np

from skwbc.ensemble._members import accuracy
from skwbc.ensemble._parts import has_networks
from skwbc.inspection import find_label_issues
from skwbc.inspection._evaluation import METRICS, training_table
from skwbc.report._facts import SHOWN
from skwbc.report._images import Gallery
from skwbc.report._page import Block, Cards, Finding, Table, Text


def fold_accuracies(estimator: Any, codes: np.ndarray) -> list[float]:
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


def fold_table(estimator: Any) -> Table:
    """Tabulate sizes, scores and training metrics of the folds."""
    rows: list[dict[str, str]] = [
        {
            "Fold": str(fold),
            "Training images": str(len(train)),
            "Held out": str(len(held_out)),
            "Score": f"{score:.3f}",
        }
        for fold, ((train, held_out), score) in enumerate(
            zip(estimator.splits_, estimator.fold_scores_, strict=True), start=1
        )
    ]
    if any(estimator.n_restarts_):
        for row, number in zip(rows, estimator.n_restarts_, strict=True):
            row["Restarts"] = str(number)
    scoring = estimator.scoring or "accuracy"
    name = getattr(scoring, "__name__", scoring)
    caption = f"Folds. The score is the {name} of the member on its held-out images"
    if has_networks(estimator):
        caption += "; loss and accuracy are those of the network in the epoch kept"
        for row, metrics in zip(rows, training_table(estimator), strict=True):
            row |= {name: f"{metrics[name]:.3f}" for name in METRICS if name in metrics}
            row["Epoch kept"] = f"{metrics['best_epoch']} of {metrics['epochs']}"
    return Table(f"{caption}.", list(rows[0]), [list(row.values()) for row in rows])


def doubted_labels(
    estimator: Any, gallery: Gallery, codes: np.ndarray
) -> tuple[list[Finding], list[Block]]:
    """Return the labels that the out-of-fold probabilities contradict most."""
    title = "Labels that look wrong"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = find_label_issues(
            estimator, gallery.X, estimator.classes_[codes], names=gallery.names
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
        list(shown[0]["probabilities"]),
        np.array([list(row["probabilities"].values()) for row in shown]),
    )
    return findings, [Cards(title, cards, note)]
