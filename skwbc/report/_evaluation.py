"""The report of an evaluation."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.files import replacing
from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.ensemble._overlap import describe_overlap
from skwbc.ensemble._parts import has_networks
from skwbc.ensemble._typicality import ADVICE, FEWEST
from skwbc.inspection._evaluation import describe_typicality
from skwbc.inspection._predictions import describe_difference, predict_once
from skwbc.report import _charts as charts, _facts as facts
from skwbc.report._findings import class_findings, duplicates
from skwbc.report._images import Gallery, contact_sheets
from skwbc.report._page import (
    Block,
    Finding,
    Key,
    Page,
    Section,
    Text,
    check_installed,
    write_page,
)
from skwbc.report._reproduce import reproduction

_MOST_MISTAKES = 24
_NO_SEED = "An evaluation involves no randomness."


@validated(
    path=[str, os.PathLike],
    estimator=[HasMethods(["fit", "predict_proba"])],
    y=["array-like"],
    names=["array-like", None],
    command=[str, None],
)
def write_evaluation_report(
    path: str | os.PathLike,
    estimator: Any,
    X: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    command: str | None = None,
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
    check_installed()
    check_is_fitted(estimator)
    gallery = Gallery(X, y, names, estimator.classes_)
    with replacing(path) as temporary:
        predictions = predict_once(estimator, gallery.X)
        judged = facts.Judged(gallery, predictions, np.arange(len(gallery.codes)))
        scores = judged.scores()
        write_page(_page(estimator, judged, scores, command), temporary)
    return scores


def _page(
    estimator: Any, judged: facts.Judged, scores: dict[str, Any], command: str | None
) -> Page:
    gallery, codes = judged.gallery, judged.codes
    pair_findings, pairs, compared = duplicates(gallery)
    error = judged.calibration_error()
    data = [facts.class_counts_table(gallery), *pairs, *contact_sheets(gallery)]
    again = reproduction(
        estimator, command=command, snippet=_snippet(estimator), seed=_NO_SEED
    )
    strange, unlike = _unlike(estimator, judged, scores)
    sections = [
        Section("unlike", "Images unlike the training images", unlike),
        Section("scores", "Scores", charts.score_blocks(judged, scores)),
        Section("mistakes", "Wrong and uncertain predictions", _mistakes(judged)),
        Section("members", "Members", _members(estimator, judged)),
        Section("data", "Images", data),
        Section("again", "How to evaluate again", again),
    ]
    return Page(
        "Evaluation report",
        f"{len(codes)} images of {len(np.unique(codes))} classes",
        [
            *facts.score_keys(judged, scores),
            Key("Calibration error", f"{error:.3f}", "expected, 10 bins"),
            facts.images_key(gallery),
        ],
        [*_overlap(scores), *strange, *pair_findings, *class_findings(gallery)],
        f"{'images unlike the training images, ' * (judged.predictions.p is not None)}"
        f"{'equal training images, ' * (scores['n_trained_on'] is not None)}"
        f"classes with few or no images, classes of very different size, {compared}. "
        "Training images that were saved again or turned are not detected.",
        [section for section in sections if section.blocks],
    )


def _overlap(scores: dict[str, Any]) -> list[Finding]:
    """Return a warning of images that the model was trained on."""
    n_trained_on = scores["n_trained_on"]
    if not n_trained_on:
        return []
    text = describe_overlap(n_trained_on, scores["n_samples"])
    return [Finding("Training images", f"{text}, so the scores are too good.")]


def _unlike(
    estimator: Any, judged: facts.Judged, scores: dict[str, Any]
) -> tuple[list[Finding], list[Block]]:
    """Return a warning of images that are unlike the training images, and these."""
    predictions, text = judged.predictions, describe_typicality(scores)
    positions = np.flatnonzero(predictions.unlike)
    if not len(positions):
        few = predictions.p is not None and predictions.n_training < FEWEST
        return [Finding("Too few training images", text)] * few, []
    positions = positions[np.argsort(predictions.p[positions], kind="stable")]
    difference = describe_difference(estimator, judged.gallery.X, predictions.unlike)
    text = f"{text} {difference}".rstrip()
    shown = positions[: facts.SHOWN]
    cards = facts.prediction_cards(
        f"{len(shown)} of {len(positions)} images",
        judged,
        shown,
        "Sorted by typicality, the p-value of the hypothesis that an image resembles "
        "the training images; the smallest first.",
    )
    if not predictions.is_beyond_chance:
        return [], [Text(text), cards]
    text = f"{text} {ADVICE} (colours=False, or --no-colours)."
    return [Finding("Images unlike the training images", text)], [cards]


def _mistakes(judged: facts.Judged) -> list[Block]:
    wrong = facts.surest_mistakes(judged)
    shown = wrong[:_MOST_MISTAKES]
    return [
        facts.prediction_cards(
            f"Wrong predictions: {len(wrong)} of {len(judged.codes)}",
            judged,
            shown,
            f"{len(shown)} are shown, the most confident first.",
        )
        if len(wrong)
        else Text("All predictions are correct."),
        facts.uncertain_cards(judged),
    ]


def _members(estimator: Any, judged: facts.Judged) -> list[Block]:
    """Return the disagreement of members and the activation maps, if there are any."""
    blocks: list[Block] = []
    if judged.members is not None and len(judged.members) > 1:
        blocks.append(charts.disagreement(judged.members))
    if has_networks(estimator):
        wrong = facts.surest_mistakes(judged)
        blocks.append(charts.activation_maps(estimator, judged, wrong))
    return blocks


def _snippet(estimator: Any) -> str:
    if type(estimator).__name__ == "OnnxClassifier":
        module, load = "skwbc.export", 'OnnxClassifier("m.onnx")'
    else:
        module, load = "skwbc", 'load_model("m.joblib")'
    return (
        "from skwbc.inspection import evaluate\n"
        f"from {module} import {load.partition('(')[0]}\n\n"
        "# X: the images; y: their labels\n"
        f"model = {load}\n"
        "print(evaluate(model, X, y))\n"
    )
