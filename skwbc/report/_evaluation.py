"""The report of an evaluation."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from skwbc._utils.names import counted
from skwbc._utils.sklearn_compat import validated
from skwbc.ensemble._overlap import describe_overlap
from skwbc.ensemble._parts import has_networks
from skwbc.ensemble._typicality import ADVICE, FEWEST
from skwbc.inspection._evaluation import describe_typicality
from skwbc.inspection._predictions import describe_difference, predict_once
from skwbc.report import _charts as charts, _facts as facts, _findings as warn_of
from skwbc.report._images import Gallery
from skwbc.report._page import CONSTRAINTS, Block, Finding, check_report, write_page

_MOST_MISTAKES = 24
_BY_TYPICALITY = (
    "Sorted by typicality, the p-value of the hypothesis that an image resembles the "
    "training images; the smallest first."
)


@validated(**CONSTRAINTS)
def write_evaluation_report(
    path: str | os.PathLike,
    estimator: Any,
    X: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    command: str | None = None,
    model_file: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Write a report of how well a classifier predicts labelled images.

    The report is one HTML file that contains its figures and needs no network: scores
    with an interval for the accuracy, the confusion matrix, calibration of the
    probabilities, wrong and uncertain predictions, disagreement of the members, and
    class activation maps.

    Parameters
    ----------
    path : str or path-like
        The file to write. An existing file is replaced once the report is complete.
    estimator : classifier
        A fitted classifier with ``predict_proba``: an ensemble, an
        :class:`~skwbc.export.OnnxClassifier`, or any other classifier of images. Class
        activation maps need networks that are not in ONNX.
    X : array-like of shape (n_samples, height, width, channels)
        Images that it was not trained on.
    y : array-like of shape (n_samples,)
        Their labels, all of them classes of the classifier.
    names : sequence of str, default=None
        Names of the images. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and "image 0" and so on otherwise. A folder
        that all files share is left out.
    command : str, default=None
        The command line that evaluated the classifier, which the report shows.
    model_file : str or path-like, default=None
        The file that the classifier was loaded from, which the report shows.

    Returns
    -------
    dict
        The scores, as :func:`skwbc.inspection.evaluate` returns them.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError
        If `X` does not hold images, or `y` has labels that are not classes of the
        classifier.
    OSError
        If the file cannot be written.
    ImportError
        If Jinja2 or matplotlib is not installed.

    See Also
    --------
    write_training_report : Report of the training of an ensemble.
    skwbc.inspection.evaluate : The scores alone.

    Notes
    -----
    The interval of the accuracy is the 95 % interval of Wilson [1]_. It assumes
    independent images, and is too narrow for several images of one patient. If a figure
    cannot be drawn, the report shows the reason instead.

    References
    ----------
    .. [1] E. B. Wilson. "Probable inference, the law of succession, and statistical
       inference." Journal of the American Statistical Association 22, 1927.

    Examples
    --------
    >>> from skwbc.report import write_evaluation_report
    >>> write_evaluation_report("test.html", clf, X_test, y_test)  # doctest: +SKIP
    """
    check_report(path, estimator)
    gallery = Gallery(X, y, names, estimator.classes_)
    predictions = predict_once(estimator, gallery.X)
    judged = facts.Judged(gallery, predictions, np.arange(len(gallery.codes)))
    pair_findings, pairs, compared = warn_of.duplicates(gallery)
    strange, unlike = _unlike(estimator, judged)
    findings = [*_overlap(judged.scores), *strange, *pair_findings]
    write_page(
        path,
        "evaluation.html",
        estimator,
        command=command,
        model_file=model_file,
        judged=judged,
        accuracy_note=facts.accuracy_note(judged),
        findings=[*findings, *warn_of.classes(gallery)],
        compared=compared,
        unlike=unlike,
        score_blocks=charts.score_blocks(judged),
        mistakes=_mistakes(judged),
        members=_members(estimator, judged),
        images=facts.images(gallery, pairs),
    )
    return judged.scores


def _overlap(scores: dict[str, Any]) -> list[Finding]:
    """Return a warning of images that the model was trained on."""
    n_trained_on = scores["n_trained_on"]
    if not n_trained_on:
        return []
    text = describe_overlap(n_trained_on, scores["n_samples"])
    return [Finding("trained_on", {"text": text})]


def _unlike(estimator: Any, judged: facts.Judged) -> tuple[list[Finding], list[Block]]:
    """Return a warning of images that are unlike the training images, and these."""
    predictions, text = judged.predictions, describe_typicality(judged.scores)
    positions = np.flatnonzero(predictions.unlike)
    if not len(positions):
        few = predictions.p is not None and predictions.n_training < FEWEST
        return [Finding("few_training_images", {"text": text})] * few, []
    positions = positions[np.argsort(predictions.p[positions], kind="stable")]
    difference = describe_difference(estimator, judged.gallery.X, predictions.unlike)
    text = f"{text} {difference}".rstrip()
    shown = positions[: facts.SHOWN]
    title = f"{len(shown)} of {counted(len(positions), 'image')}"
    cards = facts.prediction_cards(title, judged, shown, _BY_TYPICALITY)
    if not predictions.is_beyond_chance:
        return [], [text, cards]
    return [Finding("unlike_images", {"text": f"{text} {ADVICE}"})], [cards]


def _mistakes(judged: facts.Judged) -> list[Block]:
    wrong, unsure = facts.surest_mistakes(judged), facts.uncertain_cards(judged)
    if not len(wrong):
        return ["All predictions are correct.", unsure]
    title = f"Wrong predictions: {len(wrong)} of {len(judged.codes)}"
    shown = wrong[:_MOST_MISTAKES]
    note = facts.shown_first(len(shown), len(wrong), "confident")
    return [facts.prediction_cards(title, judged, shown, note), unsure]


def _members(estimator: Any, judged: facts.Judged) -> list[Block]:
    """Return the disagreement of members and the activation maps, if there are any."""
    blocks: list[Block] = []
    if judged.members is not None and len(judged.members) > 1:
        blocks.append(charts.disagreement(judged.members))
    if has_networks(estimator):
        wrong = facts.surest_mistakes(judged)
        blocks.append(charts.activation_maps(estimator, judged, wrong, ""))
    return blocks
