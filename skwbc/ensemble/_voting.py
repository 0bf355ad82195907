"""Classifiers that see different things, and whose probabilities are averaged."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
)

from skwbc._utils.labels import as_labels
from skwbc._utils.lazy_arrays import is_lazy
from skwbc._utils.sklearn_compat import (
    BaseComposition,
    CallbackSupportMixin,
    VisualBlock,
    fit_context,
    routing_enabled,
)
from skwbc._utils.versions import Stamped
from skwbc.ensemble._averaging import average_members, most_probable
from skwbc.ensemble._members import as_rows
from skwbc.ensemble._pipelines import takes_lazy_arrays
from skwbc.ensemble._together import predict_proba_together
from skwbc.ensemble._validation_set import (
    fit_member,
    takes_held_out_fold,
    takes_validation_weights,
)


class SoftVotingClassifier(
    Stamped, CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, BaseComposition
):
    """Fit several classifiers on the same samples and average their probabilities.

    It differs from scikit-learn's ``VotingClassifier(voting="soft")`` in what it hands
    on: the held-out fold that a :class:`~skwbc.KFoldEnsembleClassifier` gives its
    members goes to those classifiers that can watch one, sample weights reach the steps
    of pipelines, and images that are read when they are needed stay so.

    Parameters
    ----------
    estimators : list of (str, estimator) tuples
        Classifiers with ``predict_proba``, or pipelines that end in one, and their
        names. One that is set to "drop" is left out.
    weights : array-like of shape (n_estimators,), default=None
        What the probabilities of each count, 0 or more; None counts all the same.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted ones, without those that were dropped.
    named_estimators_ : dict
        The same by name.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of features, if the first estimator knows it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the first estimator knows them.

    See Also
    --------
    make_cell_classifier : Its default recipe has a network and colours vote.
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

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.estimators = estimators
        self.weights = weights

    @property
    def named_estimators(self) -> dict[str, Any]:
        """The parameter `estimators` as a dict by name."""
        return dict(self.estimators)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, also by the names of the estimators.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the estimators, and their parameters.

        Returns
        -------
        dict
            Parameter names mapped to their values.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of the estimators.

        Parameters
        ----------
        **params : dict
            Such as ``weights=[2, 1]``, ``name=estimator``, ``name="drop"`` or
            ``name__parameter=value``.

        Returns
        -------
        SoftVotingClassifier
            The classifier itself.
        """
        self._set_params("estimators", **params)
        return self

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
    ) -> Self:
        """Fit a clone of each estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Training data, of any kind that the estimators take.
        y : array-like of shape (n_samples,)
            Class labels, at least two different ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Given to all estimators, in pipelines to every step that takes it.
        X_val : array-like of shape (n_val, ...), default=None
            Validation data, for the estimators that take some. In a pipeline the steps
            before the last one transform it.
        y_val : array-like of shape (n_val,), default=None
            Their labels.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, for the estimators that take them.

        Returns
        -------
        SoftVotingClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If `estimators` or `weights` are not as described, or `y` has fewer than two
            classes.
        TypeError
            If sample weights are given and an estimator does not take any.
        """
        chosen = self._check_estimators()
        weights = self._check_weights()
        X = as_rows(X)
        check_consistent_length(X, y, sample_weight)
        y, self.classes_ = as_labels(y)
        validation = {
            name: value
            for name, value in (("X_val", X_val), ("y_val", y_val))
            if value is not None
        }
        context = self._init_callback_context(max_subtasks=len(chosen))
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self.estimators_ = []
        for name, estimator in chosen:
            member = clone(estimator)
            seen = _as_taken([member], X)
            params = {} if sample_weight is None else {"sample_weight": sample_weight}
            if takes_held_out_fold(member):
                params |= {n: _as_taken([member], v) for n, v in validation.items()}
                if sample_weight_val is not None and takes_validation_weights(member):
                    params["sample_weight_val"] = sample_weight_val
            task = context.subcontext(task_name=name)
            with task.propagate_callback_context(member) if task else nullcontext():
                task.call_on_fit_task_begin(estimator=self, X=seen, y=y)
                fit_member(member, seen, y, params, route=not routing_enabled())
            task.call_on_fit_task_end(estimator=self, X=seen, y=y)
            self.estimators_.append(member)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        self._weights = weights / weights.sum()
        names = [name for name, _ in chosen]
        self.named_estimators_ = dict(zip(names, self.estimators_, strict=True))
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimators_[0], name):
                setattr(self, name, getattr(self.estimators_[0], name))
            elif hasattr(self, name):  # Of an earlier fit.
                delattr(self, name)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the weighted mean of the estimators' class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self._predict_proba_together([self], X)[0]

    @staticmethod
    def _predict_proba_together(
        votes: "Sequence[SoftVotingClassifier]", X: Any
    ) -> list[np.ndarray]:
        """Return what several say of the same samples (see ``_together``)."""
        if len({len(vote.estimators_) for vote in votes}) > 1:
            return [vote.predict_proba(X) for vote in votes]
        seen = [
            predict_proba_together(members, _as_taken(members, X))
            for members in zip(*(vote.estimators_ for vote in votes), strict=True)
        ]
        return [
            vote._average(of_vote)
            for vote, of_vote in zip(votes, zip(*seen, strict=True), strict=True)
        ]

    def _average(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """Average what the estimators say, each of the classes that it knows."""
        parts = np.full((len(seen), len(seen[0]), len(self.classes_)), np.nan)
        for part, member, proba in zip(parts, self.estimators_, seen, strict=True):
            # Not known to one that leaves out samples of zero weight.
            part[:, np.searchsorted(self.classes_, member.classes_)] = proba
        return average_members(parts, self._weights)

    def predict(self, X: Any) -> np.ndarray:
        """Return the class with the highest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.

        Raises
        ------
        ValueError
            If no estimator has probabilities for a sample, but NaN.
        """
        return most_probable(self.predict_proba(X), self.classes_)

    def _sk_visual_block_(self):
        """Tell scikit-learn's diagrams that the estimators are side by side."""
        names, estimators = zip(*self.estimators, strict=True)
        return VisualBlock("parallel", estimators, names=names)

    def _takes_held_out_fold(self) -> bool:
        """Tell whether some estimator would watch a held-out fold."""
        return any(
            takes_held_out_fold(each) for _, each in self.estimators if _is_kept(each)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            inputs = [
                get_tags(each).input_tags
                for _, each in self.estimators
                if _is_kept(each)
            ]
        except (TypeError, ValueError, AttributeError):
            return tags  # That they are no list of estimators is for fit to say.
        for name in ("two_d_array", "allow_nan", "sparse"):
            setattr(tags.input_tags, name, all(getattr(each, name) for each in inputs))
        tags.input_tags.pairwise = any(each.pairwise for each in inputs)
        return tags

    def _check_estimators(self) -> list[tuple[str, Any]]:
        """Return names and estimators without those that were dropped."""
        try:
            pairs = [(name, each) for name, each in self.estimators]
            self._validate_names([name for name, _ in pairs])
        except (TypeError, ValueError) as error:
            raise ValueError(
                "estimators has to be a list of pairs of a name and a classifier, each "
                f"with a name of its own, got {self.estimators!r}. {error}"
            ) from error
        chosen = [(name, each) for name, each in pairs if _is_kept(each)]
        if not chosen:
            raise ValueError("estimators has to hold at least one classifier.")
        for name, each in chosen:
            if not (is_classifier(each) and hasattr(each, "predict_proba")):
                raise ValueError(
                    f"{name!r} is a {type(each).__name__}; expected a classifier with "
                    "predict_proba, or a pipeline that ends in one."
                )
        return chosen

    def _check_weights(self) -> np.ndarray:
        """Return the weights of the estimators that were not dropped."""
        kept = [_is_kept(each) for _, each in self.estimators]
        if self.weights is None:
            return np.ones(sum(kept))
        weights = np.asarray(self.weights, dtype=np.float64)
        if (
            weights.shape != (len(kept),)
            or not np.isfinite(weights).all()
            or (weights < 0).any()
            or not weights[kept].any()
        ):
            raise ValueError(
                f"weights={self.weights!r}: expected {len(kept)} numbers, one for each "
                "of the estimators, none negative and not all of them zero."
            )
        return weights[kept]


def _is_kept(estimator: Any) -> bool:
    return not (isinstance(estimator, str) and estimator == "drop")


def _as_taken(estimators: Sequence[Any], X: Any) -> Any:
    """Return `X` as an array in memory if that is all that some estimator takes."""
    if is_lazy(X) and not all(map(takes_lazy_arrays, estimators)):
        return np.asarray(X)
    return X
