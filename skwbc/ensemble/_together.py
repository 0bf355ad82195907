"""Predict with all members of an ensemble, in one call where that is faster.

Members are clones of one estimator. What they have learnt alike is computed once for
all of them, and a class that predicts faster for several of its kind declares it:

- ``_transform_key``, of a transformer: transformers with equal keys transform the same
  samples equally. None if it has learnt something that another may not have.
- ``_answer_together(classifiers, X, only_space)``, of a classifier, static: for each of
  several fitted ones a pair of its probabilities and its spaces. With `only_space` the
  probabilities may be None.
- ``_spaces(X)``, of a transformer: tables of features of samples. With
  ``_spaces_suffice`` no others of the member are used.

The spaces of a classifier are tables of features of the samples, in which distances
mean something: the last maps of a network, the look of images, or the table that a
classifier of scikit-learn is given. From them an ensemble tells whether samples are
typical (see ``_typicality``). In a union, a transformer that declares none but has a
key gives its output.

Only what a class itself defines counts: a subclass may predict differently.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import gen_batches, get_tags, indexable

from skwbc._utils.lazy_arrays import (
    PREDICTION_BATCH,
    is_lazy,
    read_rows,
    without_tensors,
)
from skwbc._utils.sklearn_compat import num_samples, safe_indexing
from skwbc.ensemble._averaging import nested_prediction, stack_members
from skwbc.ensemble._parts import steps_of, transformers_of
from skwbc.ensemble._typicality import Sufficient

# More samples at a time make prediction no faster. In units of working_memory, MiB.
_MIB_AT_A_TIME = 64


class Answer(NamedTuple):
    """Probabilities and spaces of a classifier for some samples.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_known_classes), or None
        Class probabilities; None if only the spaces are needed.
    spaces : list of object
        Features of the samples. What is not a table of numbers has no distances.
    """

    proba: Any
    spaces: list[Any]


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


def answer_in_chunks(
    ensemble: Any, X: Any, *, only_space: bool = False
) -> Iterator[tuple[Any, list[Any]]]:
    """Predict with all members, some samples at a time.

    Samples that are not in memory are read once for all members.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples.
    only_space : bool, default=False
        Whether to leave out the probabilities.

    Yields
    ------
    proba : ndarray of shape (n_members, n_rows, n_classes)
        Probabilities for the next rows of `X`, as from ``stack_members``.
    spaces : list of length n_members
        The spaces of each member.
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
            answers = [
                Answer(member.predict_proba(safe_indexing(chunk, train, axis=1)), [])
                for member, (train, _) in zip(members, ensemble.splits_, strict=True)
            ]
        else:
            answers = answer_together(members, chunk, only_space=only_space)
        probas, spaces = zip(*answers, strict=True)
        stacked = None
        if not only_space:
            stacked = stack_members(members, probas, ensemble.classes_)
        yield stacked, list(spaces)


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


@nested_prediction()
def answer_together(
    members: Sequence[Any], X: Any, *, only_space: bool = False
) -> list[Answer]:
    """Return probabilities and spaces of several classifiers for the same samples.

    Parameters
    ----------
    members : sequence of classifiers
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples, as given to ``predict_proba``.
    only_space : bool, default=False
        Whether probabilities may be left out.

    Returns
    -------
    list of Answer
        The probabilities are those from ``predict_proba`` of each.
    """
    kind = type(members[0])
    if all(type(member) is kind for member in members):
        if kind is Pipeline:
            return _through_pipelines(members, X, only_space)
        if "_answer_together" in vars(kind):
            pairs = kind._answer_together(members, X, only_space)
            return [Answer(*pair) for pair in pairs]
    return [
        Answer(None if only_space else np.asarray(member.predict_proba(X)), [X])
        for member in members
    ]


def _through_pipelines(
    pipelines: Sequence[Pipeline], X: Any, only_space: bool
) -> list[Answer]:
    """Answer with pipelines, and transform once by the steps that they share."""
    paths = [steps_of(pipeline) for pipeline in pipelines]
    shared: list[Any] = []
    n_common = 0
    for steps in zip(*(path[:-1] for path in paths), strict=False):
        keys = {key_of(step) for step in steps}
        if len(steps) > 1 and (len(keys) > 1 or None in keys):
            break
        shared += _spaces_of_step(steps[0], X)
        X = steps[0].transform(X)
        n_common += 1
    rest = [path[n_common:] for path in paths]
    if all(len(steps) == 1 for steps in rest):
        last_steps = [step for (step,) in rest]
        answers = answer_together(last_steps, X, only_space=only_space)
    else:
        answers = []
        for *others, last in rest:
            # A step may work in place, so each gets a copy of what they share.
            own, spaces = copy.deepcopy(X) if n_common else X, []
            for step in others:
                spaces += _spaces_of_step(step, own)
                own = step.transform(own)
            (answer,) = answer_together([last], own, only_space=only_space)
            answers.append(Answer(answer.proba, spaces + answer.spaces))
    return [Answer(proba, shared + spaces) for proba, spaces in answers]


def key_of(step: Any) -> Any:
    """Return what is equal for transformers that do the same; None if unknown."""
    if type(step) is not FeatureUnion:
        is_declared = "_transform_key" in vars(type(step))
        return step._transform_key if is_declared else None
    keys = tuple(map(key_of, transformers_of(step)))
    return None if None in keys or step.transformer_weights else keys


def _spaces_of_step(step: Any, X: Any) -> list[Any]:
    return spaces_of(step, X, _own_spaces, lambda part, X: part.transform(X))


def _own_spaces(step: Any, X: Any) -> list[Any]:
    if "_spaces" not in vars(type(step)):
        return []
    spaces = step._spaces(X)
    suffice = getattr(step, "_spaces_suffice", False)
    return [*map(Sufficient, spaces)] if suffice else spaces


def spaces_of(step: Any, X: Any, own: Callable, transform: Callable) -> list[Any]:
    """Return the spaces of a step of a pipeline, or of the parts of a union.

    Parameters
    ----------
    step : transformer
        The fitted step.
    X : array-like or value of a graph
        Its input.
    own, transform : callable
        Called with a transformer and its input: return its spaces, and its output.
    """
    if type(step) is not FeatureUnion:
        return own(step, X)
    spaces = []
    for part in transformers_of(step):
        of_part = spaces_of(part, X, own, transform)
        if not of_part and key_of(part) is not None:
            of_part = [transform(part, X)]
        spaces += of_part
    return spaces


def join_spaces(spaces: Iterable[Sequence[Any]]) -> list[Any]:
    """Return all spaces of several classifiers, those that are the same object once."""
    return list({id(each): each for some in spaces for each in some}.values())
