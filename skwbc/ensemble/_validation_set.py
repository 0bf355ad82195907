"""How the held-out fold, and what else ``fit`` is given, reaches a member's steps.

An estimator whose ``fit`` takes ``X_val`` and ``y_val`` is handed them directly. Where
it is the last step of a pipeline, ``X_val`` goes through the ``transform`` of the
steps before it, as soon as these are fitted. scikit-learn's metadata routing would do
that, too, but has to be known to every estimator inside the steps.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skwbc.ensemble._pipelines import final_step, steps_of, transform_by

# What ``fit`` may be given of a held-out fold.
HELD_OUT = frozenset({"X_val", "y_val", "sample_weight_val"})


def takes_held_out_fold(estimator: Any) -> bool:
    """Tell whether the estimator, or its final step, can watch a held-out fold.

    It can if its ``fit`` has `X_val` and `y_val`, unless it says that it would not, as
    scikit-learn's gradient boosting does by ``early_stopping=False``.
    """
    step = final_step(estimator)
    if getattr(step, "early_stopping", None) is False:
        return False
    if hasattr(step, "_takes_held_out_fold"):
        return step._takes_held_out_fold()
    return has_fit_parameter(step, "X_val") and has_fit_parameter(step, "y_val")


def takes_validation_weights(estimator: Any) -> bool:
    """Tell whether ``fit`` of the estimator's final step has `sample_weight_val`."""
    return has_fit_parameter(final_step(estimator), "sample_weight_val")


def weights_of_final_step(
    estimator: Any, params: Mapping[str, Any], *, route: bool
) -> Any:
    """Return which of the ``fit`` parameters are the final step's sample weights.

    Parameters
    ----------
    estimator : estimator
        A pipeline or any other.
    params : mapping of str to object
        Parameters for ``fit``.
    route : bool
        As in :func:`fit_member`.

    Returns
    -------
    array-like or None
    """
    if not route:
        # A router, such as a search, has none of its own.
        request = getattr(get_routing_for_object(final_step(estimator)), "fit", None)
        alias = getattr(request, "requests", {}).get("sample_weight")
        name = "sample_weight" if alias is True else alias
        return params.get(name) if isinstance(name, str) else None
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return params.get(f"{prefix}sample_weight", params.get("sample_weight"))


def fit_member(
    member: Any, X: Any, y: Any, params: Mapping[str, Any], *, route: bool
) -> Any:
    """Fit `member`, a pipeline or any other estimator, with keyword parameters.

    Parameters
    ----------
    member : estimator
        Fitted in place.
    X, y : array-like
        The training fold.
    params : mapping of str to object
        `X_val`, `y_val`, `sample_weight` and whatever else goes to ``fit``. In a
        pipeline the held-out fold goes to the last step, any other to every step whose
        ``fit`` has it, and a name such as ``step__sample_weight`` to that step alone.
    route : bool
        Whether to say which steps of a pipeline get what. False where the user has
        enabled metadata routing: then the steps have requests of their own, and only
        the held-out fold is taken to the last one.

    Returns
    -------
    estimator
        `member`.

    Raises
    ------
    TypeError
        If no step of a pipeline takes one of the parameters.
    """
    if not isinstance(member, Pipeline):
        return member.fit(X, y, **params)
    held_out = {name: params[name] for name in params if name in HELD_OUT}
    others = {name: params[name] for name in params if name not in HELD_OUT}
    if route:
        others = _by_step(member, others)
    if not held_out:
        return member.fit(X, y, **others)
    last = final_step(member)
    _refuse(member, [name for name in held_out if not has_fit_parameter(last, name)])
    with _handing_on(member, held_out):
        return member.fit(X, y, **others)


@contextmanager
def _handing_on(pipeline: Pipeline, held_out: dict[str, Any]) -> Iterator[None]:
    """Let the final step of a pipeline be fitted with the held-out fold as well.

    The pipeline calls its ``fit`` when the steps before it are fitted. This adds what
    they make of the held-out fold to that call.
    """
    last = final_step(pipeline)

    def fit(X: Any, y: Any, **params: Any) -> Any:
        # Only for this call, and not to be pickled with the step.
        del last.fit
        seen = dict(held_out)
        if "X_val" in seen:
            seen["X_val"] = _through_steps(pipeline, seen["X_val"])
        return last.fit(X, y, **params, **seen)

    last.fit = fit
    try:
        yield
    finally:
        vars(last).pop("fit", None)


def _through_steps(pipeline: Pipeline, X: Any) -> Any:
    """Transform samples by all steps but the last one, which may be a pipeline, too."""
    *others, last = steps_of(pipeline)
    X = transform_by(others, X)
    return _through_steps(last, X) if isinstance(last, Pipeline) else X


def _by_step(pipeline: Pipeline, params: Mapping[str, Any]) -> dict[str, Any]:
    """Name for each parameter the steps that take it."""
    named: dict[str, Any] = {}
    unclaimed = set(params)
    last = final_step(pipeline)
    for prefix, step in _steps(pipeline):
        for name, value in params.items():
            alone = name.startswith(prefix) and "__" not in name.removeprefix(prefix)
            own = name.removeprefix(prefix) if alone else name
            if "__" in own:
                continue
            # A search or a vote hands on whatever it is given.
            takes = has_fit_parameter(step, own) or (
                (alone or (step is last and own == "sample_weight"))
                and _takes_anything(step)
            )
            if not takes:
                continue
            unclaimed.discard(name)
            # What is meant for one step comes before what is for all.
            if alone or f"{prefix}{own}" not in params:
                named[f"{prefix}{own}"] = value
    _refuse(pipeline, unclaimed)
    return named


def _takes_anything(step: Any) -> bool:
    kinds = (each.kind for each in signature(step.fit).parameters.values())
    return Parameter.VAR_KEYWORD in kinds


def _refuse(pipeline: Pipeline, names: Collection[str]) -> None:
    if names:
        raise TypeError(
            f"No step of the pipeline takes {sorted(names)} in `fit`; its steps are "
            f"{[name for name, _ in pipeline.steps]}. Name a step as in "
            "'step__parameter', or leave the parameter out."
        )


def _steps(pipeline: Pipeline, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the steps of a pipeline, and those of pipelines in it, prefixed."""
    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from _steps(step, f"{prefix}{name}__")
        elif hasattr(step, "fit"):
            yield f"{prefix}{name}__", step
