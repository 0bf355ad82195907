"""Soft voting that hands on a validation set."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, process_routing
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.fitting import store_fitted
from skwbc._utils.labels import as_labels
from skwbc._utils.lazy_arrays import is_lazy, without_tensors
from skwbc._utils.probabilities import lacks_probabilities
from skwbc._utils.progress import subtask, task
from skwbc._utils.sklearn_compat import (
    CallbackSupportMixin,
    callback_context,
    fit_context,
    routing_enabled,
)
from skwbc._utils.versions import Stamped
from skwbc.ensemble._averaging import (
    MeanOfMembers,
    average_members,
    describe_missing,
    find_known_classes,
    nested_prediction,
    stack_members,
)
from skwbc.ensemble._fit_params import (
    as_entries,
    shareable,
    with_own_requests,
    without_missing,
)
from skwbc.ensemble._parts import (
    check_predicts_proba,
    takes_held_out_fold,
    takes_lazy_arrays,
)
from skwbc.ensemble._together import answer_together, as_rows, join_spaces
from skwbc.ensemble._validation_set import (
    HELD_OUT,
    divided_weights,
    fit_member,
    validation_params,
)


class SoftVotingClassifier(
    Stamped, CallbackSupportMixin, MeanOfMembers, VotingClassifier
):
    """Fit several classifiers on the same samples and average their probabilities.

    A ``VotingClassifier(voting="soft")`` of scikit-learn that differs in what it hands
    on to its classifiers: those that can use a validation set get the held-out fold
    that :class:`~skwbc.KFoldEnsembleClassifier` gives to its members, sample weights
    reach the steps of pipelines, labels are not encoded, and images that are read on
    demand are not loaded in advance.

    Parameters
    ----------
    estimators : list of (str, estimator) tuples
        Names and classifiers with ``predict_proba``, at the latest when they are
        fitted, or pipelines that end in one. A classifier that is set to "drop" is left
        out.
    weights : array-like of shape (n_estimators,), default=None
        Weight of each classifier in the mean, 0 or more. None weights all equally.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted classifiers, without those that were dropped.
    named_estimators_ : dict
        The fitted classifiers by name.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features, if the first classifier has this attribute.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the first classifier has this attribute.

    See Also
    --------
    make_cell_classifier : Its default recipe is a vote of a network and of colours.
    sklearn.ensemble.VotingClassifier : The same without a validation set.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skwbc import KFoldEnsembleClassifier, SoftVotingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> member = SoftVotingClassifier(
    ...     [
    ...         ("trees", HistGradientBoostingClassifier(early_stopping=True)),
    ...         ("linear", LogisticRegression(max_iter=500)),
    ...     ],
    ...     weights=[2, 1],
    ... )
    >>> ensemble = KFoldEnsembleClassifier(member, random_state=0).fit(X, y)
    >>> ensemble.predict_proba(X[:2]).shape
    (2, 3)
    """

    __module__ = "skwbc"  # where pickles look for it

    _parameter_constraints: dict = {
        "estimators": [list],
        "weights": ["array-like", None],
    }
    _takes_lazy_arrays = True
    # The methods of VotingClassifier read these. It offers no public way to change what
    # its estimators are fitted on, so `fit` is written anew; from its private methods
    # this class uses `_validate_estimators` and overrides `_collect_probas`, which
    # `transform` calls.
    voting = "soft"
    flatten_transform = True
    # `fit` hands these on and consumes nothing, so there is no `set_fit_request`.
    __metadata_request__fit = dict.fromkeys(("sample_weight", *HELD_OUT), UNUSED)

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.estimators = estimators
        self.weights = weights

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Fit a clone of each classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Training data of any kind that the classifiers take.
        y : array-like of shape (n_samples,)
            Class labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights for each classifier; in a pipeline for every step that takes
            them.
        X_val : array-like of shape (n_val, ...), default=None
            Validation samples for the classifiers whose ``fit`` has `X_val` and
            `y_val`. In a pipeline the fitted steps before the last one transform them.
        y_val : array-like of shape (n_val,), default=None
            Labels of the validation samples.
        sample_weight_val : array-like of shape (n_val,) or dict, default=None
            Weights of the validation samples, for the classifiers that take them. With
            metadata routing enabled, only those get them that request `sample_weight`;
            if they request it under several names, a dict has the weights by name.
        **fit_params : dict
            Further parameters for ``fit`` of each classifier. With metadata routing
            enabled they and `sample_weight` follow the requests of the classifiers.

        Returns
        -------
        SoftVotingClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If `estimators` or `weights` are invalid, a fitted classifier has no
            ``predict_proba``, or `y` has fewer than two classes.
        TypeError
            If a classifier does not take one of the parameters, one of them is an
            iterator, or `sample_weight` is not an array.
        """
        chosen = self._check_estimators()
        weights = self._check_weights()
        sample_weight = as_entries("sample_weight", sample_weight)
        fit_params = shareable(fit_params)
        params_by_name = self._route({"sample_weight": sample_weight, **fit_params})
        route = not routing_enabled()
        X = as_rows(X)
        y = without_tensors(y)
        check_consistent_length(X, y, sample_weight)
        y, classes = as_labels(y)
        X_val, y_val, sample_weight_val = map(
            without_tensors, (X_val, y_val, sample_weight_val)
        )
        context = callback_context(self, len(chosen))
        with task(self, context, X=X, y=y):
            members = Bunch()
            for name, estimator in chosen:
                members[name] = member = clone(estimator)
                params = params_by_name[name] | validation_params(
                    member,
                    X_val=_as_taken([member], X_val),
                    y_val=y_val,
                    sample_weight_val=divided_weights(
                        member, sample_weight_val, route=route
                    ),
                )
                samples = _as_taken([member], X)
                with task(self, subtask(context, name), member, X=samples, y=y):
                    fit_member(member, samples, y, params, route=route)
                check_predicts_proba(name, member, fitted=True)
        store_fitted(
            self,
            estimators_=list(members.values()),
            named_estimators_=members,
            classes_=classes,
            _weights=weights,
        )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the weighted mean of the classifiers' class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. A classifier that predicts NaN, because its
            training diverged, is left out for those samples; NaN if all are.

        Warns
        -----
        UserWarning
            If classifiers are left out.
        """
        check_is_fitted(self)
        return self._average(self._collect_probas(X))

    def _collect_probas(self, X: Any) -> np.ndarray:
        X = without_tensors(X)
        with nested_prediction():
            probas = [
                each.predict_proba(_as_taken([each], X)) for each in self.estimators_
            ]
        return stack_members(self.estimators_, probas, self.classes_)

    @staticmethod
    def _answer_together(
        votes: "Sequence[SoftVotingClassifier]", X: Any, only_space: bool
    ) -> list[tuple[np.ndarray | None, list[Any]]]:
        """Return probabilities and spaces of several votes (see ``_together``)."""
        if len({len(vote.estimators_) for vote in votes}) > 1:
            return [
                SoftVotingClassifier._answer_together([vote], X, only_space)[0]
                for vote in votes
            ]
        by_estimator = [
            answer_together(members, _as_taken(members, X), only_space=only_space)
            for members in zip(*(vote.estimators_ for vote in votes), strict=True)
        ]
        answers = []
        for vote, parts in zip(votes, zip(*by_estimator, strict=True), strict=True):
            probas, spaces = zip(*parts, strict=True)
            proba = None
            if not only_space:
                stacked = stack_members(vote.estimators_, probas, vote.classes_)
                proba = vote._average(stacked)
            answers.append((proba, join_spaces(spaces)))
        return answers

    def _average(self, probas: np.ndarray) -> np.ndarray:
        """Average probabilities, and warn of classifiers that predict NaN."""
        # A classifier of weight 0 changes nothing, whatever it predicts.
        missing = {
            name: row
            for name, row, weight in zip(
                self.named_estimators_,
                lacks_probabilities(probas),
                self._weights,
                strict=True,
            )
            if weight
        }
        if listing := describe_missing(missing):
            warnings.warn(
                f"Classifiers of a vote that predict NaN are left out of the mean: "
                f"{listing}. Their training may have diverged: check the warnings of "
                "fit, and fit again.",
                stacklevel=3,
            )
        mask = find_known_classes(self.estimators_, self.classes_)
        return average_members(probas, mask, self._weights)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where ``fit`` parameters go when metadata routing is enabled.

        Returns
        -------
        MetadataRouter
            Routes to ``fit`` of the classifiers. The vote itself requests what
            ``set_score_request`` has set.
        """
        return with_own_requests(super().get_metadata_routing(), self)

    def _takes_held_out_fold(self) -> bool:
        """Return whether some classifier can use a validation set."""
        return any(takes_held_out_fold(each) for _, each in self._kept())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # `fit` reports invalid `estimators`.
        with suppress(TypeError, ValueError, AttributeError):
            inputs = [get_tags(each).input_tags for _, each in self._kept()]
            tags.input_tags.two_d_array = all(each.two_d_array for each in inputs)
            tags.input_tags.pairwise = any(each.pairwise for each in inputs)
        return tags

    def _kept(self) -> list[tuple[str, Any]]:
        """Return names and classifiers without those that were dropped."""
        return [(name, each) for name, each in self.estimators if each != "drop"]

    def _check_estimators(self) -> list[tuple[str, Any]]:
        self._validate_estimators()
        for name, each in self._kept():
            check_predicts_proba(name, each, fitted=False)
        return self._kept()

    def _check_weights(self) -> np.ndarray:
        """Return the weights of the classifiers that were not dropped, as fractions."""
        kept = [each != "drop" for _, each in self.estimators]
        weights = np.ones(len(kept))
        if self.weights is not None:
            weights = np.asarray(self.weights, dtype=float)
        valid = weights.shape == (len(kept),) and (weights >= 0).all()
        if not (valid and 0 < weights[kept].sum() < np.inf):
            raise ValueError(
                f"weights={self.weights!r}: expected {len(kept)} numbers, one per "
                "estimator, none of them negative and not all of them zero."
            )
        return weights[kept] / weights[kept].sum()

    def _route(self, params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the ``fit`` parameters of each classifier, by its name."""
        params = without_missing(params)
        if not routing_enabled():
            return {name: params for name, _ in self.estimators}
        routed = process_routing(self, "fit", **params)
        return {name: routed[name].fit for name, _ in self.estimators}


def _as_taken(estimators: Sequence[Any], X: Any) -> Any:
    """Return `X` as an array in memory if some estimator takes nothing else."""
    if is_lazy(X) and not all(map(takes_lazy_arrays, estimators)):
        return np.asarray(X)
    return X
