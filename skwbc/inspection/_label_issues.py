"""Labels of training images that the out-of-fold probabilities contradict."""

import os
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.labels import encode_labels
from skwbc._utils.sklearn_compat import (
    HasMethods,
    Interval,
    num_samples,
    validate_params,
)
from skwbc.augmentation._images import check_images
from skwbc.datasets import ImageFiles
from skwbc.inspection._plots import CONTRADICTED, draw_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@validate_params(
    {
        "ensemble": [HasMethods(["fit", "predict_proba"])],
        "X": "no_validation",
        "y": ["array-like"],
        "names": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def find_label_issues(
    ensemble: Any, X: Any, y: Any, *, names: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """Rank training samples by how far out-of-fold probabilities contradict the label.

    Nothing is predicted: a sample is judged by the members that were not trained on it,
    from what they said while the ensemble was fitted. What is found wants to be looked
    at: it is a wrong label, or a sample that the ensemble does not understand.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted, with ``oof_proba_``.
    X : array-like of shape (n_samples, ...)
        The samples that it was fitted on, in that order. Only their number is looked
        at, and the names of files in an :class:`~skwbc.datasets.ImageFiles`.
    y : array-like of shape (n_samples,)
        Their labels. These may have been corrected since: it is they that are judged.
        Each has to be a class of the ensemble.
    names : sequence of str, default=None
        What to call each sample. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and the positions in `X` otherwise.

    Returns
    -------
    list of dict
        Worst label first, for each sample that was ever held out "index" (int, its
        position in `X`), "image" (its name), "given" (its label as str), "suggested"
        (the label as str that it seems to be, which is "given" unless it is an issue),
        "score" (float, the out-of-fold probability of "given", by which they are
        ranked), "issue" (bool) and "probabilities" (a dict from label to float).

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    ValueError
        If the ensemble has no out-of-fold probabilities, was fitted on another number
        of samples, or does not know a label.

    Warns
    -----
    UserWarning
        If at least half of the samples are issues. Labels in another order than in
        ``fit`` look like that, and so does an ensemble that has not learnt.

    See Also
    --------
    plot_label_issues : A picture of the worst.

    Notes
    -----
    This is confident learning [1]_. A class's threshold is its mean probability over
    the samples labelled so. A sample counts as the most probable of the classes that
    reach their thresholds, and is an issue where that is not its label: it is off the
    diagonal of the "confident joint". So a class of which the ensemble is unsure is not
    mislabelled as a whole. Where no class reaches its threshold a sample is no issue,
    however low its score. No sample counts as a class that no label in `y` names.

    Other than in [1]_, what is suggested has to be more probable than the label, too: a
    label that the ensemble itself thinks the best one is no issue.

    Of the orders in [1]_ this is self-confidence, without the issues being put first:
    an ensemble that is sure of itself has high thresholds, and misses many.

    Where members stopped by their held-out fold, that fold with its wrong labels chose
    the weights that judge it, so that some are harder to find.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang, I. Chuang. "Confident learning: estimating
       uncertainty in dataset labels." Journal of Artificial Intelligence Research 70,
       2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skwbc import KFoldEnsembleClassifier
    >>> from skwbc.inspection import find_label_issues
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500),
    ...                                    random_state=0).fit(X, y)
    >>> worst = find_label_issues(ensemble, X, y)[0]
    >>> worst["index"], worst["given"], worst["suggested"], worst["issue"]
    (7, '2', '0', True)
    """
    check_is_fitted(ensemble)
    if not hasattr(ensemble, "oof_proba_"):
        raise ValueError(
            f"This {type(ensemble).__name__} has no out-of-fold probabilities "
            "(`oof_proba_`), which label issues are found with. Expected a "
            "KFoldEnsembleClassifier that was fitted by its own `fit`, not made by "
            "`from_cross_validate`."
        )
    if names is None:
        names = X.filenames if isinstance(X, ImageFiles) else range(num_samples(X))
    called = list(names)
    _check_lengths(len(ensemble.oof_proba_), X=X, y=y, names=called)
    held_out = np.flatnonzero(~np.isnan(ensemble.oof_proba_).any(axis=1))
    proba = ensemble.oof_proba_[held_out]
    given = encode_labels(y, ensemble.classes_)[held_out]
    seeming = _confident_classes(proba, given)
    issue = seeming != given
    if 2 * issue.sum() >= len(issue):
        warnings.warn(
            f"{issue.sum()} of {len(issue)} labels are contradicted. Are X and y the "
            "training samples in the order in which the ensemble was fitted? If they "
            "are, it has not learnt these classes, and its doubts say nothing.",
            UserWarning,
            stacklevel=2,
        )
    score = proba[np.arange(len(given)), given]
    labels = [str(label) for label in ensemble.classes_]
    return [
        {
            "index": int(held_out[k]),
            "image": str(called[held_out[k]]),
            "given": labels[given[k]],
            "suggested": labels[seeming[k]],
            "score": float(score[k]),
            "issue": bool(issue[k]),
            "probabilities": dict(zip(labels, proba[k].tolist(), strict=True)),
        }
        for k in np.argsort(score, kind="stable")
    ]


@validate_params(
    {
        "X": "no_validation",
        "issues": [list, tuple],
        "n_images": [Interval(Integral, 1, None, closed="left")],
        "columns": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def plot_label_issues(
    X: Any, issues: Sequence[dict[str, Any]], *, n_images: int = 10, columns: int = 5
) -> "Figure":
    """Draw the images with the worst labels, and the probabilities of their classes.

    Titles say the name of the image, its label, and the label that is suggested with
    its out-of-fold probability. Those of issues are red; the others have a label that
    is improbable, but no other that is probable enough.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        The images that :func:`find_label_issues` was given, as 0 to 255 integers or 0
        to 1 floats. Only those that are drawn are read.
    issues : list of dict
        What it returned, or some of that.
    n_images : int, default=10
        The first so many are drawn, or as many as there are.
    columns : int, default=5
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to a window; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If `issues` is empty, or `X` are no images, or fewer than `issues` are of.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from skwbc.inspection import find_label_issues, plot_label_issues
    >>> issues = find_label_issues(clf, X, y)  # doctest: +SKIP
    >>> figure = plot_label_issues(X, issues)  # doctest: +SKIP
    """
    shown = issues[:n_images]
    if not shown:
        raise ValueError(
            "There is nothing to draw: issues is empty. Expected rows that "
            "find_label_issues returned."
        )
    X = check_images(X, "plot_label_issues")
    last = max(row["index"] for row in shown)
    if last >= len(X):
        raise ValueError(
            f"issues has image {last}, but X has only {len(X)}. Give the X that "
            "find_label_issues was given."
        )
    labels = list(shown[0]["probabilities"])
    return draw_grid(
        [np.asarray(X[row["index"]]) for row in shown],
        np.array([[row["probabilities"][label] for label in labels] for row in shown]),
        labels,
        [_title(row) for row in shown],
        [row["given"] for row in shown],
        min(columns, len(shown)),
    )


def _check_lengths(n_fitted: int, **given: Any) -> None:
    for name, value in given.items():
        n_given = num_samples(value)
        if n_given != n_fitted:
            raise ValueError(
                f"{name} has {n_given} entries, but the ensemble was fitted on "
                f"{n_fitted} samples. Expected one for each of those, in that order."
            )


def _confident_classes(proba: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the class that each sample is counted as in the confident joint.

    It is the given one where no class that reaches its threshold is more probable.
    """
    n_classes = proba.shape[1]
    self_confidence = proba[np.arange(len(given)), given]
    thresholds = np.full(n_classes, np.inf)
    counts = np.bincount(given, minlength=n_classes)
    sums = np.bincount(given, weights=self_confidence, minlength=n_classes)
    np.divide(sums, counts, out=thresholds, where=counts > 0)
    # The mean of equal numbers can be rounded to more than they are.
    reaching = np.where(proba >= thresholds - 1e-9, proba, -1.0)
    contradicted = reaching.max(axis=1) > self_confidence
    return np.where(contradicted, reaching.argmax(axis=1), given)


def _title(row: dict[str, Any]) -> dict[str, Any]:
    suggested = row["suggested"]
    lines = [os.path.basename(row["image"]), f"labelled {row['given']}"]
    if not row["issue"]:
        return {"label": "\n".join([*lines, "no other suggested"])}
    lines.append(f"{suggested}? {row['probabilities'][suggested]:.2f}")
    return {"label": "\n".join(lines), **CONTRADICTED}
