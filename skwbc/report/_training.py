"""The report of a training."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.files import replacing
from skwbc._utils.labels import encode_labels
from skwbc._utils.lazy_arrays import select_rows
from skwbc._utils.sklearn_compat import HasMethods, validate_params
from skwbc.augmentation import ImageAugmenter
from skwbc.ensemble._parts import has_networks, members_of, parts_of
from skwbc.report import _charts as charts
from skwbc.report._facts import (
    SHOWN,
    Judged,
    accuracy_key,
    class_counts_table,
    confusion_table,
    least_sure,
    one_of_each,
    per_class_table,
    say,
)
from skwbc.report._findings import class_findings, duplicates, fold_findings
from skwbc.report._folds import doubted_labels, fold_accuracies, fold_table
from skwbc.report._images import Gallery, contact_sheets
from skwbc.report._page import (
    Block,
    Cards,
    Key,
    Page,
    Section,
    Text,
    check_installed,
    write_page,
)
from skwbc.report._reproduce import reproduction, seed_sentence, training_snippet

# Images that all members look at, at the most.
_LOOKED_AT = 200


@validate_params(
    {
        "path": [str, os.PathLike],
        "ensemble": [HasMethods(["fit", "predict_proba"])],
        "X": "no_validation",
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
    ensemble: Any,
    X: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    groups: Sequence[Any] | None = None,
    command: str | None = None,
    recipe_call: str | None = None,
) -> None:
    """Write how a fold ensemble of images was trained, and what its folds say of it.

    One HTML file, which holds its pictures and needs no network: the data with a few
    images of each class, what to be careful of, the figures of each fold, learning
    curves, out-of-fold confusion matrix and reliability, the images that the ensemble
    is least sure of, labels that it doubts, where its networks look, and how to train
    it again.

    Parameters
    ----------
    path : str or path-like
        The file. What stood there before is replaced when the report is whole.
    ensemble : KFoldEnsembleClassifier
        Fitted by its own ``fit``. Its members may be networks or any other classifiers
        of images.
    X : array-like of shape (n_samples, height, width, channels)
        The images that it was fitted on, in that order. A lazy array is read a few at a
        time.
    y : array-like of shape (n_samples,)
        Their labels.
    names : sequence of str, default=None
        What to call each image. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and "image 0" and so on otherwise. A folder
        that all are in is left out.
    groups : array-like of shape (n_samples,), default=None
        What ``fit`` was given as `groups`, if anything.
    command : str, default=None
        The command line that trained it, to be shown.
    recipe_call : str, default=None
        The call of :func:`~skwbc.make_cell_classifier` that makes the unfitted
        ensemble, to be shown. By default the page shows how to clone the saved model.

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    ValueError
        If it has no out-of-fold probabilities, or `X` are no images, or others than it
        was fitted on as far as their number tells, or it does not know a label.
    OSError
        If the file cannot be written.
    ImportError
        If Jinja2 or matplotlib is not installed.

    See Also
    --------
    write_evaluation_report : The same of images that a model was not trained on.

    Notes
    -----
    A picture that cannot be made is replaced by a sentence that says why. All members
    look at 200 of the images at most. Near-duplicates are looked for among up to 20,000
    images.

    Examples
    --------
    >>> from skwbc.report import write_training_report
    >>> clf.fit(X, y)  # doctest: +SKIP
    >>> write_training_report("training.html", clf, X, y)  # doctest: +SKIP
    """
    check_installed()
    check_is_fitted(ensemble)
    if not hasattr(ensemble, "oof_proba_"):
        raise ValueError(
            f"This {type(ensemble).__name__} has no out-of-fold probabilities "
            "(`oof_proba_`), which the report is about. Expected a "
            "KFoldEnsembleClassifier that was fitted by its own `fit`, not made by "
            "`from_cross_validate`."
        )
    gallery = Gallery(X, names)
    check_consistent_length(gallery.X, y, groups)
    if gallery.n != len(ensemble.oof_proba_):
        raise ValueError(
            f"X has {gallery.n} images, but the ensemble was fitted on "
            f"{len(ensemble.oof_proba_)}. Expected those, in that order."
        )
    given = encode_labels(y, ensemble.classes_)
    page = _page(ensemble, gallery, given, groups, command, recipe_call)
    with replacing(path) as temporary:
        write_page(page, temporary)


def _page(
    ensemble: Any,
    gallery: Gallery,
    given: np.ndarray,
    groups: Sequence[Any] | None,
    command: str | None,
    recipe_call: str | None,
) -> Page:
    labels = [str(label) for label in ensemble.classes_]
    splits = ensemble.splits_
    held_out = np.flatnonzero(~np.isnan(ensemble.oof_proba_).any(axis=1))
    judged = Judged(
        labels, given[held_out], ensemble.oof_proba_[held_out], None, held_out
    )
    scores = judged.scores()
    findings = fold_findings(ensemble, given, fold_accuracies(ensemble, given))
    twice, pairs, compared = duplicates(gallery, labels, given, splits)
    findings += twice + class_findings(labels, given, splits)
    doubts, doubted = doubted_labels(ensemble, gallery, given)
    findings += doubts
    keys = [
        accuracy_key(judged, "Out-of-fold accuracy"),
        Key(
            "Balanced accuracy",
            f"{scores['balanced_accuracy']:.3f}",
            "out-of-fold, mean recall of the classes",
        ),
        Key("Log loss", f"{scores['log_loss']:.3f}", "out-of-fold"),
        Key("Images", f"{gallery.n:,}", "{} x {} pixels".format(*gallery.X.shape[1:3])),
        Key("Classes", str(len(labels))),
        Key("Members", str(len(ensemble.estimators_)), "one for each fold"),
    ]
    if groups is not None:
        keys.append(Key("Groups", str(len(np.unique(groups))), "each in one fold"))
    if ensemble.scoring not in (None, "accuracy"):
        note = f"out-of-fold, scoring={ensemble.scoring}"
        keys.insert(1, Key("Score", f"{ensemble.oof_score_:.3f}", note))
    data = [class_counts_table(labels, given, splits), *pairs]
    data += contact_sheets(gallery, labels, given)
    sections = [
        Section("data", "Images", data),
        Section("training", "Training", _training(ensemble, gallery, given)),
        Section("held-out", "Held-out images", _held_out(judged, scores)),
        Section("members", "Members", _members(ensemble, gallery, judged)),
        Section("doubts", "Least sure images, doubted labels", [
            _least_sure(gallery, judged),
            *doubted,
        ]),
        Section("again", "How to train it again", reproduction(
            ensemble,
            command=command,
            snippet=training_snippet(
                recipe_call, tuple(gallery.X.shape), grouped=groups is not None
            ),
            seed=seed_sentence(ensemble),
        )),
    ]  # fmt: skip
    return Page(
        "Training report",
        f"{gallery.n} images of {len(labels)} classes: {', '.join(labels)}",
        keys,
        findings,
        "members no better than guessing, scores that are optimistic, classes of few "
        f"images, classes of very different size, {compared}, labels that are mostly "
        "contradicted.",
        sections,
    )


def _training(ensemble: Any, gallery: Gallery, given: np.ndarray) -> list[Block]:
    blocks: list[Block] = [fold_table(ensemble)]
    if has_networks(ensemble):
        blocks += [
            charts.try_to_draw(
                f"Learning curves: {metric}",
                partial(charts.learning_curves, ensemble, metric),
            )
            for metric in ("loss", "accuracy")
        ]
    augmenter = _augmenter_of(ensemble)
    if augmenter is not None:
        some = gallery.read(one_of_each(given)[:3])
        blocks.append(
            charts.try_to_draw(
                "Augmentation", lambda: charts.augmentations(augmenter, some)
            )
        )
    return blocks


def _held_out(judged: Judged, scores: dict[str, Any]) -> list[Block]:
    return [
        Text(
            "Each image was judged by the members that were not trained on it. These "
            "are figures of single members; all together are better as a rule."
        ),
        charts.try_to_draw("Confusion matrix", lambda: charts.confusion_matrix(judged)),
        charts.try_to_draw("Reliability", lambda: charts.reliability(judged)),
        per_class_table(scores),
        confusion_table(scores),
    ]


def _members(ensemble: Any, gallery: Gallery, judged: Judged) -> list[Block]:
    blocks: list[Block] = []
    if len(members_of(ensemble)) > 1:
        some = np.unique(np.linspace(0, gallery.n - 1, _LOOKED_AT).astype(int))
        note = (
            "Of training images, most of which each member was trained on: on new "
            "images they differ more."
        )
        blocks.append(
            charts.try_to_draw(
                "Members' disagreement",
                lambda: charts.disagreement(
                    ensemble.predict_proba_members(select_rows(gallery.X, some)), note
                ),
            )
        )
    if has_networks(ensemble):
        each = one_of_each(judged.given)[: charts.MAPS // 2]
        unsure = [k for k in least_sure(judged, charts.MAPS) if k not in each]
        chosen = [*each, *unsure][: charts.MAPS]
        note = "All members but one were trained on the image."
        blocks.append(charts.maps(ensemble, gallery, judged, chosen, note))
    return blocks or [Text("There is one member, and it has no network to look into.")]


def _least_sure(gallery: Gallery, judged: Judged) -> Cards:
    chosen = least_sure(judged, SHOWN)
    return Cards(
        "Images that the members are least sure of",
        gallery.cards(judged.rows[chosen], say(judged, chosen, gallery.names)),
        "By the entropy of the out-of-fold probabilities, the least sure first.",
    )


def _augmenter_of(ensemble: Any) -> ImageAugmenter | None:
    """Return the first image augmenter of the first member, if there is one."""
    parts = parts_of(members_of(ensemble)[0])
    return next((part for part in parts if isinstance(part, ImageAugmenter)), None)
