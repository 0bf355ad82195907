"""Display of the disagreement between the members of an ensemble."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.ensemble._averaging import first_choices
from skwbc.inspection._plots import Display
from skwbc.uncertainty import check_members

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(eq=False, repr=False)
class MemberDisagreementDisplay(Display):
    """Fraction of samples for which two members predict different classes.

    Create it with :meth:`from_estimator` or :meth:`from_predictions`. Members that
    rarely disagree are redundant; a member that disagrees with all others learnt
    something different, or failed to learn.

    Parameters
    ----------
    disagreement : ndarray of shape (n_members, n_members)
        Fraction of the samples for which the first choices of two members differ.
    n_samples : int
        Number of samples.

    Attributes
    ----------
    im_ : matplotlib.image.AxesImage
        Image of the matrix.
    text_ : ndarray of shape (n_members, n_members), object
        Texts in the matrix; None where there is no text.
    ax_ : matplotlib.axes.Axes
        Axes with the matrix.
    figure_ : matplotlib.figure.Figure
        Figure with the axes.

    See Also
    --------
    skwbc.uncertainty.vote_disagreement : Disagreement of all members per sample.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skwbc import KFoldEnsembleClassifier
    >>> from skwbc.inspection import MemberDisagreementDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> ensemble = KFoldEnsembleClassifier(DecisionTreeClassifier(), random_state=0)
    >>> display = MemberDisagreementDisplay.from_estimator(
    ...     ensemble.fit(X, y), X)  # doctest: +SKIP
    """

    disagreement: np.ndarray
    _: KW_ONLY
    n_samples: int

    @classmethod
    @validated(estimator=[HasMethods(["predict_proba_members"])])
    def from_estimator(
        cls, estimator: Any, X: Any, *, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Predict with the members of an ensemble and plot their disagreement.

        Parameters
        ----------
        estimator : KFoldEnsembleClassifier
            A fitted ensemble.
        X : array-like of shape (n_samples, ...)
            Samples. Prefer new samples: all members but one were trained on each
            training sample and disagree less there.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to :meth:`plot`, which passes those that it does
            not use to matplotlib's `imshow`.

        Returns
        -------
        MemberDisagreementDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        return cls.from_predictions(estimator.predict_proba_members(X), ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, proba_members: np.ndarray, *, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Plot the disagreement of members from their predicted probabilities.

        Parameters
        ----------
        proba_members : array-like of shape (n_members, n_samples, n_classes)
            Probabilities as ``predict_proba_members`` returns them. Samples for which
            one of two members has NaN are left out of their comparison.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to :meth:`plot`, which passes those that it does
            not use to matplotlib's `imshow`.

        Returns
        -------
        MemberDisagreementDisplay

        Raises
        ------
        ValueError
            If the probabilities have a different shape.
        ImportError
            If matplotlib is not installed.
        """
        proba, _ = check_members(proba_members)
        choices = first_choices(proba)
        has_choice = choices >= 0
        n_compared = has_choice.astype(float) @ has_choice.T
        differ = [
            ((choices != own) & has_choice & (own >= 0)).sum(axis=1) for own in choices
        ]
        disagreement = np.array(differ) / np.maximum(n_compared, 1)
        display = cls(disagreement, n_samples=choices.shape[1])
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        *,
        include_values: bool = True,
        colorbar: bool = True,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Plot the matrix.

        Parameters
        ----------
        include_values : bool, default=True
            Whether to write the values into the matrix.
        colorbar : bool, default=True
            Whether to add a colour bar.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. By default, a new figure and axes are created.
        **kwargs : dict
            Keyword arguments passed to matplotlib's `imshow`, such as ``cmap``.

        Returns
        -------
        MemberDisagreementDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_members = len(self.disagreement)
        side = 2.2 + 0.45 * n_members
        ax = self._set_axes(ax, figsize=(side + 0.8, side))
        # One scale for all matrices: little disagreement must not look like much.
        style: dict[str, Any] = {"cmap": "cividis", "vmin": 0, "vmax": 1} | kwargs
        self.im_ = ax.imshow(self.disagreement, **style)
        self.text_ = np.full(self.disagreement.shape, None, dtype=object)
        for row, column in np.ndindex(*self.disagreement.shape):
            # A member never disagrees with itself.
            if include_values and row != column:
                value = self.disagreement[row, column]
                bright = sum(self.im_.to_rgba(value)[:3]) > 1.5
                self.text_[row, column] = ax.text(
                    column, row, f"{value:.2f}", ha="center", va="center", fontsize=8,
                    color="black" if bright else "white",
                )  # fmt: skip
        numbers = [str(number) for number in range(1, n_members + 1)]
        ax.set_xticks(range(n_members), numbers)
        ax.set_yticks(range(n_members), numbers)
        ax.set(xlabel="member", ylabel="member")
        if colorbar:
            label = f"disagreement (fraction of {self.n_samples} samples)"
            ax.figure.colorbar(self.im_, ax=ax, label=label)
        return self
