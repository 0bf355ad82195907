"""The predictions of a fold ensemble and of its ONNX file. Only NumPy is loaded."""

from typing import Any

import numpy as np

from skwbc.ensemble._averaging import MeanOfMembers, average_members, join_means
from skwbc.ensemble._conformal import prediction_sets
from skwbc.ensemble._typicality import Chunks, watched


class PredictsInChunks(MeanOfMembers):
    """Mixin for ensembles whose ``_answer_in_chunks`` yields what members predict."""

    known_classes_: Any
    # See ``_typicality``; None if the members have no space.
    _typical: Any = None

    def _answer_in_chunks(self, X: Any, *, with_p: bool = False) -> Chunks:
        """Yield probabilities of the members, and p-values: always those of images."""
        raise NotImplementedError

    def _watched_chunks(self, X: Any, *, with_p: bool = False) -> Chunks:
        """Yield the same; in the end warn of unlike images."""
        return watched(self._answer_in_chunks(X, with_p=with_p), self._typical)

    def predict_proba_members(self, X: Any) -> np.ndarray:
        """Return the class probabilities of every member.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_members, n_samples, n_classes)
            In the order of `classes_`; 0 for a class that a member was not trained on
            (see `known_classes_`). NaN for a member without probabilities for the
            sample, because its training diverged.
        """
        chunks = self._watched_chunks(X)
        return np.concatenate([proba for proba, _ in chunks], axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean of the members' class probabilities.

        A class that some members were not trained on is averaged over the others, and
        the row is scaled to sum to one.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError
            If no member has probabilities for some sample: their training diverged.

        Warns
        -----
        UserWarning
            If members predict NaN. They are left out of the mean.
        """
        return join_means(
            (average_members(proba, self.known_classes_), proba)
            for proba, _ in self._watched_chunks(X)
        )

    def predict_set(
        self, X: Any, coverage: float = 0.9, *, empty_if_unlike: bool = False
    ) -> np.ndarray:
        """Return the set of classes that each sample may have.

        A set of several classes means that the ensemble cannot tell them apart for this
        sample; an empty set means that every class would be unusual for it. These are
        cross-conformal prediction sets [1]_ [2]_: a class is left out if fewer than
        ``1 - coverage`` of the held-out samples had such a low probability of their
        true class, predicted by the member that was not trained on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.
        coverage : float, default=0.9
            Fraction of samples whose set should hold the true class, above 0 and below
            1. With fewer than ``coverage / (1 - coverage)`` held-out samples (9 for
            0.9) every set holds all classes.
        empty_if_unlike : bool, default=False
            Whether samples get the empty set that are unlike the training samples:
            their :meth:`typicality` is below 0.05.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), bool
            Whether a class is in the set, in the order of `classes_`.

        Raises
        ------
        ValueError
            If `coverage` is out of range, the ensemble has no held-out probabilities
            because it comes from ``from_cross_validate``, or it has no
            :meth:`typicality` for `empty_if_unlike`.

        Notes
        -----
        Coverage is the fraction over new samples that are drawn like the training
        samples, of all classes together: a rare class may be covered less. The proven
        bound is ``2 * coverage - 1``, less a term that falls with the number of samples
        per fold [2]_; in practice coverage is close to `coverage`. If the held-out
        folds stopped the training, the sets are a little too small.

        References
        ----------
        .. [1] V. Vovk. "Cross-conformal predictors." Annals of Mathematics and
           Artificial Intelligence 74, 2015.
        .. [2] Y. Romano, M. Sesia, E. Candès. "Classification with valid and adaptive
           coverage." NeurIPS 2020.
        """
        chunks = self._watched_chunks(X, with_p=empty_if_unlike)
        return prediction_sets(self, chunks, coverage, empty_if_unlike=empty_if_unlike)
