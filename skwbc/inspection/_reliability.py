"""Display of the calibration of a classifier."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.inspection._plots import POSITIVE, Display, line_style
from skwbc.uncertainty import sort_by_confidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MARKERS = "osD^vP"
_REFERENCE = "perfectly calibrated"


@dataclass(eq=False, repr=False)
class ReliabilityDisplay(Display):
    """Reliability diagram: accuracy against confidence.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. Each point stands
    for the samples whose highest probability lies in one bin; its size and the number
    beside it show how many samples these are. A classifier is overconfident below the
    diagonal and underconfident above it [1]_. The legend shows the expected calibration
    error [2]_, the mean distance from the diagonal over all samples.

    scikit-learn's ``CalibrationDisplay`` is for two classes and shows the probability
    of one of them. This display is for any number of classes and shows the highest
    probability.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins,)
        Mean highest probability of the samples in each bin; NaN for an empty bin.
    accuracy : ndarray of shape (n_bins,)
        Fraction of them that are predicted correctly; NaN for an empty bin.
    counts : ndarray of shape (n_bins,), int
        Number of samples in each bin.
    calibration_error : float
        Expected calibration error, from 0 to 1.
    n_left_out : int, default=0
        Number of samples without probabilities, which are left out.
    name : str, default=None
        Name of the classifier in the legend.

    Attributes
    ----------
    line_ : matplotlib.lines.Line2D
        The line through the points.
    ax_ : matplotlib.axes.Axes
        Axes with the diagram.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    See Also
    --------
    skwbc.uncertainty.expected_calibration_error : The metric in the legend.

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

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    _: KW_ONLY
    calibration_error: float
    n_left_out: int = 0
    name: str | None = None

    @classmethod
    @validated(estimator=[HasMethods(["predict_proba"])])
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Predict with a classifier and plot its reliability diagram.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier with ``predict_proba``.
        X : array-like of shape (n_samples, ...)
            Samples that it was not trained on.
        y : array-like of shape (n_samples,)
            Their labels, all of them classes of the classifier.
        n_bins : int, default=10
            Number of bins of equal width between 0 and 1.
        name : str, default=None
            Name in the legend; by default the name of the estimator's class.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `plot`.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If `y` has labels that are not classes of the classifier.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            classes=estimator.classes_,
            n_bins=n_bins,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    @validated(
        y_true=["array-like"],
        y_proba=["array-like"],
        classes=["array-like"],
        n_bins=POSITIVE,
        name=[str, None],
    )
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        classes: Any,
        n_bins: int = 10,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the reliability diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels, all of them in `classes`.
        y_proba : array-like of shape (n_samples, n_classes)
            Class probabilities. Rows with NaN, such as those of `oof_proba_` for
            samples that were never held out, are left out and counted in the legend.
        classes : array-like of shape (n_classes,)
            The labels of the columns of `y_proba`.
        n_bins : int, default=10
            Number of bins of equal width between 0 and 1.
        name : str, default=None
            Name of the classifier in the legend.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `plot`.

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
            display = cls(
                bins.confidence / bins.counts,
                bins.right / bins.counts,
                bins.counts,
                calibration_error=bins.calibration_error,
                n_left_out=bins.n_left_out,
                name=name,
            )
        return display.plot(ax=ax, **kwargs)

    def plot(
        self, *, name: str | None = None, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Plot the diagram, also on the axes of another reliability diagram.

        Parameters
        ----------
        name : str, default=None
            Name in the legend; by default the name of the display.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `plot`, such as ``color``. The
            points and their numbers have the colour and the marker of the line.

        Returns
        -------
        ReliabilityDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = self._set_axes(ax, figsize=(5.0, 4.8))
        labels = [line.get_label() for line in ax.get_lines()]
        if _REFERENCE not in labels:
            ax.plot([0, 1], [0, 1], ":", color="0.4", label=_REFERENCE)
            labels.append(_REFERENCE)
        n_earlier = len(labels) - 1
        name = self.name if name is None else name
        label = f"{name}: " if name else ""
        label += f"calibration error {self.calibration_error:.3f}"
        if self.n_left_out:
            label += f"\n({self.n_left_out} without probabilities left out)"
        filled = self.counts > 0
        x, y = self.confidence[filled], self.accuracy[filled]
        counts = self.counts[filled]
        marker = _MARKERS[n_earlier % len(_MARKERS)]
        style = line_style(
            kwargs, linewidth=1.2, marker=marker, markersize=4, label=label
        )
        self.line_: Line2D = ax.plot(x, y, **style)[0]
        colour = self.line_.get_color()
        ax.vlines(x, np.minimum(x, y), np.maximum(x, y), colors=colour, lw=0.8)
        sizes = 20 + 280 * counts / counts.sum()
        ax.scatter(
            x, y, sizes, marker=self.line_.get_marker(), color=colour, alpha=0.5, lw=0
        )
        # Numbers are outside of the markers, on the side that no line to the diagonal
        # crosses; those of a second display are to the left of its points.
        side = -1 if n_earlier % 2 else 1
        ground = {"boxstyle": "square,pad=0.05", "fc": ax.get_facecolor(), "lw": 0}
        for column, row, count, size in zip(x, y, counts, sizes, strict=True):
            up = 1 if row >= column else -1
            ax.annotate(
                str(count), (column, row), (2 * side, up * (2 + np.sqrt(size) / 2)),
                textcoords="offset points", fontsize=8, color=colour, bbox=ground,
                ha="left" if side > 0 else "right", va="bottom" if up > 0 else "top",
            )  # fmt: skip
        ax.set(
            xlabel="highest probability (confidence)",
            ylabel="fraction of correct predictions",
            xlim=(0, 1.05),
            ylim=(-0.12, 1.14),
        )
        ax.legend(loc="best", fontsize=8)
        return self
