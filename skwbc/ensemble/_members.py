"""Members of a fold ensemble: fitting one, predicting with several, averaging them."""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import gen_batches, get_tags, indexable

from skwbc._utils.lazy_arrays import PREDICTION_BATCH, is_lazy, read_rows, select_rows
from skwbc._utils.progress import report
from skwbc._utils.random import draw_seed, seed_nested_estimators
from skwbc._utils.sklearn_compat import num_samples, safe_indexing
from skwbc.ensemble._folds import Split
from skwbc.ensemble._pipelines import takes_lazy_arrays
from skwbc.ensemble._together import predict_proba_together
from skwbc.ensemble._validation_set import (
    HELD_OUT,
    fit_member,
    takes_validation_weights,
    weights_of_final_step,
)

# More samples at a time make prediction no faster. In units of working_memory, MiB.
_MIB_AT_A_TIME = 64


class FittedFold(NamedTuple):
    """A member, and how it did on what was held out from it.

    Attributes
    ----------
    member : estimator
        Fitted.
    proba : ndarray of shape (n_held_out, n_known_classes)
        Its probabilities for the held-out samples.
    seconds : float
        How long fitting and predicting took.
    n_restarts : int
        How often it was trained again because it had failed to learn.
    """

    member: Any
    proba: np.ndarray
    seconds: float
    n_restarts: int = 0

    def accuracy(self, labels: np.ndarray) -> float:
        """Return the part of the held-out labels that are its most probable class."""
        return accuracy(self.member.classes_, self.proba, labels)

    def describe_restarts(self) -> str:
        """Say how often it was trained again, as the end of a sentence; or nothing."""
        if not self.n_restarts:
            return ""
        return f", {self.n_restarts} restart{'s' if self.n_restarts > 1 else ''}"

    def failed(self, labels: np.ndarray) -> bool:
        """Tell whether it does no better than saying the same class of all samples."""
        # A fold of one class cannot tell learning from guessing.
        return self.accuracy(labels) <= guessing_accuracy(labels) < 1


def accuracy(classes: np.ndarray, proba: np.ndarray, y: np.ndarray) -> float:
    """Return the part of `y` that is the most probable class; NaN never is."""
    right = classes[proba.argmax(axis=1)] == y
    return float(np.mean(right & ~np.isnan(proba).any(axis=1)))


def _check_classes(member: Any, y: np.ndarray) -> None:
    """Check that a fitted member knows classes, and none that `y` has not."""
    known = getattr(member, "classes_", None)
    if known is None:
        raise TypeError(
            f"{type(member).__name__} has no classes_ after fit; expected a classifier."
        )
    others = np.asarray(known)[~np.isin(known, y)].tolist()
    if others:
        raise ValueError(
            f"The {type(member).__name__} knows the classes {others}, which y has not. "
            "An ensemble fits its members itself, to the classes in y."
        )


def guessing_accuracy(labels: np.ndarray) -> float:
    """Return the part of the labels that is the most frequent one."""
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
    repetition: int = 0,
    caller: Any = None,
    context: Any = None,
) -> FittedFold:
    """Fit a member on its fold and predict what was held out.

    One that fails to learn is trained again with other seeds.

    Parameters
    ----------
    member : estimator
        Unfitted; fitted in place.
    X, y : array-like of shape (n_samples, ...), ndarray of shape (n_samples,)
        All samples.
    split : (ndarray of int, ndarray of int)
        Training and held-out indices.
    params : dict
        For ``fit``; what has an entry for each sample is sliced.
    watch : bool
        Whether the member is given its held-out fold to watch.
    route : bool
        As in :func:`~skwbc.ensemble._validation_set.fit_member`.
    fold, n_folds : int
        Which fold it is, from 1, and of how many.
    n_restarts : int, default=0
        How often at the most to train again.
    restart_seed : int, default=None
        Decides the seeds of that; None takes fresh entropy.
    repetition : int, default=0
        Tells members of the same split apart that are kept on disk.
    caller : estimator, default=None
        The ensemble, for callbacks.
    context : CallbackContext, default=None
        The fold's task, for callbacks.

    Returns
    -------
    FittedFold
        The member and what it says of its held-out fold.
    """
    report("fold_started", fold=fold, n_folds=n_folds)
    start = time.perf_counter()
    train, held_out = split
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
        # A member cannot be told of a class that it is not trained on.
        rows = held_out[np.isin(y[held_out], y[train])]
        if len(rows):
            fit_params["X_val"] = take(X, rows, columns, lazily=lazily)
            fit_params["y_val"] = y[rows]
            weights = weights_of_final_step(member, params, route=route)
            if weights is not None and takes_validation_weights(member):
                fit_params["sample_weight_val"] = safe_indexing(weights, rows)

    def attempt(member: Any, context: Any) -> FittedFold:
        with context.propagate_callback_context(member) if context else nullcontext():
            if context:
                context.call_on_fit_task_begin(estimator=caller, X=X_train, y=y[train])
            fit_member(member, X_train, y[train], fit_params, route=route)
        if context:
            context.call_on_fit_task_end(estimator=caller, X=X_train, y=y[train])
        _check_classes(member, y)
        proba = np.asarray(member.predict_proba(X_held_out))
        return FittedFold(member, proba, time.perf_counter() - start)

    labels = y[held_out]
    unfitted = clone(member)
    state = np.random.RandomState(draw_seed(restart_seed))
    restarts = 0
    try:
        best = attempt(member, context)
        while restarts < n_restarts and best.failed(labels):
            again = clone(unfitted)
            if not seed_nested_estimators(again, state):
                break  # Nothing in it is random: it would fail in the same way.
            restarts += 1
            report("fold_restarted", fold=fold, n_folds=n_folds, restart=restarts)
            # The fold's task is over for callbacks, so they are not told.
            done = attempt(again, None)
            best = max(best, done, key=lambda each: each.accuracy(labels))
    except Exception as error:
        error.add_note(f"This happened in fold {fold} of {n_folds} of the ensemble.")
        raise
    seconds = time.perf_counter() - start
    return best._replace(seconds=seconds, n_restarts=restarts)


def take(
    X: Any, rows: Any, columns: np.ndarray | None = None, *, lazily: bool = False
) -> Any:
    """Index `X` along its first axis, and along the second if it is a kernel.

    With `lazily`, rows of arrays of more than two axes, such as images, are not copied
    before they are used.
    """
    if lazily and isinstance(X, np.ndarray) and X.ndim > 2:
        return select_rows(X, rows)
    X = safe_indexing(X, rows)
    return X if columns is None else safe_indexing(X, columns, axis=1)


def take_rows(value: Any, rows: np.ndarray, n_samples: int) -> Any:
    """Index what has an entry for each sample; return anything else as it is."""
    if isinstance(value, str | dict) or not hasattr(value, "__len__"):
        return value
    return safe_indexing(value, rows) if num_samples(value) == n_samples else value


def as_rows(X: Any) -> Any:
    """Return `X` as something that has rows: itself, wherever possible."""
    (X,) = indexable(X)
    if num_samples(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 "
            "is required."
        )
    return X


def predict_in_chunks(ensemble: Any, X: Any) -> Iterator[np.ndarray]:
    """Predict with all members, some samples at a time.

    What is not in memory is read once for all members.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples.

    Yields
    ------
    ndarray of shape (n_members, n_rows, n_classes)
        Probabilities for the next rows of `X`; NaN for a class that a member was never
        shown.
    """
    X = as_rows(X)
    n_samples = num_samples(X)
    members, classes = ensemble.estimators_, ensemble.classes_
    # In float32, with a copy to spare for what members make of it.
    values = int(np.prod(getattr(X, "shape", (1, 1))[1:]))
    if issparse(X):
        values = math.ceil(X.nnz / n_samples)
    working_memory = min(get_config()["working_memory"], _MIB_AT_A_TIME) * 2**20
    at_a_time = max(1, int(working_memory / max(16 * values, 1)))
    if at_a_time > PREDICTION_BATCH:
        at_a_time -= at_a_time % PREDICTION_BATCH
    # A member wants a kernel's columns for the samples it was trained on. Images are
    # none, and to ask takes long for one of them.
    is_table = getattr(X, "ndim", 2) == 2
    pairwise = is_table and get_tags(members[0]).input_tags.pairwise
    for rows in gen_batches(n_samples, at_a_time):
        whole = rows.start == 0 and rows.stop == n_samples
        if is_lazy(X):
            chunk = read_rows(X, rows)
        else:
            chunk = X if whole else safe_indexing(X, rows)
        proba = np.full((len(members), rows.stop - rows.start, len(classes)), np.nan)
        if pairwise:
            seen = [
                member.predict_proba(safe_indexing(chunk, train, axis=1))
                for member, (train, _) in zip(members, ensemble.splits_, strict=True)
            ]
        else:
            seen = predict_proba_together(members, chunk)
        for k, member in enumerate(members):
            proba[k][:, np.searchsorted(classes, member.classes_)] = seen[k]
        yield proba
