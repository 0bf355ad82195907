"""Comparing samples with the training samples of an ensemble."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc.ensemble._in_chunks import PredictsInChunks
from skwbc.ensemble._parts import appearance_of
from skwbc.ensemble._together import answer_in_chunks
from skwbc.ensemble._typicality import Chunks, as_tables, fits, p_values


def knows_its_space(ensemble: Any) -> bool:
    """Return whether the members have a space, which only fitted ones tell."""
    if hasattr(ensemble, "estimators_") and ensemble._typical is None:
        raise AttributeError(
            "The members of this ensemble do not describe samples by numbers between "
            "which distances mean something, or it was made by from_cross_validate or "
            "saved by an earlier version of skwbc; then fit it again."
        )
    return True


class KnowsTypicalSamples(PredictsInChunks):
    """Predictions, and which samples resemble the training samples."""

    @property
    def _appearance(self) -> dict[str, Any] | None:
        return appearance_of(self)

    def _typical_of_members(self, X: Any) -> dict[str, Any] | None:
        """Return `_typical` without members that were exchanged after the fit."""
        if self._typical is None:
            return None
        ((_, spaces),) = answer_in_chunks(self, X, only_space=True)
        references = [
            each if fits(each, as_tables(of_member)) else []
            for each, of_member in zip(self._typical["references"], spaces, strict=True)
        ]
        return self._typical | {"references": references} if any(references) else None

    def _over_spaces(
        self, score: Callable[[dict, list], np.ndarray | None], X: Any
    ) -> np.ndarray:
        chunks = answer_in_chunks(self, X, only_space=True)
        scores: list[Any] = [score(self._typical, spaces) for _, spaces in chunks]
        if any(each is None for each in scores):
            raise ValueError(
                "All members of this ensemble were exchanged after it was fitted, or "
                "it was saved by an earlier version of skwbc, so samples cannot be "
                "compared with its training samples. Fit it again."
            )
        return np.concatenate(scores)

    def _answer_in_chunks(self, X: Any, *, with_p: bool = False) -> Chunks:
        """Yield probabilities of the members, and p-values: always those of images."""
        check_is_fitted(self)
        typical = self._typical
        has_p = typical is not None and (with_p or typical["watched"])
        for proba, spaces in answer_in_chunks(self, X):
            p = p_values(typical, spaces) if has_p else None
            if has_p and p is None:
                p = np.full(proba.shape[1], np.nan)
            yield proba, p
