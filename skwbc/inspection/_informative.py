"""Choice of the images to label next."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.inspection._plots import POSITIVE
from skwbc.inspection._predictions import by_doubt, predict_once


@validated(estimator=[HasMethods(["predict_proba_members"])], n_images=POSITIVE)
def most_informative(
    estimator: Any, X: Any, n_images: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images whose labels would teach an ensemble most.

    The first is the one with the highest mutual information, see
    :func:`~skwbc.uncertainty.mutual_information`: its members are sure and contradict
    each other. Each further one has a high information, too, and another doubt than
    those before it, so that no two of them teach the same.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier or OnnxClassifier
        A fitted ensemble of at least two members.
    X : array-like of shape (n_samples, height, width, channels)
        Images without labels, or rows of a table.
    n_images : int, default=20
        Maximum number of images.

    Returns
    -------
    chosen : ndarray of shape (n_images,), int
        Positions in `X`, the most informative first. Images that the ensemble was
        trained on are left out.
    unlike : ndarray of shape (n_unlike,), int
        Positions of images that are unlike the training images, which are never
        chosen. They may be dirt, or a class that has no label yet: look at them apart.

    Raises
    ------
    ValueError
        If the ensemble has a single member.

    See Also
    --------
    plot_least_certain : Plot the images with the most uncertain predictions.

    Notes
    -----
    This is the greedy mode [1]_ of a determinantal point process [2]_: the similarity
    of two images is the product of the square roots of their information and the cosine
    between the deviations of the members' probabilities from their mean. As in [3]_, an
    image that is redundant beside those that were chosen is worth little.

    References
    ----------
    .. [1] L. Chen, G. Zhang, E. Zhou. "Fast greedy MAP inference for determinantal
       point process to improve recommendation diversity." NeurIPS 2018.
    .. [2] E. Bıyık, K. Wang, N. Anari, D. Sadigh. "Batch active learning using
       determinantal point processes." arXiv:1906.07975, 2019.
    .. [3] A. Kirsch, J. van Amersfoort, Y. Gal. "BatchBALD: efficient and diverse batch
       acquisition for deep Bayesian active learning." NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skwbc import KFoldEnsembleClassifier
    >>> from skwbc.inspection import most_informative
    >>> X, y = load_iris(return_X_y=True)
    >>> ensemble = KFoldEnsembleClassifier(DecisionTreeClassifier(), random_state=0)
    >>> chosen, unlike = most_informative(ensemble.fit(X[::5], y[::5]), X, 4)
    >>> len(chosen), len(unlike)
    (4, 0)
    """
    check_is_fitted(estimator)
    predictions = predict_once(estimator, X)
    if len(predictions.members) < 2:
        raise ValueError(
            "most_informative compares members, but this ensemble has only one. Train "
            "with at least two folds."
        )
    order, n_new = by_doubt(predictions, estimator.known_classes_, n_images)
    return order[: min(n_images, n_new)], np.flatnonzero(predictions.unlike)
