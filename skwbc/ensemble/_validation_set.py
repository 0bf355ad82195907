"""Hand the held-out fold and other ``fit`` parameters to the steps of a member.

An estimator whose ``fit`` has ``X_val`` and ``y_val`` gets them directly. If it is the
last step of a pipeline, ``X_val`` is first transformed by the steps before it, as soon
as these are fitted. scikit-learn's metadata routing would do that, too
(``Pipeline(transform_input=...)``), but fails if any estimator inside the steps does
not support it.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skwbc.ensemble._parts import (
    final_step,
    is_sampler,
    steps_of,
    takes_held_out_fold,
    transform_by,
)

# Parameters of ``fit`` that belong to a held-out fold.
HELD_OUT = frozenset({"X_val", "y_val", "sample_weight_val"})


def validation_params(estimator: Any, **params: Any) -> dict[str, Any]:
    """Return those parameters of a held-out fold that an estimator can use.

    Parameters
    ----------
    estimator : estimator
        A classifier, or a pipeline that ends in one.
    **params : dict
        `X_val`, `y_val` and `sample_weight_val`. Those that are None are left out.

    Returns
    -------
    dict
        For :func:`fit_member`; empty if the estimator cannot use a held-out fold.
    """
    if not takes_held_out_fold(estimator):
        return {}
    step = final_step(estimator)
    return {
        name: value
        for name, value in params.items()
        if value is not None and has_fit_parameter(step, name)
    }


def weights_of_final_step(
    estimator: Any, params: Mapping[str, Any], *, route: bool
) -> Any:
    """Return the sample weights of the final step among ``fit`` parameters.

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
    array-like, mapping or None
        A vote gets all parameters, because its classifiers may have weights of their
        own.
    """
    step = final_step(estimator)
    if hasattr(step, "_takes_held_out_fold") and (step is estimator or not route):
        return params or None
    if not route:
        # Only a pipeline gets weights under the name that its last step requests.
        return (
            params.get("sample_weight")
            if step is estimator
            else _requested(step, params)
        )
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return params.get(f"{prefix}sample_weight", params.get("sample_weight"))


def divided_weights(estimator: Any, weights: Any, *, route: bool) -> Any:
    """Return the weights of the held-out fold that one classifier of a vote gets.

    Parameters
    ----------
    estimator : estimator
        A classifier of the vote.
    weights : array-like, mapping or None
        What the vote got as `sample_weight_val`.
    route : bool
        As in :func:`fit_member`.

    Returns
    -------
    array-like, mapping or None
    """
    step = final_step(estimator)
    if hasattr(step, "_takes_held_out_fold"):
        return weights  # A vote within the vote divides them.
    if isinstance(weights, Mapping):
        if route:
            return weights_of_final_step(estimator, weights, route=route)
        return _requested(step, weights)
    # With metadata routing, a classifier that declines weights gets none here either.
    return weights if route or _name_of_weights(step) else None


def _requested(step: Any, params: Mapping[str, Any]) -> Any:
    """Return the sample weights under the name that an estimator requests."""
    name = _name_of_weights(step)
    return params.get(name) if name else None


def _name_of_weights(step: Any) -> str | None:
    """Return the name under which an estimator requests sample weights."""
    routing = get_routing_for_object(step)
    if isinstance(routing, MetadataRouter):
        return "sample_weight"  # It hands them on to the estimators inside.
    request = routing.fit.requests.get("sample_weight")
    if request is True:
        return "sample_weight"
    return request if isinstance(request, str) else None


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
        Parameters of ``fit``: `X_val`, `y_val`, `sample_weight` and others. In a
        pipeline the held-out fold goes to the last step, any other parameter to every
        step whose ``fit`` has it, and one such as ``step__sample_weight`` to that step
        alone.
    route : bool
        Whether to distribute the parameters over the steps of a pipeline. False if
        metadata routing is enabled: the steps then have requests of their own, and only
        the held-out fold is handed to the last one.

    Returns
    -------
    estimator
        `member`.

    Raises
    ------
    TypeError
        If a parameter is not accepted by any step of a pipeline.
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
    """Fit the final step of a pipeline with the held-out fold as well in the block.

    A pipeline calls ``fit`` of its final step when the other steps are fitted. For the
    time of the block that method is replaced by one that transforms the held-out fold
    by these steps, adds it to the parameters and calls the original method.
    """
    last = final_step(pipeline)

    def fit(X: Any, y: Any, **params: Any) -> Any:
        del last.fit  # The replacement must not be pickled with the step.
        transformed = dict(held_out)
        if "X_val" in held_out:
            transformed["X_val"] = _through_steps(pipeline, held_out["X_val"])
        return last.fit(X, y, **params, **transformed)

    last.fit = fit
    try:
        yield
    finally:
        vars(last).pop("fit", None)


def _through_steps(pipeline: Pipeline, X: Any) -> Any:
    """Transform samples by all steps before the final one, also in nested pipelines."""
    *others, last = steps_of(pipeline)
    X = transform_by(others, X)
    return _through_steps(last, X) if isinstance(last, Pipeline) else X


def _by_step(pipeline: Pipeline, params: Mapping[str, Any]) -> dict[str, Any]:
    """Prefix each parameter by the names of the steps that take it."""
    named: dict[str, Any] = {}
    unclaimed = set(params)
    last = final_step(pipeline)
    resampled_by = None
    for prefix, step in _steps(pipeline):
        if is_sampler(step):
            resampled_by = step
        for name, value in params.items():
            alone = name.startswith(prefix) and "__" not in name.removeprefix(prefix)
            own = name.removeprefix(prefix) if alone else name
            if "__" in own:
                continue
            # A search or a vote hands on all parameters.
            takes = has_fit_parameter(step, own) or (
                (alone or (step is last and own == "sample_weight"))
                and _takes_anything(step)
            )
            if not takes:
                continue
            if resampled_by is not None and own == "sample_weight":
                raise TypeError(
                    f"{name} would reach the {type(step).__name__} behind a "
                    f"{type(resampled_by).__name__}, which changes the samples but not "
                    "their weights. Leave the weights out, or use class_weight."
                )
            unclaimed.discard(name)
            # A parameter for one step overrides one for all steps.
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
            f"No step of the pipeline has {sorted(names)} in its `fit`; the steps are "
            f"{[name for name, _ in pipeline.steps]}. Name a step, as in "
            "'step__parameter', or leave the parameter out."
        )


def _steps(pipeline: Pipeline, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the steps of a pipeline, and those of pipelines in it, prefixed."""
    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from _steps(step, f"{prefix}{name}__")
        elif hasattr(step, "fit"):
            yield f"{prefix}{name}__", step
