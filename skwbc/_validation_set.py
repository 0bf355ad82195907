"""How a member of an ensemble is given its held-out fold.

An estimator whose ``fit`` takes ``X_val`` and ``y_val`` is handed them directly. Where
it is the last step of a pipeline, scikit-learn's own ``Pipeline(transform_input=...)``
carries ``X_val`` through the ``transform`` of the fitted steps before it. That needs
metadata routing, which is switched on around this one ``fit`` and in this thread only.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sklearn
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

_MISSING = object()
_HELD_OUT = {"X_val", "y_val", "sample_weight_val"}


def final_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, however nested, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def takes_held_out_fold(estimator: Any) -> bool:
    """Tell whether ``fit`` of the estimator's final step has `X_val` and `y_val`."""
    step = final_step(estimator)
    return has_fit_parameter(step, "X_val") and has_fit_parameter(step, "y_val")


def takes_validation_weights(estimator: Any) -> bool:
    """Tell whether ``fit`` of the estimator's final step has `sample_weight_val`."""
    return has_fit_parameter(final_step(estimator), "sample_weight_val")


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
        pipeline each goes to every step whose ``fit`` has it, a name such as
        ``step__sample_weight`` to that step alone.
    route : bool
        Whether to set the metadata requests of a pipeline's steps. False where the
        user has enabled metadata routing: then the steps keep their own requests, and
        only the held-out fold's are added.

    Returns
    -------
    estimator
        `member`.

    Raises
    ------
    TypeError
        If no step of a pipeline takes one of the parameters.
    """
    if not params or not isinstance(member, Pipeline):
        return member.fit(X, y, **params)
    names = set(params) if route else _HELD_OUT & set(params)
    routing = sklearn.config_context(enable_metadata_routing=True)
    with routing, _requesting(member, names):
        return member.fit(X, y, **params)


@contextmanager
def _requesting(pipeline: Pipeline, names: set[str]) -> Iterator[None]:
    """Let the steps of `pipeline` request `names`; undo it afterwards."""
    saved: list[tuple[Any, str, Any]] = []
    unclaimed = set(names)
    try:
        for level, steps in _levels(pipeline):
            saved.append((level, "transform_input", level.transform_input))
            level.transform_input = [*(level.transform_input or []), "X_val"]
            for prefix, step in steps:
                request = _claims(prefix, step, names)
                unclaimed -= set(request.values())
                if request:
                    old = step.__dict__.get("_metadata_request", _MISSING)
                    saved.append((step, "_metadata_request", old))
                    step.set_fit_request(**request)
        if unclaimed:
            raise TypeError(
                f"No step of the pipeline takes {sorted(unclaimed)} in `fit`; its "
                f"steps are {[name for name, _ in pipeline.steps]}. Name a step as in "
                "'step__parameter', or leave the parameter out."
            )
        yield
    finally:
        for owner, attribute, value in reversed(saved):
            if value is _MISSING:
                owner.__dict__.pop(attribute, None)
            else:
                setattr(owner, attribute, value)


def _levels(
    pipeline: Pipeline, prefix: str = ""
) -> Iterator[tuple[Pipeline, list[tuple[str, Any]]]]:
    """Yield each pipeline inside `pipeline` with its prefixed, plain steps."""
    plain = []
    for name, step in pipeline.steps:
        if isinstance(step, Pipeline):
            yield from _levels(step, f"{prefix}{name}__")
        elif hasattr(step, "fit"):
            plain.append((f"{prefix}{name}__", step))
    yield pipeline, plain


def _claims(prefix: str, step: Any, names: set[str]) -> dict[str, str]:
    """Map the ``fit`` parameters of `step` to the names that are meant for it."""
    claims = {}
    for name in sorted(names):
        parameter = name.removeprefix(prefix)
        if ("__" not in parameter) and has_fit_parameter(step, parameter):
            claims[parameter] = name
    return claims
