"""The report of an evaluation."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.files import replacing
from skwbc._utils.labels import encode_labels
from skwbc._utils.sklearn_compat import HasMethods, validate_params
from skwbc.ensemble._parts import has_networks
from skwbc.ensemble._typicality import FEWEST
from skwbc.inspection._predictions import describe_difference, predict_once
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
    surest_mistakes,
)
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


@validate_params(
    {
        "path": [str, os.PathLike],
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "y": ["array-like"],
        "names": ["array-like", None],
        "command": [str, None],
    },
    prefer_skip_nested_validation=True,
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
    gallery = Gallery(X, names)
    check_consistent_length(gallery.X, y)
    codes = encode_labels(y, estimator.classes_)
    with replacing(path) as temporary:
        rows = np.arange(len(codes))
        predictions = predict_once(estimator, gallery.X)
        judged = Judged(np.asarray(estimator.classes_), codes, predictions, rows)
        scores = judged.scores()
        write_page(_page(estimator, gallery, judged, scores, command), temporary)
    return scores


def _page(
    estimator: Any,
    gallery: Gallery,
    judged: Judged,
    scores: dict[str, Any],
    command: str | None,
) -> Page:
    labels, codes = judged.labels, judged.codes
    pair_findings, pairs, compared = duplicates(gallery, labels, codes)
    error = judged.calibration_error()
    data = [
        class_counts_table(labels, codes),
        *pairs,
        *contact_sheets(gallery, labels, codes),
    ]
    again = reproduction(
        estimator, command=command, snippet=_snippet(estimator), seed=_NO_SEED
    )
    strange, unlike = _unlike(estimator, gallery, judged, scores)
    sections = [
        Section("unlike", "Images unlike the training images", unlike),
        Section("scores", "Scores", charts.score_blocks(judged, scores)),
        Section(
            "mistakes", "Wrong and uncertain predictions", _mistakes(gallery, judged)
        ),
        Section("members", "Members", _members(estimator, gallery, judged)),
        Section("data", "Images", data),
        Section("again", "How to evaluate again", again),
    ]
    return Page(
        "Evaluation report",
        f"{len(codes)} images of {len(np.unique(codes))} classes",
        [
            *score_keys(judged, scores),
            Key("Calibration error", f"{error:.3f}", "expected, 10 bins"),
            images_key(gallery),
        ],
        strange + pair_findings + class_findings(labels, codes),
        f"{'images unlike the training images, ' * (judged.predictions.p is not None)}"
        f"classes with few or no images, classes of very different size, {compared}. "
        "This report cannot detect whether the model was trained on any of these "
        "images.",
        [section for section in sections if section.blocks],
    )


def _unlike(
    estimator: Any, gallery: Gallery, judged: Judged, scores: dict[str, Any]
) -> tuple[list[Finding], list[Block]]:
    """Return a warning of images that are unlike the training images, and these."""
    predictions = judged.predictions
    summary = predictions.summary()
    positions = np.flatnonzero(predictions.unlike)
    if not len(positions):
        few = predictions.p is not None and predictions.n_training < FEWEST
        return [Finding("Too few training images", f"{summary}.")] * few, []
    positions = positions[np.argsort(predictions.p[positions], kind="stable")]
    found, note = (
        scores["typicality"],
        describe_difference(estimator, gallery.X, predictions.unlike),
    )
    accuracy = f"The accuracy on them is {found['accuracy_unlike']:.3f}"
    if found["accuracy_others"] is not None:
        accuracy += f", and {found['accuracy_others']:.3f} on the others"
    shown = positions[:SHOWN]
    cards = prediction_cards(
        f"{len(shown)} of {len(positions)} images",
        judged,
        shown,
        gallery,
        "Sorted by typicality, the p-value of the hypothesis that an image resembles "
        "the training images; the smallest first.",
    )
    text = f"{summary}. {accuracy}. {note}".strip()
    if not predictions.is_beyond_chance:
        return [], [Text(text), cards]
    return [Finding("Images unlike the training images", text)], [cards]


def _mistakes(gallery: Gallery, judged: Judged) -> list[Block]:
    wrong = surest_mistakes(judged)
    shown = wrong[:_MOST_MISTAKES]
    return [
        prediction_cards(
            f"Wrong predictions: {len(wrong)} of {len(judged.codes)}",
            judged,
            shown,
            gallery,
            f"{len(shown)} are shown, the most confident first.",
        )
        if len(wrong)
        else Text("All predictions are correct."),
        prediction_cards(
            "Most uncertain predictions",
            judged,
            least_sure(judged, SHOWN),
            gallery,
            "Sorted by the entropy of the probabilities, the most uncertain first.",
        ),
    ]


def _members(estimator: Any, gallery: Gallery, judged: Judged) -> list[Block]:
    """Return the disagreement of members and the activation maps, if there are any."""
    blocks: list[Block] = []
    if judged.members is not None and len(judged.members) > 1:
        blocks.append(charts.disagreement(judged.members))
    if has_networks(estimator):
        some = one_of_each(judged.codes)[: charts.MAPS // 2]
        chosen = list(dict.fromkeys([*some, *surest_mistakes(judged)]))[: charts.MAPS]
        blocks.append(charts.activation_maps(estimator, gallery, judged, chosen))
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
