"""Plots of predictions, and the drawing that other plots share.

Plots need matplotlib, which the extra ``plot`` installs.
"""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skwbc._utils.labels import true_names
from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.names import counted, shown
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.probabilities import most_probable
from skwbc._utils.sklearn_compat import Interval, validated
from skwbc.inspection._samples import scale_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_RIGHT, _WRONG, _OTHER = "#1b7837", "#b2182b", "#9aa0a6"
# Characters that fit above an image in a grid.
_LINE = 28
# Style of a title whose label the probabilities contradict.
CONTRADICTED = {"color": _WRONG, "weight": "bold"}
POSITIVE = [Interval(Integral, 1, None, closed="left")]


@validated(
    X=["array-like"],
    proba=["array-like"],
    y_true=["array-like", None],
    columns=POSITIVE,
    # More in one figure take minutes, and no viewer shows it.
    n_images=[Interval(Integral, 1, 200, closed="both")],
    page=POSITIVE,
)
def plot_predictions(
    X: Any,
    proba: Any,
    classes: Sequence[Any],
    *,
    y_true: Any = None,
    columns: int = 4,
    n_images: int = 24,
    page: int = 1,
    **kwargs: Any,
) -> "Figure":
    """Plot images with a bar for the probability of each class.

    This is the article's figure of its twelve test cells. With `y_true`, the title of
    each image shows whether the prediction is right by its words, weight and colour,
    and the bar of a wrong prediction is hatched.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Images. Unless they are greyscale or RGB, the mean over the channels is shown.
    proba : array-like of shape (n_samples, n_classes)
        Class probabilities.
    classes : sequence of length n_classes
        The labels of the columns of `proba`.
    y_true : array-like of shape (n_samples,), default=None
        True labels.
    columns : int, default=4
        Images per row.
    n_images : int, default=24
        Maximum number of images in the figure, at most 200.
    page : int, default=1
        Which of the figures to plot: page 2 begins with image `n_images`. With several
        pages, the title of the figure says which images it shows.
    **kwargs : dict
        Keyword arguments passed to matplotlib's `imshow` for each image.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, not managed by pyplot; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If the lengths differ, probabilities are NaN, or there is no such page.
    ImportError
        If matplotlib is not installed.
    """
    X = X if hasattr(X, "shape") else np.asarray(X)
    proba = np.asarray(proba)
    check_consistent_length(X, proba, y_true)
    n_pages = max(1, math.ceil(len(proba) / n_images))
    if page > n_pages:
        raise ValueError(
            f"There is no page {page}: with n_images={n_images}, {len(proba)} images "
            f"have {counted(n_pages, 'page')}."
        )
    if proba.shape[1] != len(classes):
        raise ValueError(
            f"proba has {proba.shape[1]} columns, but there are {len(classes)} classes."
        )
    labels = [str(label) for label in classes]
    truths = true_names(y_true, classes, len(X))
    predicted = most_probable(np.array(labels), proba)
    titles = list(map(title_of, predicted, truths))
    start = (page - 1) * n_images
    rows = slice(start, min(start + n_images, len(proba)))
    figure = draw_grid(
        read_rows(X, rows), proba[rows], labels, titles[rows], truths[rows], columns,
        **kwargs,
    )  # fmt: skip
    if n_pages > 1:
        shares = f"images {start} to {rows.stop - 1} of {len(proba)}"
        figure.suptitle(f"{shares} (page {page} of {n_pages})", fontsize=10)
    return figure


def draw_grid(
    images: Any,
    proba: np.ndarray,
    labels: list[str],
    titles: Sequence[dict[str, Any]],
    truths: Sequence[str | None],
    columns: int,
    **kwargs: Any,
) -> "Figure":
    """Draw images in a grid, with bars for their class probabilities below them.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Images.
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities.
    labels : list of str
        Names of the classes.
    titles : sequence of dict
        Parameters of ``Axes.set_title`` for each image.
    truths : sequence of str or None
        The label that the bars are compared with, if any.
    columns : int
        Images per row, at most.
    **kwargs : dict
        Keyword arguments for `imshow`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = max(1, min(columns, len(images)))
    rows = math.ceil(len(images) / columns)
    bars_height = 0.35 + 0.2 * len(labels)
    further_lines = max((title["label"].count("\n") for title in titles), default=0)
    height = 2.0 + bars_height + 0.15 * further_lines
    figure, grid = new_grid(
        2 * rows,
        columns,
        figsize=(2.6 * columns, height * rows + 0.3),
        height_ratios=[2.0, bars_height] * rows,
    )
    for k, (image, row) in enumerate(zip(scale_pixels(images), proba, strict=True)):
        top, column = 2 * (k // columns), k % columns
        show_image(grid[top, column], image, **kwargs)
        grid[top, column].set_title(fontsize=9, parse_math=False, **titles[k])
        _draw_bars(grid[top + 1, column], row, labels, truths[k])
    return figure


def new_grid(
    rows: int,
    columns: int,
    *,
    figsize: tuple[float, float],
    height_ratios: Sequence[float] | None = None,
) -> "tuple[Figure, np.ndarray]":
    """Return a figure that pyplot does not manage, and its grid of invisible axes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    import_optional("matplotlib.figure", "plot", "Plotting")
    from skwbc.inspection._figure import ShownFigure

    figure = ShownFigure(figsize=figsize, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, height_ratios=height_ratios)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid


class Display:
    """Base class of displays, which plot on given axes or on new ones."""

    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def _set_axes(self, ax: "Axes | None", figsize: tuple[float, float]) -> Any:
        """Store the axes, by default axes of a new figure managed by pyplot.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            pyplot = import_optional("matplotlib.pyplot", "plot", "Plotting")
            _, ax = pyplot.subplots(layout="constrained", figsize=figsize)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def line_style(kwargs: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return parameters of `Axes.plot`; those of the user override the defaults.

    Parameters
    ----------
    kwargs : dict
        Parameters chosen by the user, whose short names such as ``lw`` are allowed.
    **defaults : dict
        Parameters with their full names.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return defaults | normalize_kwargs(kwargs, Line2D)


def title_of(predicted: str, truth: Any) -> dict[str, Any]:
    """Return the parameters of ``Axes.set_title`` for a predicted label.

    Parameters
    ----------
    predicted : str
        The predicted label.
    truth : str or None
        The true label, or None if it is unknown.
    """
    name = shown(predicted)
    if truth is None:
        return {"label": name}
    if truth == predicted:
        return {"label": f"{name} (right)", "color": _RIGHT}
    label = f"{shown(truth)}, predicted {name}"
    if len(label) > _LINE:
        label = f"{shown(truth)},\npredicted {name}"
    return {"label": label, **CONTRADICTED}


def show_image(axes: Any, image: np.ndarray, **kwargs: Any) -> None:
    """Show an RGB image, or the mean over the channels of any other image.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes to draw on.
    image : ndarray of shape (height, width, channels)
        Pixels from 0, black, to 1, white.
    **kwargs : dict
        Keyword arguments for `imshow`.
    """
    if image.shape[-1] == 3:
        axes.imshow(image, **kwargs)
    else:
        grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
        axes.imshow(image.mean(axis=-1), **grey | kwargs)


def _draw_bars(axes: Any, row: np.ndarray, labels: list[str], truth: Any) -> None:
    axes.set_axis_on()
    best = int(row.argmax())
    wrong = truth not in (None, labels[best])
    colours, hatches = [_OTHER] * len(labels), [""] * len(labels)
    colours[best], hatches[best] = (_WRONG, "//") if wrong else (_RIGHT, "")
    bars = axes.barh(range(len(labels)), row, color=colours, hatch=hatches)
    axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
    names = [*map(shown, labels)]
    axes.set_yticks(range(len(labels)), names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
