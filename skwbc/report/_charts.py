"""Figures of a report, each with a description in words."""

import functools
import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from skwbc import inspection
from skwbc.ensemble._parts import networks_of
from skwbc.inspection._evaluation import class_table
from skwbc.report._facts import Judged, one_of_each
from skwbc.report._images import data_uri
from skwbc.report._page import Block, Missing, Picture, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In inches of 96 pixels; on a phone, figures are displayed at 75 % of this size.
_WIDTH, _HEIGHT = 5.2, 3.9
_RC: dict[Any, Any] = {
    # Text remains text, because the reader's fonts support any language.
    "svg.fonttype": "none",
    "svg.hashsalt": "skwbc",
    # Names of classes are not formulas.
    "text.parse_math": False,
}
# Media type, and options of `savefig`.
_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "svg": ("image/svg+xml", {"metadata": {"Date": None}}),
    "jpeg": ("image/jpeg", {"dpi": 110, "pil_kwargs": {"quality": 85}}),
}
# Maximum number of images with class activation maps.
_MAPS = 8
# A confusion matrix of more classes shows no numbers.
_MANY_CLASSES = 20


# A figure, its description in words, and a note to show below it.
Drawn = tuple["Figure", str, str]


def chart(title: str, file_format: str = "svg") -> Callable:
    """Turn a function that draws a figure into one that returns a block of a page.

    If the figure cannot be drawn, the block shows the reason: a report without one of
    its figures is better than no report after hours of training.

    Parameters
    ----------
    title : str
        Title of the block.
    file_format : {"svg", "jpeg"}, default="svg"
        Format of the figure.

    Returns
    -------
    callable
        A decorator of functions that return a figure, its description in words, and a
        note to show below it.
    """

    def decorate(draw: Callable[..., Drawn]) -> Callable[..., Block]:
        @functools.wraps(draw)
        def attempt(*args: Any) -> Block:
            import matplotlib  # `check_report` has looked for it.

            try:
                with matplotlib.rc_context(_RC), warnings.catch_warnings():
                    # Widths are computed with a font that may lack some characters.
                    warnings.filterwarnings("ignore", message="Glyph .* missing from")
                    return _picture(title, file_format, *draw(*args))
            except Exception as error:
                return Missing(title, f"{type(error).__name__}: {error}")

        return attempt

    return decorate


def score_blocks(judged: Judged) -> list[Block]:
    """Return figures and tables of the scores."""
    table = Table("Each class and its predictions", class_table(judged.scores))
    return [confusion_matrix(judged), reliability(judged), table]


def learning_curves(estimator: Any) -> list[Block]:
    """Return the learning curves of all folds, for loss and accuracy."""
    return [
        chart(f"Learning curves: {metric}")(_learning_curves)(estimator, metric)
        for metric in ("loss", "accuracy")
    ]


def _learning_curves(estimator: Any, metric: str) -> Drawn:
    figure, axes = _sheet()
    inspection.TrainingCurvesDisplay.from_estimator(estimator, metric=metric, ax=axes)
    histories = [network.history_ for network in networks_of(estimator)]
    words = [f"Learning curves of {len(histories)} folds."]
    for name, kind in ((metric, "training"), (f"val_{metric}", "held-out")):
        if name in histories[0]:
            # Training may stop early, and has NaN after it diverged.
            curves = [np.asarray(history[name]) for history in histories]
            curves = [curve[np.isfinite(curve)] for curve in curves]
            ends = np.mean([curve[[0, -1]] for curve in curves if len(curve)], axis=0)
            change = "from {:.3f} to {:.3f}".format(*ends)
            words.append(f"The mean {kind} {metric} changes {change}.")
    return figure, " ".join(words), ""


@chart("Confusion matrix")
def confusion_matrix(judged: Judged) -> Drawn:
    """Plot how often each class is predicted as each other class."""
    labels = judged.gallery.labels
    n = len(labels)
    side = min(12.0, max(_HEIGHT, 1.8 + 0.5 * n))
    figure, axes = _sheet(side + 0.8, side)
    style: dict[str, Any] = {"cmap": "Blues", "colorbar": False, "ax": axes}
    style |= {"labels": np.arange(n), "display_labels": labels}
    display = ConfusionMatrixDisplay.from_predictions(
        judged.codes, judged.predicted, include_values=n <= _MANY_CLASSES, **style
    )
    if max(map(len, labels)) * n > 36:
        axes.tick_params(axis="x", labelrotation=90)
    matrix = display.confusion_matrix
    words = f"Confusion matrix: {np.trace(matrix)} of {matrix.sum()} images right."
    mistakes = matrix - np.diag(np.diag(matrix))
    if mistakes.any():
        true, predicted = np.unravel_index(mistakes.argmax(), mistakes.shape)
        words += (
            f" The most frequent mistake: {labels[true]} predicted as "
            f"{labels[predicted]}, {mistakes[true, predicted]} times."
        )
    return figure, words, ""


@chart("Reliability")
def reliability(judged: Judged) -> Drawn:
    """Plot the fraction of correct predictions against their probability."""
    figure, axes = _sheet()
    inspection.ReliabilityDisplay.from_predictions(
        judged.y_true, judged.proba, classes=judged.gallery.classes, ax=axes
    )
    confidence = judged.proba.max(axis=1).mean()
    accuracy = (judged.predicted == judged.codes).mean()
    words = (
        f"Reliability diagram. The mean probability of the predicted class is "
        f"{confidence:.3f}, the accuracy is {accuracy:.3f}, and the expected "
        f"calibration error is {judged.calibration_error:.3f}."
    )
    note = "Below the diagonal, the probabilities are too high; above it, too low."
    return figure, words, note


@chart("Disagreement of members")
def disagreement(members: np.ndarray, note: str = "") -> Drawn:
    """Plot how often each two members disagree."""
    n_members, n_samples = members.shape[:2]
    side = min(10.0, max(_HEIGHT, 1.8 + 0.5 * n_members))
    figure, axes = _sheet(side + 1.0, side)
    display = inspection.MemberDisagreementDisplay.from_predictions(members, ax=axes)
    fractions = display.disagreement[np.triu_indices(n_members, 1)]
    words = (
        f"Each two of {n_members} members predict different classes for "
        f"{fractions.min():.1%} to {fractions.max():.1%} of {n_samples} images."
    )
    return figure, words, note


@chart("Class activation maps (Grad-CAM)", "jpeg")
def activation_maps(estimator: Any, judged: Judged, notable: Any, note: str) -> Drawn:
    """Plot class activation maps of one image per class, and of notable images."""
    gallery, each = judged.gallery, one_of_each(judged.codes)[: _MAPS // 2]
    chosen = list(dict.fromkeys([*each, *notable]))[:_MAPS]
    rows, y_true = judged.rows[chosen], judged.y_true[chosen]
    images = gallery.read(rows)
    figure = inspection.plot_grad_cam(estimator, images, y_true=y_true, columns=2)
    labelled = zip(rows, y_true, strict=True)
    names = ", ".join(f"{gallery.names[row]} ({label})" for row, label in labelled)
    words = f"Class activation maps of {len(rows)} images: {names}."
    legend = "Bright regions support the predicted class (mean over the members)."
    return figure, words, f"{legend} {note}".rstrip()


@chart("Augmentation", "jpeg")
def augmentations(augmenter: Any, images: np.ndarray) -> Drawn:
    """Plot images and their augmented versions."""
    figure = inspection.plot_augmentations(augmenter, images, n_draws=4)
    words = f"{len(images)} training images, each with four random augmentations."
    note = "Augmentations differ in each epoch. Standardisation is not shown."
    return figure, words, note


def _sheet(width: float = _WIDTH, height: float = _HEIGHT) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    # By default labels come so close to the border that a browser cuts them off.
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.1, h_pad=0.1)
    return figure, figure.subplots()


def _picture(title: str, kind: str, figure: "Figure", alt: str, note: str) -> Picture:
    media_type, options = _FORMATS[kind]
    file = io.BytesIO()
    figure.savefig(file, format=kind, **options)
    width, height = options.get("dpi", 96) * figure.get_size_inches()
    source = data_uri(file.getvalue(), media_type)
    return Picture(title, source, alt, round(width), round(height), note)
