"""Whether a classifier is as often right as it says."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.sklearn_compat import HasMethods, Interval, validate_params
from skwbc.inspection._plots import own_axes
from skwbc.uncertainty import sort_by_confidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

_MARKERS = "osD^vP"
_PERFECT = "as often right as it says"
_BINS = {"n_bins": [Interval(Integral, 1, None, closed="left")]}


class ReliabilityDisplay:
    """How often the first choice is right, against the probability that it is given.

    It is made by :meth:`from_estimator` or :meth:`from_predictions`. A point stands for
    the samples whose highest probability is in one bin; its size and the number beside
    it say how many these are. Below the diagonal a classifier is too sure of itself,
    above it too modest [1]_. The figure in the legend is the expected calibration
    error [2]_, the mean distance from the diagonal over all samples.

    scikit-learn's ``CalibrationDisplay`` is for two classes and looks at the
    probability of one of them; this is for any number and looks at the highest.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins,)
        Mean highest probability of the samples in each bin; NaN for one without any.
    accuracy : ndarray of shape (n_bins,)
        The part of them whose first choice is right; NaN for a bin without samples.
    counts : ndarray of shape (n_bins,), int
        Their number.
    calibration_error : float
        The expected calibration error, from 0 to 1.
    n_left_out : int, default=0
        How many samples were left out for want of probabilities.
    name : str, default=None
        What the legend calls the classifier.

    Attributes
    ----------
    line_ : matplotlib.lines.Line2D
        The line through the points.
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of those.

    See Also
    --------
    skwbc.uncertainty.expected_calibration_error : The figure in the legend.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. "On calibration of modern neural
       networks." ICML 2017.
    .. [2] M. P. Naeini, G. F. Cooper, M. Hauskrecht. "Obtaining well calibrated
       probabilities using Bayesian binning." AAAI 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skwbc import KFoldEnsembleClassifier
    >>> from skwbc.inspection import ReliabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500),
    ...                                    random_state=0).fit(X, y)
    >>> display = ReliabilityDisplay.from_predictions(
    ...     y, ensemble.oof_proba_, classes=ensemble.classes_,
    ...     name="out of fold")  # doctest: +SKIP
    """

    line_: "Line2D"
    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def __init__(
        self,
        confidence: np.ndarray,
        accuracy: np.ndarray,
        counts: np.ndarray,
        *,
        calibration_error: float,
        n_left_out: int = 0,
        name: str | None = None,
    ) -> None:
        self.confidence = confidence
        self.accuracy = accuracy
        self.counts = counts
        self.calibration_error = calibration_error
        self.n_left_out = n_left_out
        self.name = name

    @classmethod
    @validate_params(
        {
            "estimator": [HasMethods(["predict_proba"])],
            "X": "no_validation",
            "y": ["array-like"],
            "ax": "no_validation",
            "name": [str, None],
            **_BINS,
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Let a classifier predict, and draw how often it is right.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``.
        X : array-like of shape (n_samples, ...)
            Samples that it was not trained on.
        y : array-like of shape (n_samples,)
            Their labels, all of them classes of the classifier.
        n_bins : int, default=10
            Bins of equal width between 0 and 1.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.
        name : str, default=None
            What the legend calls it; by default the name of its class.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If `y` has labels that the classifier does not know.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            classes=estimator.classes_,
            n_bins=n_bins,
            ax=ax,
            name=type(estimator).__name__ if name is None else name,
        )

    @classmethod
    @validate_params(
        {
            "y_true": ["array-like"],
            "y_proba": ["array-like"],
            "classes": ["array-like"],
            "ax": "no_validation",
            "name": [str, None],
            **_BINS,
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        classes: Any,
        n_bins: int = 10,
        ax: "Axes | None" = None,
        name: str | None = None,
    ) -> Self:
        """Draw how often probabilities are right.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels, all of them in `classes`.
        y_proba : array-like of shape (n_samples, n_classes)
            Class probabilities. Rows with NaN, as `oof_proba_` of a fold ensemble has
            for samples that were never held out, are left out, and the legend says so.
        classes : array-like of shape (n_classes,)
            The labels of the columns of `y_proba`.
        n_bins : int, default=10
            Bins of equal width between 0 and 1.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.
        name : str, default=None
            What the legend calls the classifier.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If lengths, labels or probabilities are not as described.
        ImportError
            If matplotlib is not installed.
        """
        bins = sort_by_confidence(y_true, y_proba, classes=classes, n_bins=n_bins)
        with np.errstate(invalid="ignore"):
            confidence = bins.confidence / bins.counts
            accuracy = bins.right / bins.counts
        display = cls(
            confidence,
            accuracy,
            bins.counts,
            calibration_error=bins.calibration_error,
            n_left_out=bins.n_left_out,
            name=name,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: "Axes | None" = None, name: str | None = None) -> Self:
        """Draw the points; of another display into the same axes as well.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.
        name : str, default=None
            What the legend calls the classifier, if not what the display does.

        Returns
        -------
        ReliabilityDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = own_axes(ax, figsize=(5.0, 4.8))
        labels = [line.get_label() for line in ax.get_lines()]
        if _PERFECT not in labels:
            ax.plot([0, 1], [0, 1], ":", color="0.4", label=_PERFECT)
            labels.append(_PERFECT)
        earlier = len(labels) - 1
        marker = _MARKERS[earlier % len(_MARKERS)]
        filled = self.counts > 0
        x, y = self.confidence[filled], self.accuracy[filled]
        counts = self.counts[filled]
        called = self.name if name is None else name
        label = f"{called}: " if called else ""
        label += f"calibration error {self.calibration_error:.3f}"
        if self.n_left_out:
            label += f"\n({self.n_left_out} without probabilities left out)"
        (self.line_,) = ax.plot(x, y, "-", lw=1.2, marker=marker, ms=4, label=label)
        colour = self.line_.get_color()
        ax.vlines(x, np.minimum(x, y), np.maximum(x, y), colors=colour, lw=0.8)
        sizes = 20 + 280 * counts / counts.sum()
        ax.scatter(x, y, sizes, marker=marker, color=colour, alpha=0.5, lw=0)
        # Above the points of a second display, not to be mistaken for the first's.
        offset = (-10, 7) if earlier % 2 else (5, -13)
        for where, count in zip(zip(x, y, strict=True), counts, strict=True):
            ax.annotate(
                str(count), where, offset, textcoords="offset points", fontsize=8,
                color=colour,
            )  # fmt: skip
        ax.set_xlabel("highest probability (confidence)")
        ax.set_ylabel("first choices that are right")
        ax.set_xlim(0, 1.05)
        ax.set_ylim(-0.08, 1.1)
        ax.legend(loc="best", fontsize=8)
        self.ax_, self.figure_ = ax, ax.figure
        return self
