"""The report of a training."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.files import replacing
from skwbc._utils.labels import encode_labels
from skwbc._utils.lazy_arrays import select_rows, spread
from skwbc._utils.sklearn_compat import HasMethods, validate_params
from skwbc.augmentation import ImageAugmenter
from skwbc.ensemble._parts import has_networks, members_of, parts_of
from skwbc.inspection._label_issues import check_oof_proba
from skwbc.inspection._predictions import Predictions
from skwbc.report import _charts as charts
from skwbc.report._facts import (
    SHOWN,
    Judged,
    class_counts_table,
    images_key,
    least_sure,
    one_of_each,
    prediction_cards,
    score_keys,
)
from skwbc.report._findings import class_findings, duplicates, fold_findings
from skwbc.report._folds import doubted_labels, fold_accuracies, fold_table
from skwbc.report._images import Gallery, contact_sheets
from skwbc.report._page import (
    Block,
    Key,
    Page,
    Section,
    Text,
    check_installed,
    write_page,
)
from skwbc.report._reproduce import reproduction, seed_sentence, training_snippet

# Maximum number of images that all members predict.
_PREDICTED = 200


@validate_params(
    {
        "path": [str, os.PathLike],
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "y": ["array-like"],
        "names": ["array-like", None],
        "groups": ["array-like", None],
        "command": [str, None],
        "recipe_call": [str, None],
    },
    prefer_skip_nested_validation=True,
)
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
    check_installed()
    gallery = Gallery(X, names)
    check_consistent_length(gallery.X, y, groups)
    check_oof_proba(estimator, X=gallery.X)
    codes = encode_labels(y, estimator.classes_)
    page = _page(estimator, gallery, codes, groups, command, recipe_call)
    with replacing(path) as temporary:
        write_page(page, temporary)


def _page(
    estimator: Any,
    gallery: Gallery,
    codes: np.ndarray,
    groups: Sequence[Any] | None,
    command: str | None,
    recipe_call: str | None,
) -> Page:
    splits = estimator.splits_
    rows = np.flatnonzero(~np.isnan(estimator.oof_proba_).any(axis=1))
    classes = np.asarray(estimator.classes_)
    predictions = Predictions(estimator.oof_proba_[rows])
    judged = Judged(classes, codes[rows], predictions, rows)
    labels, scores = judged.labels, judged.scores()
    pair_findings, pairs, compared = duplicates(gallery, labels, codes, splits)
    label_findings, issues = doubted_labels(estimator, gallery, codes)
    keys = [
        *score_keys(judged, scores, "out-of-fold "),
        images_key(gallery),
        Key("Classes", str(len(labels))),
        Key("Members", str(len(estimator.estimators_)), "one per fold"),
    ]
    if groups is not None:
        keys.append(Key("Groups", str(len(np.unique(groups))), "each in one fold"))
    if estimator.scoring not in (None, "accuracy"):
        score = f"{estimator.oof_score_:.3f}"
        keys.insert(1, Key("Out-of-fold score", score, f"scoring={estimator.scoring}"))
    unsure = prediction_cards(
        "Most uncertain predictions",
        judged,
        least_sure(judged, SHOWN),
        gallery,
        "Sorted by the entropy of the out-of-fold probabilities, the most uncertain "
        "first.",
    )
    data = [
        class_counts_table(labels, codes, splits),
        *pairs,
        *contact_sheets(gallery, labels, codes),
    ]
    held_out_note = Text(
        "Each image was predicted by the members that were not trained on it. These "
        "are scores of single members; the whole ensemble is usually better."
    )
    snippet = training_snippet(
        recipe_call, tuple(gallery.X.shape), grouped=groups is not None
    )
    again = reproduction(
        estimator, command=command, snippet=snippet, seed=seed_sentence(estimator)
    )
    return Page(
        "Training report",
        f"{len(codes)} images of {len(labels)} classes: {', '.join(labels)}",
        keys,
        [
            *fold_findings(estimator, codes, fold_accuracies(estimator, codes)),
            *pair_findings,
            *class_findings(labels, codes, splits, grouped=groups is not None),
            *label_findings,
        ],
        "members that are not better than guessing, optimistic scores, classes with "
        f"few images, classes of very different size, {compared}, mostly contradicted "
        "labels.",
        [
            Section("data", "Images", data),
            Section("training", "Training", _training(estimator, gallery, codes)),
            Section(
                "held-out",
                "Held-out images",
                [held_out_note, *charts.score_blocks(judged, scores)],
            ),
            Section("members", "Members", _members(estimator, gallery, judged)),
            Section(
                "doubts", "Uncertain predictions, doubtful labels", [unsure, *issues]
            ),
            Section("again", "How to train again", again),
        ],
    )


def _training(estimator: Any, gallery: Gallery, codes: np.ndarray) -> list[Block]:
    blocks: list[Block] = [fold_table(estimator)]
    if has_networks(estimator):
        blocks += charts.learning_curves(estimator)
    parts = parts_of(members_of(estimator)[0])
    augmenter = next((part for part in parts if isinstance(part, ImageAugmenter)), None)
    if augmenter is not None:
        some = gallery.read(one_of_each(codes)[:3])
        blocks.append(charts.augmentations(augmenter, some))
    return blocks


def _members(estimator: Any, gallery: Gallery, judged: Judged) -> list[Block]:
    blocks: list[Block] = []
    if len(members_of(estimator)) > 1:
        some = spread(len(gallery.names), _PREDICTED)
        members = estimator.predict_proba_members(select_rows(gallery.X, some))
        blocks.append(
            charts.disagreement(
                members,
                "On training images, which most members were trained on; members "
                "disagree more on new images.",
            )
        )
    if has_networks(estimator):
        each = one_of_each(judged.codes)[: charts.MAPS // 2]
        unsure = least_sure(judged, charts.MAPS)
        chosen = list(dict.fromkeys([*each, *unsure]))[: charts.MAPS]
        note = "All members but one were trained on the image."
        blocks.append(charts.activation_maps(estimator, gallery, judged, chosen, note))
    return blocks or [Text("The only member does not contain a network to explain.")]
