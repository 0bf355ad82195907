"""How often each two members of an ensemble contradict each other."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.sklearn_compat import HasMethods, validate_params
from skwbc.ensemble._averaging import first_choices
from skwbc.inspection._plots import own_axes
from skwbc.uncertainty import check_members

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage


class MemberDisagreementDisplay:
    """A matrix of how often each two members choose different classes.

    It is made by :meth:`from_estimator` or :meth:`from_predictions`. Members that never
    differ say the same thing several times; one that differs from all others learnt
    something else, or nothing.

    Parameters
    ----------
    disagreement : ndarray of shape (n_members, n_members)
        The part of the samples for which the first choices of two members differ.
    n_samples : int
        How many samples that is of.

    Attributes
    ----------
    im_ : matplotlib.image.AxesImage
        The matrix.
    text_ : ndarray of shape (n_members, n_members), object
        Its texts, or None where there is none.
    ax_ : matplotlib.axes.Axes
        Where it was drawn.
    figure_ : matplotlib.figure.Figure
        The figure of those.

    See Also
    --------
    skwbc.uncertainty.vote_disagreement : The same for each sample, over all members.

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

    im_: "AxesImage"
    text_: np.ndarray
    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def __init__(self, disagreement: np.ndarray, *, n_samples: int) -> None:
        self.disagreement = disagreement
        self.n_samples = n_samples

    @classmethod
    @validate_params(
        {
            "ensemble": [HasMethods(["predict_proba_members"])],
            "X": "no_validation",
            "ax": "no_validation",
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(cls, ensemble: Any, X: Any, *, ax: "Axes | None" = None) -> Self:
        """Let the members of an ensemble predict, and draw how often they differ.

        Parameters
        ----------
        ensemble : KFoldEnsembleClassifier
            Fitted.
        X : array-like of shape (n_samples, ...)
            Samples. Of those that the ensemble was fitted on each member but one has
            seen each, so that they differ less there.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        MemberDisagreementDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(ensemble)
        return cls.from_predictions(ensemble.predict_proba_members(X), ax=ax)

    @classmethod
    def from_predictions(
        cls, proba_members: np.ndarray, *, ax: "Axes | None" = None
    ) -> Self:
        """Draw how often members differ whose probabilities are known.

        Parameters
        ----------
        proba_members : array-like of shape (n_members, n_samples, n_classes)
            What ``predict_proba_members`` returned; NaN for a class that a member was
            never shown.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        MemberDisagreementDisplay

        Raises
        ------
        ValueError
            If the probabilities have another shape.
        ImportError
            If matplotlib is not installed.
        """
        choices = first_choices(check_members(proba_members))
        differ = np.array([(choices != own).mean(axis=1) for own in choices])
        return cls(differ, n_samples=choices.shape[1]).plot(ax=ax)

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        cmap: str = "cividis",
        include_values: bool = True,
        colorbar: bool = True,
    ) -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; by default in a new figure.
        cmap : str, default="cividis"
            Colours, of which the first stands for 0.
        include_values : bool, default=True
            Whether to write the values into the matrix.
        colorbar : bool, default=True
            Whether to draw a scale of the colours.

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
        ax = own_axes(ax, figsize=(side + 0.8, side))
        # Members that all agree are a matrix of one colour, that of 0.
        top = max(float(self.disagreement.max()), 0.01)
        self.im_ = ax.imshow(self.disagreement, cmap=cmap, vmin=0, vmax=top)
        self.text_ = np.full(self.disagreement.shape, None, dtype=object)
        for row, column in np.ndindex(*self.disagreement.shape):
            # A member does not differ from itself.
            if include_values and row != column:
                value = self.disagreement[row, column]
                self.text_[row, column] = ax.text(
                    column, row, f"{value:.2f}", ha="center", va="center", fontsize=8,
                    color="black" if value > top / 2 else "white",
                )  # fmt: skip
        names = [str(number) for number in range(1, n_members + 1)]
        ax.set_xticks(range(n_members), names)
        ax.set_yticks(range(n_members), names)
        ax.set_xlabel("member")
        ax.set_ylabel("member")
        if colorbar:
            label = f"different first choices (share of {self.n_samples})"
            ax.figure.colorbar(self.im_, ax=ax, label=label)
        self.ax_, self.figure_ = ax, ax.figure
        return self
