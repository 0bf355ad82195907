"""Comparing samples with the training samples of an ensemble."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skwbc.ensemble._in_chunks import PredictsInChunks
from skwbc.ensemble._parts import appearance_of
from skwbc.ensemble._together import answer_in_chunks
from skwbc.ensemble._typicality import (
    Chunks,
    as_tables,
    fits,
    mean_strangeness,
    p_values,
)


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

    @available_if(knows_its_space)
    def typicality(self, X: Any) -> np.ndarray:
        """Return p-values of the hypothesis that samples resemble the training samples.

        If samples are drawn like the training samples, a fraction of about `p` of them
        has a p-value of at most `p`. A small one, below 0.05 by convention, means that
        a sample is unlike the training samples, and its prediction is unreliable: an
        image of another laboratory, or one that was read wrong. These are
        cross-conformal p-values [1]_: each member compares the sample with the samples
        that were held out from it, so no samples are given up for it.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            New samples, as given to ``fit``. Training samples get larger p-values than
            new ones, because all members but one were trained on them, as with
            ``LocalOutlierFactor(novelty=True)``; theirs are in `oof_typicality_`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Above 0, at most 1. The smallest possible one is 1 / (n_training + 1), so
            with fewer than 20 training samples none is below 0.05.

        Raises
        ------
        AttributeError
            If members have no space in which distances mean something, see the notes,
            or the ensemble was made by :meth:`from_cross_validate`.

        Notes
        -----
        :class:`~skwbc.ImageAugmenter` describes where images are dark or coloured, and
        how strong their details are; :class:`~skwbc.CNNClassifier` describes them by
        the input of its last layer, the mean over the views that it averages. Any other
        classifier describes a sample by the numbers that it is given behind the steps
        of a pipeline; sparse matrices, kernels, texts and columns of other types do not
        count. A vote takes the descriptions of all its classifiers, and a
        ``FeatureUnion`` those of each :class:`~skwbc.NetworkFeatures` and
        :class:`~skwbc.ColourStatistics` in it. Features are standardised. For each
        description a member measures the mean distance of a sample to the three nearest
        of at most 2,000 training samples on 20 principal components, and what these
        leave over; each is put on the scale of the held-out samples, and the largest
        one counts.

        References
        ----------
        .. [1] S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia. "Testing for outliers
           with conformal p-values." Annals of Statistics 51, 2023.
        """
        check_is_fitted(self)
        return self._over_spaces(p_values, X)

    @available_if(knows_its_space)
    def score_samples(self, X: Any) -> np.ndarray:
        """Return how close samples are to the training samples: higher is closer.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            The opposite of the score that :meth:`typicality` compares, averaged over
            the members. Each of several distances is put on a scale on which 0 is the
            median of the held-out samples and 5 % of them exceed 1; the largest counts.
        """
        check_is_fitted(self)
        return -self._over_spaces(mean_strangeness, X)

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
        typical = self._typical
        has_p = typical is not None and (with_p or typical["watched"])
        for proba, spaces in answer_in_chunks(self, X):
            p = p_values(typical, spaces) if has_p else None
            if has_p and p is None:
                p = np.full(proba.shape[1], np.nan)
            yield proba, p

    def _watched_chunks(self, X: Any, *, with_p: bool = False) -> Chunks:
        """Yield the same for a fitted ensemble; in the end warn of unlike images."""
        check_is_fitted(self)
        return super()._watched_chunks(X, with_p=with_p)
