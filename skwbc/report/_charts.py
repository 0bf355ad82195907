"""Drawings as pictures within the page, with what they show in words."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from skwbc import inspection
from skwbc._utils.optional_imports import import_optional
from skwbc.ensemble._parts import networks_of
from skwbc.report._facts import Judged
from skwbc.report._images import Gallery, data_uri
from skwbc.report._page import Block, Missing, Picture
from skwbc.uncertainty import expected_calibration_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In inches of 96 pixels: on a phone a drawing keeps three quarters of its size.
_WIDTH, _HEIGHT = 5.2, 3.9
_RC = {
    # Text stays text: the reader's fonts have the characters of any language.
    "svg.fonttype": "none",
    "svg.hashsalt": "skwbc",
    # Names of classes are no formulas.
    "text.parse_math": False,
}
_DOTS_PER_INCH = 110
# Images with class activation maps, at the most.
MAPS = 8
# Classes above which a confusion matrix is a picture without numbers.
_MANY_CLASSES = 20


def try_to_draw(title: str, make: Callable[[], Block]) -> Block:
    """Return what `make` makes, or why it cannot be made.

    A report without one of its pictures is worth more than none: whoever waits for it
    may have trained for hours.
    """
    try:
        with _drawing():
            return make()
    except Exception as error:
        return Missing(title, f"{type(error).__name__}: {error}")


def learning_curves(ensemble: Any, metric: str) -> Picture:
    """Draw the learning curves of all folds."""
    figure, axes = _sheet()
    inspection.TrainingCurvesDisplay.from_estimator(ensemble, metric=metric, ax=axes)
    histories = [network.history_ for network in networks_of(ensemble)]
    words = [f"Learning curves of {len(histories)} folds."]
    for name, called in ((metric, "training"), (f"val_{metric}", "held-out")):
        if name in histories[0]:
            first, last = (np.mean([h[name][k] for h in histories]) for k in (0, -1))
            words.append(
                f"The mean {called} {metric} goes from {first:.3f} in the first epoch "
                f"to {last:.3f} in the last."
            )
    return _as_svg(figure, f"Learning curves: {metric}", " ".join(words))


def confusion_matrix(judged: Judged) -> Picture:
    """Draw what each class was taken for."""
    n = len(judged.labels)
    side = min(12.0, max(_HEIGHT, 1.8 + 0.5 * n))
    figure, axes = _sheet(width=side + 0.8, height=side)
    positions = np.arange(n)
    display = ConfusionMatrixDisplay.from_predictions(
        judged.given,
        judged.predicted,
        labels=positions,
        display_labels=judged.labels,
        cmap="Blues",
        colorbar=False,
        include_values=n <= _MANY_CLASSES,
        ax=axes,
    )
    if max(map(len, judged.labels)) * n > 40:
        axes.tick_params(axis="x", labelrotation=90)
    matrix = display.confusion_matrix
    right = int(np.trace(matrix))
    words = f"Confusion matrix: {right} of {matrix.sum()} images right."
    mistakes = matrix - np.diag(np.diag(matrix))
    if mistakes.any():
        true, taken = np.unravel_index(mistakes.argmax(), mistakes.shape)
        words += (
            f" Most often confused: {judged.labels[true]} taken for "
            f"{judged.labels[taken]}, {mistakes[true, taken]} times."
        )
    return _as_svg(figure, "Confusion matrix", words)


def reliability(judged: Judged) -> Picture:
    """Draw how often the first choice is right where it is how probable."""
    figure, axes = _sheet()
    classes = np.arange(len(judged.labels))
    known = {"classes": classes}
    inspection.ReliabilityDisplay.from_predictions(
        judged.given, judged.proba, ax=axes, **known
    )
    confidence = judged.proba.max(axis=1).mean()
    right = (judged.predicted == judged.given).mean()
    error = expected_calibration_error(judged.given, judged.proba, **known)
    return _as_svg(
        figure,
        "Reliability",
        f"Reliability diagram. The mean probability of the first choice is "
        f"{confidence:.3f}, it is right in {right:.3f} of the images, and the expected "
        f"calibration error is {error:.3f}.",
        "Points below the diagonal: the probabilities promise too much. Above it: too "
        "little.",
    )


def disagreement(members: np.ndarray, note: str) -> Picture:
    """Draw how often each two members differ, from the probabilities of each."""
    n_members, n_samples = members.shape[:2]
    side = min(10.0, max(_HEIGHT, 1.8 + 0.5 * n_members))
    figure, axes = _sheet(width=side + 1.0, height=side)
    display = inspection.MemberDisagreementDisplay.from_predictions(members, ax=axes)
    parts = display.disagreement[np.triu_indices(n_members, 1)]
    return _as_svg(
        figure,
        "Members' disagreement",
        f"How often each two of {n_members} members differ in their first choice: "
        f"between {parts.min():.1%} and {parts.max():.1%} of {n_samples} images.",
        note,
    )


def maps(
    estimator: Any,
    gallery: Gallery,
    judged: Judged,
    chosen: list[int],
    note: str = "",
) -> Block:
    """Draw where the networks look in some of the judged images."""
    labels = [judged.labels[judged.given[k]] for k in chosen]
    rows = judged.rows[chosen]
    words = ", ".join(
        f"{gallery.names[row]} ({label})"
        for row, label in zip(rows, labels, strict=True)
    )
    true = np.asarray(estimator.classes_)[judged.given[chosen]]
    return try_to_draw(
        "Where the networks look (Grad-CAM)",
        lambda: activation_maps(estimator, gallery.read(rows), true, words, note),
    )


def activation_maps(
    estimator: Any, images: np.ndarray, labels: np.ndarray, words: str, note: str
) -> Picture:
    """Draw where the networks look, over images."""
    figure = inspection.plot_grad_cam(estimator, images, y_true=labels, columns=2)
    return _as_jpeg(
        figure,
        "Where the networks look (Grad-CAM)",
        f"Class activation maps over {len(images)} images: {words}.",
        "The brighter a place, the more it speaks for the predicted class, averaged "
        f"over the members. {note}".rstrip(),
    )


def augmentations(augmenter: Any, images: np.ndarray) -> Picture:
    """Draw what the networks were trained on instead of the images themselves."""
    figure = inspection.plot_augmentations(augmenter, images, n_draws=4)
    return _as_jpeg(
        figure,
        "Augmentation",
        f"{len(images)} training images, each with four random changes of it.",
        "Each epoch sees other changes. Standardisation is not shown.",
    )


@contextmanager
def _drawing() -> Iterator[None]:
    matplotlib = import_optional("matplotlib", "report", "A report")
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # The font that widths are taken from lacks a character; the reader's has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _sheet(width: float = _WIDTH, height: float = _HEIGHT) -> tuple["Figure", Any]:
    figures = import_optional("matplotlib.figure", "report", "A report")
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _as_svg(figure: "Figure", title: str, alt: str, note: str = "") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    source = data_uri(file.getvalue(), "image/svg+xml")
    width, height = (round(96 * side) for side in figure.get_size_inches())
    return Picture(title, source, alt, width, height, note)


def _as_jpeg(figure: "Figure", title: str, alt: str, note: str = "") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=_DOTS_PER_INCH, pil_kwargs={"quality": 85})
    source = data_uri(file.getvalue(), "image/jpeg")
    width, height = (round(_DOTS_PER_INCH * side) for side in figure.get_size_inches())
    return Picture(title, source, alt, width, height, note)
