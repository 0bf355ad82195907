"""Taking the estimators that ``cross_validate`` has fitted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import get_tags


def take_members(
    results: Mapping[str, Any],
) -> tuple[list[Any], list[tuple[np.ndarray, np.ndarray]] | None]:
    """Return fitted classifiers, and what each was trained and tested on if known.

    Parameters
    ----------
    results : mapping
        From ``cross_validate(..., return_estimator=True)``.

    Returns
    -------
    members : list of classifier
        At least one.
    splits : list of (train, test) arrays of int, or None
        None without ``return_indices=True``.

    Raises
    ------
    ValueError
        If there are no estimators, or no classifiers with ``predict_proba``.
    """
    members = list(results.get("estimator", ()))
    if not members:
        raise ValueError(
            "results has no estimators; call cross_validate with return_estimator=True."
        )
    for member in members:
        if not (hasattr(member, "predict_proba") and hasattr(member, "classes_")):
            raise ValueError(
                f"results holds a {type(member).__name__} without predict_proba "
                "or classes_; expected fitted classifiers."
            )
    if get_tags(members[0]).input_tags.pairwise and "indices" not in results:
        raise ValueError(
            "These estimators take a kernel or distances, so the ensemble has to "
            "know what each was trained on; call cross_validate with "
            "return_indices=True."
        )
    if "indices" not in results:
        return members, None
    indices = results["indices"]
    return members, list(zip(indices["train"], indices["test"], strict=True))
