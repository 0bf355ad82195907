"""Predict with all members of an ensemble, in one call where that is faster.

Members are clones of one estimator. What they have learnt alike is computed once for
all of them, and a class that predicts faster for several of its kind declares it:

- ``_transform_key``, of a transformer: transformers with equal keys transform the same
  samples equally. None if it has learnt something that another may not have.
- ``_predict_proba_together(classifiers, X)``, of a classifier, static: the
  probabilities of several fitted ones.

Only what a class itself defines counts: a subclass may predict differently.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches, get_tags, indexable

from skwbc._utils.lazy_arrays import (
    PREDICTION_BATCH,
    is_lazy,
    read_rows,
    without_tensors,
)
from skwbc._utils.sklearn_compat import num_samples, safe_indexing
from skwbc.ensemble._averaging import nested_prediction, stack_members
from skwbc.ensemble._parts import steps_of, transform_by

# More samples at a time make prediction no faster. In units of working_memory, MiB.
_MIB_AT_A_TIME = 64


def as_rows(X: Any) -> Any:
    """Return `X` as an object with rows, unchanged wherever possible.

    Tensors become arrays. Data frames, sparse matrices, lists and arrays whose rows are
    read on demand stay what they are.
    """
    (X,) = indexable(without_tensors(X))
    if num_samples(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 "
            "is required."
        )
    return X


def predict_in_chunks(ensemble: Any, X: Any) -> Iterator[np.ndarray]:
    """Predict with all members, some samples at a time.

    Samples that are not in memory are read once for all members.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples.

    Yields
    ------
    ndarray of shape (n_members, n_rows, n_classes)
        Probabilities for the next rows of `X`, as from ``stack_members``.
    """
    X = as_rows(X)
    n_samples = num_samples(X)
    members = ensemble.estimators_
    # Only a table can be a kernel, and the tags of nested estimators take long to ask.
    pairwise = getattr(X, "ndim", 2) == 2 and get_tags(members[0]).input_tags.pairwise
    for rows in gen_batches(n_samples, _chunk_size(X, n_samples)):
        if is_lazy(X):
            chunk = read_rows(X, rows)
        elif rows.stop - rows.start == n_samples:
            chunk = X
        else:
            chunk = safe_indexing(X, rows)
        if pairwise:
            # Each member takes the columns of the samples it was trained on.
            probas = [
                member.predict_proba(safe_indexing(chunk, train, axis=1))
                for member, (train, _) in zip(members, ensemble.splits_, strict=True)
            ]
        else:
            probas = predict_proba_together(members, chunk)
        yield stack_members(members, probas, ensemble.classes_)


def _chunk_size(X: Any, n_samples: int) -> int:
    """Return how many samples to predict at a time."""
    n_values = int(np.prod(getattr(X, "shape", (1, 1))[1:]))
    if issparse(X):
        n_values = math.ceil(X.nnz / n_samples)
    working_memory = min(get_config()["working_memory"], _MIB_AT_A_TIME) * 2**20
    # In float32, and as much again four times over for what members compute from it.
    size = max(1, int(working_memory / max(16 * n_values, 1)))
    # Networks predict whole batches.
    return size - size % PREDICTION_BATCH if size > PREDICTION_BATCH else size


def predict_proba_together(members: Sequence[Any], X: Any) -> list[np.ndarray]:
    """Return the probabilities of several classifiers for the same samples.

    Parameters
    ----------
    members : sequence of classifiers
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples, as given to ``predict_proba``.

    Returns
    -------
    list of ndarray of shape (n_samples, n_known_classes)
        The same as from ``predict_proba`` of each.
    """
    with nested_prediction():
        return _predict_proba_together(members, X)


def _predict_proba_together(members: Sequence[Any], X: Any) -> list[np.ndarray]:
    kind = type(members[0])
    if len(members) > 1 and all(type(member) is kind for member in members):
        if kind is Pipeline:
            return _through_pipelines(members, X)
        if "_predict_proba_together" in vars(kind):
            return kind._predict_proba_together(members, X)
    return [np.asarray(member.predict_proba(X)) for member in members]


def _through_pipelines(pipelines: Sequence[Pipeline], X: Any) -> list[np.ndarray]:
    """Predict with pipelines, and transform once by the steps that they share."""
    paths = [steps_of(pipeline) for pipeline in pipelines]
    n_common = 0
    for steps in zip(*(path[:-1] for path in paths), strict=False):
        keys = {_transform_key(step) for step in steps}
        if len(keys) > 1 or None in keys:
            break
        X = steps[0].transform(X)
        n_common += 1
    if not n_common:
        return [np.asarray(pipeline.predict_proba(X)) for pipeline in pipelines]
    rest = [path[n_common:] for path in paths]
    if all(len(steps) == 1 for steps in rest):
        return predict_proba_together([step for (step,) in rest], X)
    # A step may work in place, so each pipeline gets a copy.
    return [
        np.asarray(last.predict_proba(transform_by(others, copy.deepcopy(X))))
        for *others, last in rest
    ]


def _transform_key(step: Any) -> Any:
    return step._transform_key if "_transform_key" in vars(type(step)) else None
