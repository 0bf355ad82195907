"""Display of the training history of an ensemble's members."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skwbc._utils.optional_imports import import_optional
from skwbc._utils.sklearn_compat import validated
from skwbc.ensemble import KFoldEnsembleClassifier
from skwbc.inspection._evaluation import training_records
from skwbc.inspection._plots import Display, line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# The palette of Okabe and Ito, safe for colour-blind readers, without its yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@dataclass(eq=False, repr=False)
class TrainingCurvesDisplay(Display):
    """Learning curves of all folds of an ensemble.

    Create it with :meth:`from_estimator`. Each fold has one colour: a dashed line for
    the samples that its member was trained on, a solid line for the held-out fold that
    was evaluated during training, and a ring with the number of the fold at the epoch
    whose weights were kept.

    Parameters
    ----------
    train : list of ndarray of shape (n_epochs,)
        Metric of each fold on its training samples. NaN for an epoch at which the
        metric was not evaluated.
    validation : list of ndarray of shape (n_epochs,) or None
        Metric on the held-out fold; None for a member that did not evaluate it.
    best : list of int
        Epoch that each fold kept; the first epoch is 1.
    metric : str
        Name of the metric.
    unit : str, default="epoch"
        Name of a step of the training.

    Attributes
    ----------
    train_lines_ : list of matplotlib.lines.Line2D
        One line per fold.
    validation_lines_ : list of matplotlib.lines.Line2D or None
        One line per fold; None for a member that did not evaluate its held-out fold.
    ax_ : matplotlib.axes.Axes
        Axes with the curves.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    Examples
    --------
    >>> from skwbc import make_cell_classifier
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.inspection import TrainingCurvesDisplay
    >>> X, y = make_blood_cells(6, image_size=(32, 32), random_state=0)
    >>> clf = make_cell_classifier(cv=2, epochs=2, random_state=0)
    >>> display = TrainingCurvesDisplay.from_estimator(
    ...     clf.fit(X, y), metric="accuracy")  # doctest: +SKIP
    """

    train: list[np.ndarray]
    validation: list[np.ndarray | None]
    best: list[int]
    _: KW_ONLY
    metric: str
    unit: str = "epoch"

    @classmethod
    @validated(estimator=[KFoldEnsembleClassifier], metric=[str])
    def from_estimator(
        cls,
        estimator: Any,
        *,
        metric: str = "loss",
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the learning curves that were recorded while an ensemble was fitted.

        Parameters
        ----------
        estimator : KFoldEnsembleClassifier
            A fitted ensemble whose members are or contain a
            :class:`~skwbc.CNNClassifier` or a ``HistGradientBoostingClassifier`` with
            early stopping.
        metric : str, default="loss"
            "loss", "accuracy" or another recorded metric. Training values are of
            augmented images, computed while the weights still change. Values of the
            held-out fold are optimistic if that fold chose the epoch.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `plot` for each curve.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        ValueError
            If the members did not record their training, or not this metric.
        ImportError
            If matplotlib is not installed.
        """
        records = training_records(estimator)
        names = set.intersection(*(set(record.history) for record in records))
        metrics = sorted(name for name in names if not name.startswith("val_"))
        if metric not in metrics:
            raise ValueError(
                f"metric={metric!r} was not recorded. Expected one of {metrics}; its "
                "values on the held-out fold are plotted with it."
            )
        train = [record.history[metric] for record in records]
        held_out = [record.history.get(f"val_{metric}") for record in records]
        best = [record.best for record in records]
        display = cls(train, held_out, best, metric=metric, unit=records[0].unit)
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Plot the curves.

        Lines connect the epochs at which a metric was evaluated. If these are not all
        epochs, each of them has a marker.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `plot` for each curve, such as
            ``linewidth``. Rings have the colours of the lines.

        Returns
        -------
        TrainingCurvesDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = self._set_axes(ax, figsize=(6.4, 4.2))
        training: dict[str, Any] = {"linestyle": "--", "linewidth": 0.9, "alpha": 0.7}
        held_out: dict[str, Any] = {"linestyle": "-", "linewidth": 1.5}
        self.train_lines_: list[Line2D] = []
        self.validation_lines_: list[Line2D | None] = []
        folds = zip(self.train, self.validation, self.best, strict=True)
        for fold, (train, validation, best) in enumerate(folds):
            colour = _COLOURS[fold % len(_COLOURS)]
            style = line_style(kwargs, color=colour, **training)
            line, kept = _plot_curve(ax, train, style), train
            self.train_lines_.append(line)
            self.validation_lines_.append(None)
            if validation is not None:
                style = line_style(kwargs, color=colour, **held_out)
                line, kept = _plot_curve(ax, validation, style), validation
                self.validation_lines_[-1] = line
            ring: dict[str, Any] = {"ms": 11, "mfc": "white", "mew": 1.5, "zorder": 3}
            ax.plot(best, kept[best - 1], "o", mec=line.get_color(), **ring)
            text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
            ax.annotate(str(fold + 1), (best, kept[best - 1]), zorder=4, **text)
        ax.plot([], [], color="0.3", label="training", **training)
        if any(self.validation_lines_):
            ax.plot([], [], color="0.3", label="held-out fold", **held_out)
        ax.plot([], [], "o", mfc="white", mec="0.3", label=f"{self.unit} kept")
        ax.set(xlabel=self.unit, ylabel=self.metric)
        ticker = import_optional("matplotlib.ticker", "plot", "Plotting")
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.legend(fontsize=8)
        return self


def _plot_curve(ax: Any, values: Any, style: dict[str, Any]) -> "Line2D":
    """Plot the epochs at which a metric is not NaN."""
    values = np.asarray(values)
    evaluated = np.flatnonzero(np.isfinite(values))
    if len(evaluated) < len(values):
        style = {"marker": "o", "markersize": 3} | style
    (line,) = ax.plot(evaluated + 1, values[evaluated], **style)
    return line
