"""A picture of the images that an ensemble is least sure of."""

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import label_names
from skwbc._utils.sklearn_compat import HasMethods, Interval, validate_params
from skwbc.augmentation._images import check_images
from skwbc.ensemble._averaging import average_members, first_choices
from skwbc.inspection._plots import draw_grid, pixel_range, title_of
from skwbc.uncertainty import predictive_entropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@validate_params(
    {
        "ensemble": [HasMethods(["predict_proba_members"])],
        "X": "no_validation",
        "y_true": ["array-like", None],
        "names": ["array-like", None],
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "columns": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def plot_least_certain(
    ensemble: Any,
    X: Any,
    *,
    y_true: Any = None,
    names: Sequence[Any] | None = None,
    n_images: int = 8,
    columns: int = 4,
) -> "Figure":
    """Draw the images that an ensemble is least sure of, the least sure first.

    They are those with the highest entropy of the mean probabilities, see
    :func:`~skwbc.uncertainty.predictive_entropy`. Below each is a bar for the
    probability of each class; a title has the first choice and how many of the members
    make it, too.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.
    X : array-like of shape (n_samples, height, width, channels)
        Images. Of those that are neither grey nor RGB the mean over the channels is
        shown.
    y_true : array-like of shape (n_samples,), default=None
        True labels; with them a title says whether the first choice is right.
    names : sequence of str of length n_samples, default=None
        What to call each image; by default its position in `X`.
    n_images : int, default=8
        Images to draw at the most.
    columns : int, default=4
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to a window; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If the lengths differ, or `X` are no images.
    ImportError
        If matplotlib is not installed.
    """
    check_is_fitted(ensemble)
    X = check_images(X, "plot_least_certain")
    check_consistent_length(X, y_true, names)
    members = ensemble.predict_proba_members(X)
    proba = average_members(members)
    order = np.argsort(-predictive_entropy(members), kind="stable")[:n_images]
    choices = first_choices(members)
    agreement = (choices == proba.argmax(axis=1)).sum(axis=0)
    labels = [str(label) for label in ensemble.classes_]
    truths: list[str | None] = [None] * len(X)
    if y_true is not None:
        truths = list(label_names(y_true, ensemble.classes_))
    called = [f"image {k}" for k in range(len(X))] if names is None else list(names)
    titles = []
    for k in order:
        title = title_of(labels[proba[k].argmax()], truths[k])
        agree = f"{agreement[k]} of {len(members)} members"
        title["label"] = f"{called[k]}\n{title['label']}\n{agree}"
        titles.append(title)
    images = np.stack([np.asarray(X[k]) for k in order])
    low, high = pixel_range(images)
    return draw_grid(
        ((images - low) / (high - low)).clip(0, 1),
        proba[order],
        labels,
        titles,
        [truths[k] for k in order],
        min(columns, len(order)),
    )
