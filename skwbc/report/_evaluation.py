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
from skwbc.report import _charts as charts
from skwbc.report._facts import (
    SHOWN,
    Judged,
    accuracy_key,
    class_counts_table,
    confusion_table,
    judge,
    least_sure,
    one_of_each,
    per_class_table,
    say,
    surest_mistakes,
)
from skwbc.report._findings import class_findings, duplicates
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
from skwbc.report._reproduce import reproduction
from skwbc.uncertainty import expected_calibration_error

_MOST_MISTAKES = 24


@validate_params(
    {
        "path": [str, os.PathLike],
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "X": "no_validation",
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
    """Write how well a classifier does on labelled images that it has not seen.

    One HTML file, which holds its pictures and needs no network: scores with an
    interval for the accuracy, what each class was taken for, how far the probabilities
    are to be believed, the images that were taken for others and those that it is least
    sure of, how far members disagree, and where networks look.

    Parameters
    ----------
    path : str or path-like
        The file. What stood there before is replaced when the report is whole.
    estimator : classifier
        Fitted, with ``predict_proba``: an ensemble, an
        :class:`~skwbc.export.OnnxClassifier`, or any other classifier of images. Those
        in ONNX are not looked into.
    X : array-like of shape (n_samples, height, width, channels)
        Images that it was not trained on.
    y : array-like of shape (n_samples,)
        Their labels, all of them classes of the classifier.
    names : sequence of str, default=None
        What to call each image. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and "image 0" and so on otherwise. A folder
        that all are in is left out.
    command : str, default=None
        The command line that evaluated it, to be shown.

    Returns
    -------
    dict
        The scores, as :func:`skwbc.inspection.evaluate` returns them.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError
        If `X` are no images, or `y` has labels that the classifier does not know.
    OSError
        If the file cannot be written.
    ImportError
        If Jinja2 or matplotlib is not installed.

    See Also
    --------
    write_training_report : What the folds of an ensemble say.
    skwbc.inspection.evaluate : The scores alone.

    Notes
    -----
    The interval of the accuracy is Wilson's [1]_, of 95 %. It is for images drawn one
    by one; of several images of a patient it is too narrow. A picture that cannot be
    made is replaced by a sentence that says why.

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
    given = encode_labels(y, estimator.classes_)
    labels = [str(label) for label in estimator.classes_]
    with replacing(path) as temporary:
        judged = judge(estimator, gallery.X, labels, given)
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
    labels, given = judged.labels, judged.given
    twice, pairs, compared = duplicates(gallery, labels, given)
    error = expected_calibration_error(
        given, judged.proba, classes=np.arange(len(labels))
    )
    keys = [
        accuracy_key(judged, "Accuracy"),
        Key(
            "Balanced accuracy",
            f"{scores['balanced_accuracy']:.3f}",
            "mean recall of the classes that occur",
        ),
        Key("Log loss", f"{scores['log_loss']:.3f}", "natural logarithm"),
        Key("Calibration error", f"{error:.3f}", "expected, 10 bins"),
        Key("Images", f"{gallery.n:,}", "{} x {} pixels".format(*gallery.X.shape[1:3])),
    ]
    sections = [
        Section("scores", "Scores", [
            charts.try_to_draw(
                "Confusion matrix", lambda: charts.confusion_matrix(judged)
            ),
            charts.try_to_draw("Reliability", lambda: charts.reliability(judged)),
            per_class_table(scores),
            confusion_table(scores),
        ]),
        Section("mistakes", "Mistakes and doubts", _mistakes(gallery, judged)),
        Section("data", "Images", [
            class_counts_table(labels, given),
            *pairs,
            *contact_sheets(gallery, labels, given),
        ]),
        Section("again", "How to evaluate it again", reproduction(
            estimator, command=command, snippet=_snippet(estimator), seed=_NO_SEED
        )),
    ]  # fmt: skip
    if inside := _inside(estimator, gallery, judged):
        sections.insert(2, Section("members", "Members", inside))
    return Page(
        "Evaluation report",
        f"{gallery.n} images of {len(np.unique(given))} classes",
        keys,
        twice + class_findings(labels, given),
        "classes of few images or none, classes of very different size, "
        f"{compared}. Whether the model was trained on any of these images cannot be "
        "seen from here.",
        sections,
    )


def _mistakes(gallery: Gallery, judged: Judged) -> list[Block]:
    wrong = surest_mistakes(judged)
    blocks: list[Block] = []
    if len(wrong):
        shown = wrong[:_MOST_MISTAKES]
        blocks.append(
            Cards(
                f"Images taken for another class: {len(wrong)} of {gallery.n}",
                gallery.cards(shown, say(judged, shown, gallery.names)),
                f"{len(shown)} are shown, those first of which it was surest.",
            )
        )
    else:
        blocks.append(Text("No image was taken for another class."))
    unsure = least_sure(judged, SHOWN)
    blocks.append(
        Cards(
            "Images it is least sure of",
            gallery.cards(unsure, say(judged, unsure, gallery.names)),
            "By the entropy of the probabilities, the least sure first.",
        )
    )
    return blocks


def _inside(estimator: Any, gallery: Gallery, judged: Judged) -> list[Block]:
    """Show how members differ, and where networks look; nothing where there is none."""
    blocks: list[Block] = []
    members = judged.members
    if members is not None and len(members) > 1:
        blocks.append(
            charts.try_to_draw(
                "Members' disagreement", lambda: charts.disagreement(members, "")
            )
        )
    if has_networks(estimator):
        wrong = surest_mistakes(judged).tolist()
        some = one_of_each(judged.given)[: charts.MAPS // 2]
        chosen = list(dict.fromkeys([*some, *wrong]))[: charts.MAPS]
        blocks.append(charts.maps(estimator, gallery, judged, chosen))
    return blocks


_NO_SEED = "Nothing in an evaluation is random."


def _snippet(estimator: Any) -> str:
    in_onnx = type(estimator).__name__ == "OnnxClassifier"
    get = (
        'from skwbc.export import OnnxClassifier\n\nmodel = OnnxClassifier("m.onnx")\n'
        if in_onnx
        else 'from skwbc import load_model\n\nmodel = load_model("m.joblib")\n'
    )
    return (
        "from skwbc.inspection import evaluate\n"
        f"{get}"
        "# X: the images; y: their labels\n"
        "print(evaluate(model, X, y))\n"
    )
