"""The report of a training."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.lazy_arrays import select_rows, spread
from skwbc._utils.sklearn_compat import validated
from skwbc.augmentation import ImageAugmenter
from skwbc.ensemble._parts import has_networks, members_of, parts_of
from skwbc.inspection._evaluation import METRICS, training_table
from skwbc.inspection._label_issues import check_oof_proba
from skwbc.inspection._predictions import Predictions
from skwbc.report import _charts as charts, _facts as facts, _findings as warn_of
from skwbc.report._images import Gallery
from skwbc.report._page import CONSTRAINTS, Block, Table, check_report, write_page

# Maximum number of images that all members predict.
_PREDICTED = 200
_DISAGREEMENT = (
    "On training images, which most members were trained on; members disagree more on "
    "new images."
)


@validated(**CONSTRAINTS)
def write_training_report(
    path: str | os.PathLike,
    estimator: Any,
    X: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    groups: Sequence[Any] | None = None,
    command: str | None = None,
    recipe_call: str | None = None,
) -> None:
    """Write a report of how a fold ensemble of images was trained.

    The report is one HTML file that contains its figures and needs no network: the data
    with a few images of each class, warnings, metrics of each fold, learning curves,
    out-of-fold confusion matrix and calibration, uncertain predictions, labels that
    look wrong, class activation maps, and how to train the ensemble again.

    Parameters
    ----------
    path : str or path-like
        The file to write. An existing file is replaced once the report is complete.
    estimator : KFoldEnsembleClassifier
        An ensemble that was fitted by its own ``fit``. Its members may be networks or
        any other classifiers of images.
    X : array-like of shape (n_samples, height, width, channels)
        The images that it was fitted on, in the same order. Lazy arrays are read a few
        images at a time.
    y : array-like of shape (n_samples,)
        Their labels.
    names : sequence of str, default=None
        Names of the images. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and "image 0" and so on otherwise. A folder
        that all files share is left out.
    groups : array-like of shape (n_samples,), default=None
        The `groups` that were passed to ``fit``, if any.
    command : str, default=None
        The command line that trained the ensemble, which the report shows.
    recipe_call : str, default=None
        The call of :func:`~skwbc.make_cell_classifier` that makes the unfitted
        ensemble, which the report shows. By default it shows how to clone the saved
        model.

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    ValueError
        If the ensemble has no out-of-fold probabilities, `X` does not hold images, the
        number of images differs from that of the training, or `y` has labels that are
        not classes of the ensemble.
    OSError
        If the file cannot be written.
    ImportError
        If Jinja2 or matplotlib is not installed.

    See Also
    --------
    write_evaluation_report : Report of predictions for images that a model was not
        trained on.

    Notes
    -----
    If a figure cannot be drawn, the report shows the reason instead. The disagreement
    of the members is computed on at most 200 images. Near-duplicates are searched for
    among at most 20,000 images.

    Examples
    --------
    >>> from skwbc.report import write_training_report
    >>> clf.fit(X, y)  # doctest: +SKIP
    >>> write_training_report("training.html", clf, X, y)  # doctest: +SKIP
    """
    check_report(path, estimator)
    gallery = Gallery(X, y, names, estimator.classes_)
    check_consistent_length(gallery.X, groups)
    check_oof_proba(estimator, X=gallery.X)
    splits, codes = estimator.splits_, gallery.codes
    rows = np.flatnonzero(~np.isnan(estimator.oof_proba_).any(axis=1))
    judged = facts.Judged(gallery, Predictions(estimator.oof_proba_[rows]), rows)
    pair_findings, pairs, compared = warn_of.duplicates(gallery, splits)
    label_findings, issues = warn_of.labels(estimator, gallery)
    findings = [*warn_of.folds(estimator, codes), *pair_findings]
    findings += warn_of.classes(gallery, splits, grouped=groups is not None)
    write_page(
        path,
        "training.html",
        estimator,
        command=command,
        recipe_call=recipe_call,
        judged=judged,
        accuracy_note=facts.accuracy_note(judged),
        n_groups=0 if groups is None else len(np.unique(groups)),
        findings=[*findings, *label_findings],
        compared=compared,
        images=facts.images(gallery, pairs, splits),
        training=_training(estimator, gallery),
        score_blocks=charts.score_blocks(judged),
        members=_members(estimator, judged),
        doubts=[facts.uncertain_cards(judged, "out-of-fold "), *issues],
    )


def _fold_table(estimator: Any) -> Table:
    """Tabulate sizes, scores and training metrics of the folds."""
    rows = []
    for k, (train, held_out) in enumerate(estimator.splits_):
        row: dict[str, Any] = {"Fold": k + 1, "Training images": len(train)}
        row |= {"Held out": len(held_out), "Score": f"{estimator.fold_scores_[k]:.3f}"}
        if any(estimator.n_restarts_):
            row["Restarts"] = estimator.n_restarts_[k]
        rows.append(row)
    scoring = estimator.scoring or "accuracy"
    name = getattr(scoring, "__name__", scoring)
    caption = f"Folds. The score is the {name} of the member on its held-out images"
    if has_networks(estimator):
        caption += "; loss and accuracy are those of the network in the epoch kept"
        for row, metrics in zip(rows, training_table(estimator), strict=True):
            row |= {name: f"{metrics[name]:.3f}" for name in METRICS if name in metrics}
            row["Epoch kept"] = f"{metrics['best_epoch']} of {metrics['epochs']}"
    return Table(f"{caption}.", rows)


def _training(estimator: Any, gallery: Gallery) -> list[Block]:
    blocks: list[Block] = [_fold_table(estimator)]
    if has_networks(estimator):
        blocks += charts.learning_curves(estimator)
    parts = parts_of(members_of(estimator)[0])
    augmenter = next((part for part in parts if isinstance(part, ImageAugmenter)), None)
    if augmenter is not None:
        some = gallery.read(facts.one_of_each(gallery.codes)[:3])
        blocks.append(charts.augmentations(augmenter, some))
    return blocks


def _members(estimator: Any, judged: facts.Judged) -> list[Block]:
    blocks: list[Block] = []
    if len(members_of(estimator)) > 1:
        some = spread(len(judged.gallery.names), _PREDICTED)
        members = estimator.predict_proba_members(select_rows(judged.gallery.X, some))
        blocks.append(charts.disagreement(members, _DISAGREEMENT))
    if has_networks(estimator):
        unsure = facts.least_sure(judged, facts.SHOWN)
        note = "All members but one were trained on the image."
        blocks.append(charts.activation_maps(estimator, judged, unsure, note))
    return blocks or ["The only member does not contain a network to explain."]
