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
