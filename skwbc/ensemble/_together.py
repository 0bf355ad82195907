"""Asking all members of an ensemble about the same samples, at once where that pays.

Members are clones of one estimator. What they have learnt alike is done once for all of
them, and a class that has a quicker way for several of its kind says so:

- ``_transform_key``, of a transformer: transformers with equal keys make the same of
  the same samples. None if it has learnt something that another may not have.
- ``_predict_proba_together(classifiers, X)``, of a classifier, static: the
  probabilities of several fitted ones.

Only what a class itself defines counts: a subclass may do something else.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skwbc.ensemble._pipelines import steps_of, transform_by


def predict_proba_together(members: Sequence[Any], X: Any) -> list[np.ndarray]:
    """Return what each of several classifiers says of the same samples.

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
    kind = type(members[0])
    if len(members) > 1 and all(type(member) is kind for member in members):
        if kind is Pipeline:
            return _through_pipelines(members, X)
        if "_predict_proba_together" in vars(kind):
            return kind._predict_proba_together(members, X)
    return [np.asarray(member.predict_proba(X)) for member in members]


def _through_pipelines(pipelines: Sequence[Pipeline], X: Any) -> list[np.ndarray]:
    """Go together through the steps as far as these do the same."""
    ways = [steps_of(pipeline) for pipeline in pipelines]
    n_common = 0
    for steps in zip(*(way[:-1] for way in ways), strict=False):
        keys = {_transform_key(step) for step in steps}
        if len(keys) > 1 or None in keys:
            break
        X = steps[0].transform(X)
        n_common += 1
    if not n_common:
        return [np.asarray(pipeline.predict_proba(X)) for pipeline in pipelines]
    rest = [way[n_common:] for way in ways]
    if all(len(steps) == 1 for steps in rest):
        return predict_proba_together([step for (step,) in rest], X)
    # A step may change what it is given, which is what the others are given, too.
    seen = (transform_by(steps[:-1], copy.deepcopy(X)) for steps in rest)
    return [
        np.asarray(steps[-1].predict_proba(samples))
        for steps, samples in zip(rest, seen, strict=True)
    ]


def _transform_key(step: Any) -> Any:
    return step._transform_key if "_transform_key" in vars(type(step)) else None
