"""Members of a fold ensemble: fit one on its fold, or take those that are fitted."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.utils import get_tags

from skwbc._utils.lazy_arrays import select_rows, spread
from skwbc._utils.names import counted
from skwbc._utils.probabilities import lacks_probabilities
from skwbc._utils.progress import task
from skwbc._utils.random import draw_seed, seed_nested_estimators
from skwbc._utils.sklearn_compat import num_samples, safe_indexing
from skwbc.ensemble._folds import Split
from skwbc.ensemble._parts import check_predicts_proba, takes_lazy_arrays
from skwbc.ensemble._together import answer_together
from skwbc.ensemble._typicality import (
    MOST_POINTS,
    as_tables,
    calibrate,
    fit_references,
)
from skwbc.ensemble._validation_set import (
    HELD_OUT,
    fit_member,
    validation_params,
    weights_of_final_step,
)


class FittedFold(NamedTuple):
    """A member and its predictions for its held-out fold.

    Attributes
    ----------
    member : estimator
        Fitted.
    proba : ndarray of shape (n_held_out, n_known_classes)
        Its probabilities for the held-out samples.
    seconds : float
        Duration of fitting and predicting.
    n_restarts : int
        How often it was trained again because it had failed to learn.
    references : list of dict of ndarray
        Where its training samples lie in its spaces, if it has any.
    distances : ndarray of shape (n_held_out, n_distances), or None
        How far the held-out samples are from them.
    """

    member: Any
    proba: np.ndarray
    seconds: float
    n_restarts: int = 0
    references: Sequence[dict[str, np.ndarray]] = ()
    distances: Any = None

    def accuracy(self, labels: np.ndarray) -> float:
        """Return the accuracy on the held-out samples."""
        return accuracy(self.member.classes_, self.proba, labels)

    def describe_restarts(self) -> str:
        """Return ", 2 restarts" and the like; empty if there were none."""
        return f", {counted(self.n_restarts, 'restart')}" if self.n_restarts else ""

    def failed(self, labels: np.ndarray) -> bool:
        """Return whether it predicts NaN or does no better than guessing one class."""
        # A fold of one class cannot tell learning from guessing.
        guesses = self.accuracy(labels) <= guessing_accuracy(labels) < 1
        return guesses or bool(lacks_probabilities(self.proba).any())

    def quality(self, labels: np.ndarray) -> tuple[float, int]:
        """Return the accuracy and, to decide between equals, minus the NaN rows."""
        return self.accuracy(labels), -int(lacks_probabilities(self.proba).sum())


def accuracy(classes: np.ndarray, proba: np.ndarray, y: np.ndarray) -> float:
    """Return the fraction of `y` predicted correctly; NaN counts as wrong."""
    correct = classes[proba.argmax(axis=1)] == y
    return float(np.mean(correct & ~np.isnan(proba).any(axis=1)))


def guessing_accuracy(labels: np.ndarray) -> float:
    """Return the accuracy of always predicting the most frequent label."""
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def fit_one_fold(
    member: Any,
    X: Any,
    y: np.ndarray,
    split: Split,
    params: dict[str, Any],
    *,
    watch: bool,
    route: bool,
    fold: int,
    n_folds: int,
    n_restarts: int = 0,
    restart_seed: int | None = None,
    owner: Any = None,
    context: Any = None,
) -> FittedFold:
    """Fit a member on its fold and predict its held-out samples.

    A member that fails to learn is trained again with other seeds.

    Parameters
    ----------
    member : estimator
        Unfitted; fitted in place.
    X, y : array-like of shape (n_samples, ...), ndarray of shape (n_samples,)
        All samples.
    split : (ndarray of int, ndarray of int)
        Training and held-out indices.
    params : dict
        Parameters of ``fit``. Those with one entry per sample are sliced.
    watch : bool
        Whether the member is given its held-out fold as a validation set.
    route : bool
        As in :func:`~skwbc.ensemble._validation_set.fit_member`.
    fold, n_folds : int
        Number of the fold, from 1, and of how many.
    n_restarts : int, default=0
        Maximum number of further attempts.
    restart_seed : int, default=None
        Seeds the further attempts; None takes fresh entropy.
    owner : estimator, default=None
        The ensemble, for callbacks.
    context : CallbackContext, default=None
        The task of the fold, for callbacks.

    Returns
    -------
    FittedFold
        The member and its held-out probabilities.
    """
    start = time.perf_counter()
    train, held_out = split
    y_train, y_held_out = y[train], y[held_out]
    pairwise = get_tags(member).input_tags.pairwise
    columns = train if pairwise else None
    lazily = takes_lazy_arrays(member)
    X_train = take(X, train, columns, lazily=lazily)
    X_held_out = take(X, held_out, columns, lazily=lazily)
    fit_params = {
        name: value if name in HELD_OUT else take_rows(value, train, len(y))
        for name, value in params.items()
    }
    if watch:
        # A member cannot evaluate a class that it is not trained on. The rows are
        # copied, because steps that work in place may change them.
        rows = np.flatnonzero(np.isin(y_held_out, y_train))
        if len(rows):
            held_out_params = {
                name: take_rows(value, held_out[rows], len(y))
                for name, value in params.items()
            }
            fit_params |= validation_params(
                member,
                X_val=take(X_held_out, rows, lazily=lazily),
                y_val=y_held_out[rows],
                sample_weight_val=weights_of_final_step(
                    member, held_out_params, route=route
                ),
            )

    def attempt(
        member: Any, context: Any, event: str, **details: Any
    ) -> tuple[FittedFold, Sequence[Any]]:
        with task(
            owner,
            context,
            member,
            X=X_train,
            y=y_train,
            begin=event,
            fold=fold,
            n_folds=n_folds,
            **details,
        ):
            fit_member(member, X_train, y_train, fit_params, route=route)
        _check_classes(member, y)
        check_predicts_proba("estimator", member, fitted=True)
        (answer,) = answer_together([member], X_held_out)
        fitted = FittedFold(member, answer.proba, time.perf_counter() - start)
        # The columns of a kernel are samples, not features.
        return fitted, [] if pairwise else answer.spaces

    state = np.random.RandomState(draw_seed(restart_seed))
    restarts = 0
    try:
        best, spaces = attempt(member, context, "fold_started")
        while restarts < n_restarts and best.failed(y_held_out):
            again = clone(member)
            if not seed_nested_estimators(again, state):
                break  # Nothing in it is random: it would fail in the same way.
            restarts += 1
            # For callbacks the task of the fold has ended.
            latest = attempt(again, None, "fold_restarted", restart=restarts)
            best, spaces = max(
                (best, spaces), latest, key=lambda each: each[0].quality(y_held_out)
            )
        references, far = [], None
        if as_tables(spaces):
            some = take(X, train[spread(len(train), MOST_POINTS)], lazily=lazily)
            (answer,) = answer_together([best.member], some, only_space=True)
            references = fit_references(answer.spaces)
        if references:
            far = calibrate(references, spaces)
    except Exception as error:
        error.add_note(f"This happened in fold {fold} of {n_folds} of the ensemble.")
        raise
    seconds = time.perf_counter() - start
    return best._replace(
        seconds=seconds, n_restarts=restarts, references=references, distances=far
    )


def _check_classes(member: Any, y: np.ndarray) -> None:
    """Check that a fitted member has classes, and only such as are in `y`."""
    classes = getattr(member, "classes_", None)
    if classes is None:
        raise TypeError(
            f"{type(member).__name__} has no classes_ after fit; expected a classifier."
        )
    others = np.asarray(classes)[~np.isin(classes, y)].tolist()
    if others:
        raise ValueError(
            f"The {type(member).__name__} has the classes {others}, which are not in "
            "y. Pass a classifier that learns its classes in fit."
        )


def take(
    X: Any, rows: Any, columns: np.ndarray | None = None, *, lazily: bool = False
) -> Any:
    """Index `X` along its first axis, and with `columns` along the second as well.

    With `lazily`, rows of arrays of more than two axes, such as images, are copied only
    when they are used.
    """
    if lazily and isinstance(X, np.ndarray) and X.ndim > 2:
        return select_rows(X, rows)
    X = safe_indexing(X, rows)
    return X if columns is None else safe_indexing(X, columns, axis=1)


def take_rows(value: Any, rows: np.ndarray, n_samples: int) -> Any:
    """Index a value with one entry per sample; return any other unchanged."""
    # A set, for instance, may have as many entries as samples, but no order.
    whole = isinstance(value, str | bytes | bytearray | memoryview | Mapping)
    if whole or not (hasattr(value, "__getitem__") or issparse(value)):
        return value
    try:
        per_sample = num_samples(value) == n_samples
    except TypeError:  # An array without axes, or an estimator.
        return value
    if not per_sample:
        return value
    # Some formats of sparse matrices have no rows to select.
    return safe_indexing(value.tocsr() if issparse(value) else value, rows)


def take_fitted(
    results: Mapping[str, Any],
) -> tuple[list[Any], list[Split] | None]:
    """Return the classifiers that ``cross_validate`` has fitted, and their splits.

    Parameters
    ----------
    results : mapping
        From ``cross_validate(..., return_estimator=True)``.

    Returns
    -------
    members : list of classifier
        At least one.
    splits : list of (train, test) arrays of int, or None
        None without ``return_indices=True``.

    Raises
    ------
    ValueError
        If there are no estimators, or they are not classifiers with ``predict_proba``.
    """
    members = list(results.get("estimator", ()))
    if not members:
        raise ValueError(
            "results has no estimators; call cross_validate with return_estimator=True."
        )
    for member in members:
        if not (hasattr(member, "predict_proba") and hasattr(member, "classes_")):
            raise ValueError(
                f"results holds a {type(member).__name__} without predict_proba "
                "or classes_; expected fitted classifiers."
            )
    if "indices" in results:
        indices = results["indices"]
        return members, list(zip(indices["train"], indices["test"], strict=True))
    if get_tags(members[0]).input_tags.pairwise:
        raise ValueError(
            "These estimators take a kernel or distances, so the ensemble needs the "
            "training indices of each; call cross_validate with return_indices=True."
        )
    return members, None
