"""Labels of training images that the out-of-fold probabilities contradict."""

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.labels import encode_labels
from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.names import shown
from skwbc._utils.probabilities import lacks_probabilities
from skwbc._utils.sklearn_compat import HasMethods, num_samples, validated
from skwbc.augmentation._images import check_images
from skwbc.inspection._plots import CONTRADICTED, POSITIVE, draw_grid
from skwbc.inspection._samples import sample_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@validated(
    estimator=[HasMethods(["fit", "predict_proba"])],
    y=["array-like"],
    names=["array-like", None],
)
def find_label_issues(
    estimator: Any, X: Any, y: Any, *, names: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """Rank training samples by how strongly out-of-fold probabilities contradict them.

    Nothing is predicted: each sample is judged by the members that were not trained on
    it, with the probabilities that they predicted while the ensemble was fitted.
    Inspect each issue: its label may be wrong, or the ensemble may not have learnt to
    recognise such samples.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier
        A fitted ensemble with ``oof_proba_``.
    X : array-like of shape (n_samples, ...)
        The samples that the ensemble was fitted on, in the same order. Only their
        number is used, and the file names of an :class:`~skwbc.datasets.ImageFiles`.
    y : array-like of shape (n_samples,)
        Their labels, all of them classes of the ensemble. Labels that were corrected
        after the ensemble was fitted are allowed; the corrected labels are judged.
    names : sequence of str, default=None
        Names of the samples. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and positions in `X` otherwise.

    Returns
    -------
    list of dict
        One row per sample with an out-of-fold probability, the most improbable label
        first: "index" (int, its position in `X`), "image" (its name), "given" (its
        label as str), "suggested" (the label as str that the probabilities suggest;
        equal to "given" unless the sample is an issue), "score" (float, the out-of-fold
        probability of "given", by which the rows are sorted), "issue" (bool) and
        "probabilities" (a dict from label to float).

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    ValueError
        If the ensemble has no out-of-fold probabilities, was fitted on a different
        number of samples, or was not fitted on one of the labels.

    Warns
    -----
    UserWarning
        If at least half of the samples are issues. The labels may be in a different
        order than in ``fit``, or the ensemble may have failed to learn.

    See Also
    --------
    plot_label_issues : Plot the images with the most improbable labels.

    Notes
    -----
    This is confident learning [1]_. The threshold of a class is its mean probability
    over the samples with that label. Each sample is assigned to the most probable class
    among those that reach their thresholds, and is an issue if that class is not its
    label; in other words, if it is off the diagonal of the "confident joint". A class
    that the ensemble is uncertain about is therefore not reported as a whole. A sample
    for which no class reaches its threshold is not an issue, however low its score. No
    sample is assigned to a class that does not occur in `y`.

    Unlike in [1]_, the suggested class also has to be more probable than the label: a
    label that is the prediction of the ensemble is never an issue.

    The rows are sorted by self-confidence, one of the orders in [1]_, with issues and
    other samples in one list, because an overconfident ensemble has high thresholds and
    misses many issues.

    If the held-out folds stopped the training, wrong labels in a fold influenced the
    weights that judge them, which makes some of them harder to find.

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
    oof_proba = check_oof_proba(estimator, X=X, y=y)
    names = sample_names(X, names)
    held_out = np.flatnonzero(~np.isnan(oof_proba).any(axis=1))
    proba = oof_proba[held_out]
    codes = encode_labels(y, estimator.classes_)[held_out]
    suggested = _confident_classes(proba, codes)
    issue = suggested != codes
    if 2 * issue.sum() >= len(issue):
        warnings.warn(
            f"{issue.sum()} of {len(issue)} labels are contradicted. Check that X and "
            "y are the training samples in the order in which the ensemble was fitted. "
            "If they are, the ensemble failed to learn these classes, and the issues "
            "mean little.",
            stacklevel=2,
        )
    score = proba[np.arange(len(codes)), codes]
    labels = [str(label) for label in estimator.classes_]
    return [
        {
            "index": int(held_out[k]),
            "image": names[held_out[k]],
            "given": labels[codes[k]],
            "suggested": labels[suggested[k]],
            "score": float(score[k]),
            "issue": bool(issue[k]),
            "probabilities": dict(zip(labels, proba[k].tolist(), strict=True)),
        }
        for k in np.argsort(score, kind="stable")
    ]


@validated(issues=[list, tuple], n_images=POSITIVE, columns=POSITIVE)
def plot_label_issues(
    X: Any,
    issues: Sequence[dict[str, Any]],
    *,
    n_images: int = 10,
    columns: int = 5,
    **kwargs: Any,
) -> "Figure":
    """Plot the images with the most improbable labels and their class probabilities.

    Each title shows the name of the image, its label and, for an issue, the suggested
    label with its out-of-fold probability. Titles of issues are red; the other images
    have an improbable label, but no other class is probable enough.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        The images that were passed to :func:`find_label_issues`. Only those that are
        shown are read.
    issues : list of dict
        Rows returned by :func:`find_label_issues`.
    n_images : int, default=10
        Maximum number of images.
    columns : int, default=5
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
        If `issues` is empty, `X` does not hold images, or an issue has a position that
        `X` does not have.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from skwbc.inspection import find_label_issues, plot_label_issues
    >>> issues = find_label_issues(clf, X, y)  # doctest: +SKIP
    >>> figure = plot_label_issues(X, issues)  # doctest: +SKIP
    """
    issues = issues[:n_images]
    if not issues:
        raise ValueError(
            "There is nothing to plot: issues is empty. Expected rows that "
            "find_label_issues returned."
        )
    X = check_images(X, "plot_label_issues")
    rows = np.array([row["index"] for row in issues])
    if rows.max() >= len(X):
        raise ValueError(
            f"issues has image {rows.max()}, but X has only {len(X)}. Pass the X that "
            "find_label_issues was called with."
        )
    proba = np.array([list(row["probabilities"].values()) for row in issues])
    labels, y = list(issues[0]["probabilities"]), [row["given"] for row in issues]
    titles, images = [*map(_title, issues)], read_rows(X, rows)
    return draw_grid(images, proba, labels, titles, y, columns, **kwargs)


def check_oof_proba(estimator: Any, **data: Any) -> np.ndarray:
    """Return the out-of-fold probabilities of an ensemble.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier
        The ensemble.
    **data : dict
        Arrays by name, with one entry per sample that the ensemble was fitted on.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Raises
    ------
    NotFittedError
        If the ensemble is not fitted.
    ValueError
        If it has no out-of-fold probabilities (all are NaN if the training of all
        members diverged), or an array has a different length.
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, "oof_proba_"):
        raise ValueError(
            f"This {type(estimator).__name__} has no out-of-fold probabilities "
            "(`oof_proba_`). Expected a KFoldEnsembleClassifier that was fitted by "
            "its own `fit`, not made by `from_cross_validate`."
        )
    n_fitted = len(estimator.oof_proba_)
    for name, values in data.items():
        if num_samples(values) != n_fitted:
            raise ValueError(
                f"{name} has {num_samples(values)} entries, but the ensemble was "
                f"fitted on {n_fitted} samples. Expected one entry per training "
                "sample, in the same order."
            )
    if lacks_probabilities(estimator.oof_proba_).all():
        raise ValueError(
            "The ensemble has no out-of-fold probabilities: all of `oof_proba_` is "
            "NaN, because the training of the members diverged. Fit it again, with a "
            "smaller learning rate for instance."
        )
    return estimator.oof_proba_


def _confident_classes(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the class that each sample is assigned to in the confident joint.

    This is its label unless a class that reaches its threshold is more probable.
    """
    n_classes = proba.shape[1]
    self_confidence = proba[np.arange(len(codes)), codes]
    thresholds = np.full(n_classes, np.inf)
    counts = np.bincount(codes, minlength=n_classes)
    sums = np.bincount(codes, weights=self_confidence, minlength=n_classes)
    np.divide(sums, counts, out=thresholds, where=counts > 0)
    # Rounding can make the mean of equal numbers slightly larger than each of them.
    reaching = np.where(proba >= thresholds - 1e-9, proba, -1.0)
    contradicted = reaching.max(axis=1) > self_confidence
    return np.where(contradicted, reaching.argmax(axis=1), codes)


def _title(row: dict[str, Any]) -> dict[str, Any]:
    suggested = row["suggested"]
    name, label = shown(os.path.basename(row["image"])), shown(row["given"])
    lines = [name, f"labelled {label}"]
    if not row["issue"]:
        return {"label": "\n".join([*lines, "no other suggested"])}
    lines.append(f"{shown(suggested)}? {row['probabilities'][suggested]:.2f}")
    return {"label": "\n".join(lines), **CONTRADICTED}
