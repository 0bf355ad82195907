"""Plot of the images with the most uncertain predictions."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import true_names
from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.names import shown
from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.augmentation._images import check_images
from skwbc.ensemble._averaging import average_ensemble, count_agreeing
from skwbc.inspection._plots import POSITIVE, draw_grid, title_of
from skwbc.inspection._samples import sample_names
from skwbc.uncertainty import predictive_entropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@validated(
    estimator=[HasMethods(["predict_proba_members"])],
    y_true=["array-like", None],
    names=["array-like", None],
    n_images=POSITIVE,
    columns=POSITIVE,
)
def plot_least_certain(
    estimator: Any,
    X: Any,
    *,
    y_true: Any = None,
    names: Sequence[Any] | None = None,
    n_images: int = 8,
    columns: int = 4,
    **kwargs: Any,
) -> "Figure":
    """Plot the images with the most uncertain predictions, the most uncertain first.

    These are the images with the highest entropy of the mean probabilities, see
    :func:`~skwbc.uncertainty.predictive_entropy`. Each title shows the predicted class
    and how many members agree; the bars below the image show the probability of each
    class.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier
        A fitted ensemble.
    X : array-like of shape (n_samples, height, width, channels)
        Images. Unless they are greyscale or RGB, the mean over the channels is shown.
    y_true : array-like of shape (n_samples,), default=None
        True labels; with them each title shows whether the prediction is right.
    names : sequence of str of length n_samples, default=None
        Names of the images. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and positions in `X` otherwise.
    n_images : int, default=8
        Maximum number of images.
    columns : int, default=4
        Images per row.
    **kwargs : dict
        Keyword arguments passed to matplotlib's `imshow` for each image.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, not managed by pyplot; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If the lengths differ, `X` does not hold images, or no member has probabilities
        for some image.
    ImportError
        If matplotlib is not installed.
    """
    check_is_fitted(estimator)
    X = check_images(X, "plot_least_certain")
    check_consistent_length(X, y_true)
    names = sample_names(X, names, "image {}")
    members = estimator.predict_proba_members(X)
    proba = average_ensemble(estimator, members)
    entropy = predictive_entropy(proba[np.newaxis])
    order = np.argsort(-entropy, kind="stable")[:n_images]
    agreeing = count_agreeing(members, proba)
    labels = [str(label) for label in estimator.classes_]
    truths = true_names(y_true, estimator.classes_, len(X))
    titles = []
    for k in order:
        title = title_of(labels[proba[k].argmax()], truths[k])
        agreement = f"{agreeing[k]} of {len(members)} members"
        name = shown(os.path.basename(names[k]))
        titles.append(title | {"label": f"{name}\n{title['label']}\n{agreement}"})
    images, shown_truths = read_rows(X, order), [truths[k] for k in order]
    how = labels, titles, shown_truths, columns
    return draw_grid(images, proba[order], *how, **kwargs)
