"""Check the parameters of ``fit`` of a meta-estimator before they are handed on."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRouter

from skwbc._utils.lazy_arrays import without_tensors
from skwbc._utils.sklearn_compat import routing_enabled
from skwbc.ensemble._validation_set import HELD_OUT

_OPTIONAL = HELD_OUT | {"sample_weight", "groups"}


def with_own_requests(router: MetadataRouter, owner: BaseEstimator) -> MetadataRouter:
    """Add what ``set_score_request`` has set to the router of a meta-estimator.

    Otherwise nothing is added: a score without weights needs no request then, as with
    scikit-learn's ``VotingClassifier``.
    """
    own = BaseEstimator.get_metadata_routing(owner)
    if own.score.requests.get("sample_weight") is not None:
        router.add_self_request(own)
    return router


def as_entries(name: str, values: Any) -> np.ndarray | None:
    """Return a ``fit`` parameter with one entry per sample as an array, or None."""
    if values is None:
        return None
    entries = np.asarray(without_tensors(values))
    if entries.ndim != 1:
        shape = f" of shape {entries.shape}" if entries.ndim else ", a single value"
        raise (ValueError if entries.ndim else TypeError)(
            f"{name} has to be an array of shape (n_samples,), got a "
            f"{type(values).__name__}{shape}."
        )
    return entries


def without_missing(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fit`` parameters without those of the package that are None.

    With metadata routing enabled, None means that a parameter is not passed.
    """
    return {
        name: value
        for name, value in params.items()
        if not (value is None and (name in _OPTIONAL or routing_enabled()))
    }


def shareable(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fit`` parameters that several members can read, tensors as arrays."""
    for name, value in params.items():
        if isinstance(value, Iterator):
            raise TypeError(
                f"The fit parameter {name} is an iterator ({type(value).__name__}), "
                "which only the first member could read. Pass a list or an array."
            )
    return {name: without_tensors(value) for name, value in params.items()}
