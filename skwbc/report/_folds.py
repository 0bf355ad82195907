"""What the held-out folds say of members and labels."""

import warnings
from typing import Any

import numpy as np

from skwbc.ensemble._members import accuracy
from skwbc.ensemble._parts import has_networks
from skwbc.inspection import find_label_issues
from skwbc.inspection._evaluation import training_table
from skwbc.report._facts import SHOWN
from skwbc.report._images import Gallery
from skwbc.report._page import Block, Cards, Finding, Table, Text


def fold_accuracies(ensemble: Any, given: np.ndarray) -> list[float | None]:
    """Return the accuracy of each member on its held-out fold, where it is known."""
    if ensemble.scoring in (None, "accuracy"):
        return [float(score) for score in ensemble.fold_scores_]
    together = np.concatenate([held_out for _, held_out in ensemble.splits_])
    if len(np.unique(together)) < len(together):
        return [None for _ in ensemble.splits_]
    classes = np.arange(len(ensemble.classes_))
    return [
        accuracy(classes, ensemble.oof_proba_[rows], given[rows])
        for _, rows in ensemble.splits_
    ]


def fold_table(ensemble: Any) -> Table:
    scoring = ensemble.scoring or "accuracy"
    rows: list[dict[str, str]] = [
        {
            "Fold": str(fold),
            "Trained on": str(len(train)),
            "Held out": str(len(held_out)),
            "Member's score": f"{score:.3f}",
        }
        for fold, ((train, held_out), score) in enumerate(
            zip(ensemble.splits_, ensemble.fold_scores_, strict=True), start=1
        )
    ]
    if any(ensemble.n_restarts_):
        for row, number in zip(rows, ensemble.n_restarts_, strict=True):
            row["Restarts"] = str(number)
    if has_networks(ensemble):
        for row, figures in zip(rows, training_table(ensemble), strict=True):
            row |= {
                name: f"{figures[name]:.3f}"
                for name in ("loss", "accuracy", "val_loss", "val_accuracy")
                if name in figures
            }
            row["Epoch kept"] = f"{figures['best_epoch']} of {figures['epochs']}"
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "own")
    caption = f"Folds. The score of a member is its {name} on its held-out images"
    if "loss" in rows[0]:
        caption += "; loss and accuracy are the network's in the epoch that was kept"
    return Table(
        f"{caption}.", list(rows[0]), [list(row.values()) for row in rows], n_texts=1
    )


def doubted_labels(
    ensemble: Any, gallery: Gallery, given: np.ndarray
) -> tuple[list[Finding], list[Block]]:
    """Show the labels that the out-of-fold probabilities contradict most."""
    title = "Labels that look wrong"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = find_label_issues(
            ensemble, gallery.X, ensemble.classes_[given], names=gallery.names
        )
    findings = [
        Finding("Most labels are contradicted", str(each.message))
        for each in caught
        if "labels are contradicted" in str(each.message)
    ]
    issues = [row for row in rows if row["issue"]]
    number = len(issues)
    if not issues:
        return findings, [Text(f"{title}: none.")]
    shown = issues[:SHOWN]
    said = [
        {
            "alt": f"{row['image']}, labelled {row['given']}, perhaps "
            f"{row['suggested']}",
            "lines": [row["image"], f"labelled {row['given']}"],
            "bars": sorted(row["probabilities"].items(), key=lambda x: -x[1])[:4],
            "flag": f"{row['suggested']}?",
        }
        for row in shown
    ]
    note = (
        f"{number} of {len(rows)} labels are contradicted by the out-of-fold "
        "probabilities (confident learning). Whether they are wrong is for someone to "
        f"say who knows the images. {len(shown)} are shown, the least probable labels "
        "first."
    )
    cards = gallery.cards([row["index"] for row in shown], said)
    return findings, [Cards(title, cards, note)]
