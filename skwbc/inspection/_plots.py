"""Pictures. They need matplotlib, which comes with the extra ``plot``."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.labels import label_names
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.sklearn_compat import Interval, validate_params
from skwbc.augmentation._images import white_level

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _OTHER = "#1b7837", "#b2182b", "#9aa0a6"
# Letters of a title that are not wider than an image in a grid.
_LINE = 28
# How a title is set whose label the probabilities contradict.
CONTRADICTED = {"color": _WRONG, "weight": "bold"}


@validate_params(
    {
        "images": ["array-like"],
        "proba": ["array-like"],
        "classes": "no_validation",
        "y_true": ["array-like", None],
        "columns": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def plot_predictions(
    images: Any,
    proba: Any,
    classes: Sequence[Any],
    *,
    y_true: Any = None,
    columns: int = 4,
) -> "Figure":
    """Draw each image with a bar for the probability of each class.

    This is the article's figure of its twelve test cells. With `y_true` a title says
    whether the first choice is right, in words, by weight and by colour, and the bar of
    a wrong one is hatched.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, channels)
        Images as 0 to 255 integers or 0 to 1 floats. Of those that are neither grey nor
        RGB the mean over the channels is shown.
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    classes : sequence of length n_classes
        The labels of the columns of `proba`.
    y_true : array-like of shape (n_samples,), default=None
        True labels.
    columns : int, default=4
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to a window; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If the lengths differ.
    ImportError
        If matplotlib is not installed.
    """
    images, proba = np.asarray(images), np.asarray(proba)
    check_consistent_length(images, proba, y_true)
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"proba has {proba.shape[1]} columns, but there are {len(classes)} classes."
        )
    labels = [str(label) for label in classes]
    truths: list[str | None] = [None] * len(images)
    if y_true is not None:
        truths = list(label_names(y_true, classes))
    titles = [
        title_of(labels[row.argmax()], truth)
        for row, truth in zip(proba, truths, strict=True)
    ]
    return draw_grid(images, proba, labels, titles, truths, columns)


def draw_grid(
    images: Any,
    proba: np.ndarray,
    labels: list[str],
    titles: Sequence[dict[str, Any]],
    truths: Sequence[str | None],
    columns: int,
) -> "Figure":
    """Draw images in a grid, below each a bar for the probability of each class.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, channels)
        As for :func:`show_image`.
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities.
    labels : list of str
        The classes.
    titles : sequence of dict
        Parameters of ``Axes.set_title`` for each image.
    truths : sequence of str or None
        The label that the bars are compared with, if any.
    columns : int
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = math.ceil(len(images) / columns)
    bars_height = 0.35 + 0.2 * len(labels)
    further_lines = max((title["label"].count("\n") for title in titles), default=0)
    height = 2.0 + bars_height + 0.15 * further_lines
    figure = new_figure(
        figsize=(2.6 * columns, height * rows + 0.3), layout="constrained"
    )
    grid = figure.subplots(
        2 * rows,
        columns,
        squeeze=False,
        gridspec_kw={"height_ratios": [2.0, bars_height] * rows},
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for k, (image, row) in enumerate(zip(images, proba, strict=True)):
        top, column = 2 * (k // columns), k % columns
        show_image(grid[top, column], image)
        grid[top, column].set_title(fontsize=9, **titles[k])
        _draw_bars(grid[top + 1, column], row, labels, truths[k])
    return figure


def new_figure(**parameters: Any) -> "Figure":
    """Return an empty figure that is not bound to a window.

    Parameters
    ----------
    **parameters : dict
        Parameters of :class:`matplotlib.figure.Figure`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import_optional("matplotlib.figure", "plot", "Drawing a picture")
    from skwbc.inspection._figure import ShownFigure

    return ShownFigure(**parameters)


def own_axes(axes: Any, **parameters: Any) -> Any:
    """Return the axes that a display was given, or those of a new figure.

    As with scikit-learn's displays, pyplot makes it, and so a notebook shows it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes or None
        What the display was given.
    **parameters : dict
        Parameters of a new figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    if axes is None:
        pyplot = import_optional("matplotlib.pyplot", "plot", "Drawing a picture")
        _, axes = pyplot.subplots(layout="constrained", **parameters)
    return axes


def title_of(predicted: str, truth: Any) -> dict[str, Any]:
    """Return the parameters of ``Axes.set_title`` that say whether a label is right.

    Parameters
    ----------
    predicted : str
        The first choice.
    truth : object
        The true label, or None if it is not known.
    """
    if truth is None:
        return {"label": predicted}
    if str(truth) == predicted:
        return {"label": f"{truth} (right)", "color": _RIGHT}
    label = f"{truth}, taken for {predicted}"
    if len(label) > _LINE:
        label = f"{truth},\ntaken for {predicted}"
    return {"label": label, **CONTRADICTED}


def pixel_range(images: np.ndarray) -> tuple[float, float]:
    """Return the values of images to show as black and as white.

    Parameters
    ----------
    images : ndarray
        Of any real type.
    """
    low = min(0.0, float(images.min()))
    high = float(images.max())
    if not low:
        high = white_level(images.dtype, high)
    return low, high if high > low else low + 1.0


def show_image(axes: Any, image: np.ndarray) -> None:
    """Show an image of any number of channels; more than RGB has are averaged.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to show it.
    image : ndarray of shape (height, width, channels)
        Integers from 0 to 255 or floats from 0 to 1.
    """
    if image.shape[-1] == 3:
        axes.imshow(image)
    else:
        white = 255 if image.dtype == np.uint8 else 1
        axes.imshow(image.mean(axis=-1), cmap="gray", vmin=0, vmax=white)


def _draw_bars(axes: Any, row: np.ndarray, labels: list[str], truth: Any) -> None:
    axes.set_axis_on()
    best = int(row.argmax())
    colours = [_OTHER] * len(labels)
    colours[best] = _WRONG if truth not in (None, labels[best]) else _RIGHT
    hatches = ["//" if colour == _WRONG else "" for colour in colours]
    bars = axes.barh(range(len(labels)), row, color=colours, hatch=hatches)
    axes.bar_label(bars, [f"{p:.2f}" for p in row], padding=2, fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
