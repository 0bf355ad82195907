"""Looking into scikit-learn's pipelines, and going through some of their steps."""

from collections.abc import Sequence
from typing import Any

from sklearn.pipeline import Pipeline


def steps_of(pipeline: Pipeline) -> list[Any]:
    """Return the steps of a pipeline without those that only pass samples through."""
    steps = [step for _, step in pipeline.steps]
    return [step for step in steps if step is not None and step != "passthrough"]


def final_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, however nested, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def transform_by(steps: Sequence[Any], X: Any) -> Any:
    """Transform samples by fitted steps, one after the other."""
    for step in steps:
        X = step.transform(X)
    return X


def takes_lazy_arrays(estimator: Any) -> bool:
    """Tell whether an estimator can be given a lazy array, and what it passes on, too.

    Estimators of this package say so by ``_takes_lazy_arrays = True``. Others may ask
    an array for more than a lazy one has, so they are given arrays. A step of a
    pipeline that always gives an array in memory, which it says by ``_gives_arrays =
    True``, ends the question for the steps behind it.
    """
    if not isinstance(estimator, Pipeline):
        return getattr(estimator, "_takes_lazy_arrays", False)
    for step in steps_of(estimator):
        if not takes_lazy_arrays(step):
            return False
        if getattr(step, "_gives_arrays", False):
            break
    return True
