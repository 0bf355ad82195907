"""How the members of an ensemble learnt, epoch by epoch."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.optional_imports import import_optional
from skwbc._utils.sklearn_compat import validate_params
from skwbc.ensemble import KFoldEnsembleClassifier
from skwbc.ensemble._parts import parts_of
from skwbc.inspection._plots import own_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

# Okabe and Ito's colours, which the colour-blind can tell apart, without their yellow.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


class _Record(NamedTuple):
    """What a member noted down while it was fitted."""

    history: dict[str, Any]
    best: int
    unit: str


class TrainingCurvesDisplay:
    """The learning curves of all folds of an ensemble.

    It is made by :meth:`from_estimator`. A fold has one colour: its line is dashed for
    the samples that the member was trained on, solid for the held-out fold that it
    watched, and a ring with the fold's number is at the epoch whose weights were kept.

    Parameters
    ----------
    train : list of ndarray of shape (n_epochs,)
        The metric of each fold on its training samples.
    validation : list of ndarray of shape (n_epochs,) or None
        The metric on the held-out fold; None for a member that watched none.
    best : list of int
        The epoch of each fold that was kept, from 1.
    metric : str
        What it is.
    unit : str, default="epoch"
        What is counted.

    Attributes
    ----------
    train_lines_ : list of matplotlib.lines.Line2D
        A line for each fold.
    validation_lines_ : list of matplotlib.lines.Line2D or None
        None for a member that watched no fold.
    ax_ : matplotlib.axes.Axes
        Where they were drawn.
    figure_ : matplotlib.figure.Figure
        The figure of those.

    See Also
    --------
    training_table : The figures of the epochs that were kept.

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

    train_lines_: "list[Line2D]"
    validation_lines_: "list[Line2D | None]"
    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def __init__(
        self,
        train: list[np.ndarray],
        validation: list[np.ndarray | None],
        best: list[int],
        *,
        metric: str,
        unit: str = "epoch",
    ) -> None:
        self.train = train
        self.validation = validation
        self.best = best
        self.metric = metric
        self.unit = unit

    @classmethod
    @validate_params(
        {
            "ensemble": [KFoldEnsembleClassifier],
            "metric": [str],
            "ax": "no_validation",
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls, ensemble: Any, *, metric: str = "loss", ax: "Axes | None" = None
    ) -> Self:
        """Draw what the members of an ensemble noted down while they were fitted.

        Parameters
        ----------
        ensemble : KFoldEnsembleClassifier
            Fitted; its members are, or have among their parts, a
            :class:`~skwbc.CNNClassifier` or a ``HistGradientBoostingClassifier`` that
            stops early.
        metric : str, default="loss"
            "loss", "accuracy" or another metric that was recorded. The training values
            are of augmented images, taken while the weights were still changing; those
            of the held-out fold are optimistic where it chose the epoch.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        ValueError
            If the members record nothing, or not this metric.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(ensemble)
        records = [_record_of(member) for member in ensemble.estimators_]
        known = [name for name in records[0].history if not name.startswith("val_")]
        if metric not in known:
            raise ValueError(
                f"metric={metric!r} was not recorded. Expected one of {known}; its "
                "values on the held-out fold are drawn with it."
            )
        histories = [record.history for record in records]
        held_out = [history.get(f"val_{metric}") for history in histories]
        return cls(
            [np.asarray(history[metric]) for history in histories],
            [None if values is None else np.asarray(values) for values in held_out],
            [record.best for record in records],
            metric=metric,
            unit=records[0].unit,
        ).plot(ax=ax)

    def plot(self, *, ax: "Axes | None" = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        TrainingCurvesDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = own_axes(ax, figsize=(6.4, 4.2))
        self.train_lines_, self.validation_lines_ = [], []
        folds = zip(self.train, self.validation, self.best, strict=True)
        for fold, (train, validation, best) in enumerate(folds):
            colour = _COLOURS[fold % len(_COLOURS)]
            (line,) = ax.plot(
                _epochs(train), train, "--", lw=0.9, color=colour, alpha=0.7
            )
            self.train_lines_.append(line)
            watched = None
            if validation is not None:
                (watched,) = ax.plot(
                    _epochs(validation), validation, lw=1.5, color=colour
                )
            self.validation_lines_.append(watched)
            kept = train if validation is None else validation
            ax.plot(
                best, kept[best - 1], "o", ms=11, mfc="white", mec=colour, mew=1.5,
                zorder=3,
            )  # fmt: skip
            ax.annotate(
                str(fold + 1), (best, kept[best - 1]), ha="center", va="center",
                fontsize=8, zorder=4,
            )  # fmt: skip
        ax.plot([], [], "--", lw=0.9, color="0.3", label="training")
        if any(watched is not None for watched in self.validation_lines_):
            ax.plot([], [], lw=1.5, color="0.3", label="held-out fold")
        ax.plot(
            [], [], "o", mfc="white", mec="0.3", label=f"kept {self.unit} of a fold"
        )
        ax.set_xlabel(self.unit)
        ax.set_ylabel(self.metric)
        ticker = import_optional("matplotlib.ticker", "plot", "Drawing a picture")
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.legend(fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _epochs(values: np.ndarray) -> range:
    return range(1, len(values) + 1)


def _record_of(member: Any) -> _Record:
    """Return what the first part of a member that notes anything down has noted."""
    parts = list(parts_of(member))
    for part in parts:
        if hasattr(part, "history_"):
            return _Record(part.history_, part.best_epoch_, "epoch")
        if hasattr(part, "validation_score_") and len(part.train_score_):
            return _boosting_record(part)
    kinds = ", ".join(type(part).__name__ for part in parts)
    raise ValueError(
        f"The members are made of {kinds}, none of which recorded how it was trained. "
        "Expected CNNClassifier, or HistGradientBoostingClassifier with "
        "early_stopping=True."
    )


def _boosting_record(part: Any) -> _Record:
    """Return the scores of a gradient boosting, without those before the first tree."""
    if part.scoring == "loss":
        # scikit-learn turns it round, so that more is better.
        name, sign = "loss", -1.0
    else:
        name, sign = part.scoring if isinstance(part.scoring, str) else "score", 1.0
    history = {name: sign * part.train_score_[1:]}
    if len(part.validation_score_):
        history[f"val_{name}"] = sign * part.validation_score_[1:]
    return _Record(history, part.n_iter_, "iteration")
