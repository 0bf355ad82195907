"""The fold ensemble: one clone of a classifier per cross-validation fold."""

import copy
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import delayed
from sklearn.utils.validation import check_consistent_length, has_fit_parameter

from skwbc._utils.fitting import store_fitted
from skwbc._utils.labels import as_labels, refuse_missing
from skwbc._utils.lazy_arrays import without_tensors
from skwbc._utils.parameters import NamesParameters
from skwbc._utils.progress import report, subtask, task
from skwbc._utils.random import MAX_SEED, seed_nested_estimators
from skwbc._utils.sklearn_compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    callback_context,
    fit_context,
    routing_enabled,
)
from skwbc._utils.versions import Stamped
from skwbc.ensemble._averaging import average_members, find_known_classes, join_means
from skwbc.ensemble._cache import resumable_fits
from skwbc.ensemble._conformal import true_class_proba
from skwbc.ensemble._fit_params import (
    as_entries,
    shareable,
    with_own_requests,
    without_missing,
)
from skwbc.ensemble._folds import Split, decide_splits, routed_splitter
from skwbc.ensemble._held_out import held_out_confusion, score_held_out
from skwbc.ensemble._members import FittedFold, take_fitted
from skwbc.ensemble._overlap import fingerprints
from skwbc.ensemble._parallel import run_in_order
from skwbc.ensemble._parts import (
    check_predicts_proba,
    final_step,
    takes_held_out_fold,
    watchers_of,
)
from skwbc.ensemble._together import answer_in_chunks, as_rows, join_spaces
from skwbc.ensemble._typical_samples import KnowsTypicalSamples
from skwbc.ensemble._typicality import as_tables, gather_typical
from skwbc.ensemble._validation_set import HELD_OUT


class KFoldEnsembleClassifier(
    Stamped,
    NamesParameters,
    CallbackSupportMixin,
    KnowsTypicalSamples,
    MetaEstimatorMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Fit one clone of a classifier per fold and average their probabilities.

    Each member is trained on all folds but one. A member that can use a validation
    set, for early stopping for instance, gets the fold that was held out from it.
    Predictions are the mean of the members' ``predict_proba`` [1]_.

    Parameters
    ----------
    estimator : estimator
        The classifier to clone, or a pipeline that ends in one, of scikit-learn or
        imbalanced-learn. It needs ``predict_proba``, at the latest when it is fitted.
    cv : int, cross-validation generator or iterable, default=5
        The folds. An int is a number of stratified, shuffled folds, seeded by
        `random_state`; they keep groups together if `groups` is passed to ``fit``. A
        class may have fewer samples than folds. Without groups every member is trained
        on every class, and a class of a single sample is never held out.
        `random_state` also seeds a splitter whose own ``random_state`` is None. An
        iterable yields ``(train, held_out)`` pairs of indices.
    validation : "auto" or bool, default="auto"
        Whether members use their held-out fold as a validation set. With "auto" they do
        if ``fit`` of the classifier, or of the last step of the pipeline, has the
        parameters `X_val` and `y_val`, as in :class:`~skwbc.CNNClassifier` and
        scikit-learn's ``HistGradientBoostingClassifier``. The other steps of a pipeline
        are fitted without that fold and only transform it. True raises an error for a
        classifier that does not take the fold, or ignores it, as gradient boosting
        does with few samples and ``early_stopping="auto"``; False never passes it.
    scoring : str, callable or None, default=None
        Metric of `oof_score_` and `fold_scores_`, as in scikit-learn's model selection;
        None is accuracy.
    n_jobs : int, default=None
        Number of members to fit in parallel. None means 1 unless in a
        ``joblib.parallel_config`` context, -1 means all processors. Networks are
        trained in threads unless a backend is chosen there, with -1 all at once; not
        with joblib's backend "multiprocessing".
    memory : str, path-like or joblib.Memory, default=None
        Folder for finished members. If a fit is killed and started again with the same
        data, parameters and `random_state`, it continues after the members that were
        finished. A member is trained anew after any change of these, of the code of
        your functions and classes among the parameters and of what they use, of
        files (their size or time), and of versions of libraries; also if its file is
        damaged. The folder must be writable for you only, because its files are
        pickles. A ``joblib.Memory`` is used as it is, by joblib's rules: functions
        count by name, and images of a lazy folder by file name, so edits of either go
        unnoticed, and neither damage nor the owner of a file is checked.
    n_restarts : int, default=0
        Maximum number of times to train a member again, with other seeds, if it does no
        better on its held-out fold than guessing its most frequent class. The most
        accurate attempt is kept. As the held-out fold chose it, its score is a little
        more optimistic. Members without a ``random_state`` are not trained again: they
        would fail in the same way.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds and every ``random_state`` parameter inside `estimator`,
        differently for each member. With None the members keep the ``random_state`` of
        `estimator`, and the folds differ from fit to fit.
    verbose : int, default=0
        With 1 or more, print one line per fitted member.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted members, one per split.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    known_classes_ : ndarray of shape (n_members, n_classes), bool
        Mask of the classes that each member was trained on.
    splits_ : list of (ndarray, ndarray)
        Training and held-out indices of each member.
    oof_proba_ : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities: those of the members that were not trained on the
        sample, averaged if there are several. NaN for a sample without any: it was
        never held out, or the training of those members diverged.
    oof_typicality_ : ndarray of shape (n_samples,)
        What :meth:`typicality` would return for each training sample if it were new:
        the members that were not trained on it compare it with the other held-out
        samples. Absent if the members have no space to compare samples in.
    oof_score_ : float
        Score of `oof_proba_` over the samples that were held out. A sample without
        probabilities counts as wrong: all of its probability is given to other classes.
        **Optimistic if the held-out folds stopped the training** or chose the epoch,
        because the weights that they chose are then scored on them. For an honest
        estimate, run ``cross_val_score(ensemble, X, y)``.
    fold_scores_ : ndarray of shape (n_splits,)
        Score of each member on its held-out fold; as optimistic as `oof_score_`. NaN
        if it cannot be computed, for instance in a fold of one class.
    n_restarts_ : list of int
        How often each member was trained again.
    n_features_in_ : int
        Number of features, if the members have this attribute.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the members have this attribute.

    Notes
    -----
    `oof_score_` scores single members, and their mean predicts better; on the other
    hand it is optimistic if the held-out folds chose the weights. The default recipe of
    :func:`make_cell_classifier` does not let its folds choose anything. On 76 real
    cells of three classes its `oof_score_` is 0.829, and the mean of
    ``cross_val_score(ensemble, X, y, cv=5)`` is 0.870 (folds from 0.75 to 1.00). The
    latter estimates the accuracy on new cells.

    The result does not depend on `n_jobs`, down to the last bit, and for members from
    scikit-learn not on the backend of joblib either. Networks need equal numbers of
    threads for that: otherwise the last bits of sums differ, and training amplifies the
    difference. In joblib's workers each has one thread. Elsewhere the number is that of
    TensorFlow in the process: one per core, unless ``TF_NUM_INTRAOP_THREADS`` is set
    before it starts.

    See Also
    --------
    make_cell_classifier : A ready-made ensemble for cell images.
    sklearn.ensemble.BaggingClassifier : Members trained on bootstrap samples.

    References
    ----------
    .. [1] A. Krogh, J. Vedelsby. "Neural network ensembles, cross validation, and
       active learning." Advances in Neural Information Processing Systems 7, 1995.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skwbc import KFoldEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500), cv=5,
    ...                                    random_state=0).fit(X, y)
    >>> len(ensemble.estimators_)
    5
    >>> ensemble.predict_proba(X[:2]).shape
    (2, 3)
    """

    __module__ = "skwbc"  # where pickles look for it

    _parameter_constraints: dict = {
        "estimator": [HasMethods("fit")],
        "cv": ["cv_object"],
        "validation": [StrOptions({"auto"}), "boolean"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_jobs": [Integral, None],
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # `fit` hands these on and consumes nothing, so there is no `set_fit_request`.
    __metadata_request__fit = {"sample_weight": UNUSED, "groups": UNUSED}

    def __init__(
        self,
        estimator,
        *,
        cv=5,
        validation="auto",
        scoring=None,
        n_jobs=None,
        memory=None,
        n_restarts=0,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.cv = cv
        self.validation = validation
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.memory = memory
        self.n_restarts = n_restarts
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Fit one member per fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Training data of any kind that the members take. It is indexed by fold, but
            neither converted nor validated here.
        y : array-like of shape (n_samples,)
            Class labels of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. They are sliced by fold and passed to ``fit`` of the
            members; in a pipeline to every step that takes them.
        groups : array-like of shape (n_samples,), default=None
            Groups of samples, for instance patients, for the splitter.
        **fit_params : dict
            Further parameters for ``fit`` of the members. Those with `n_samples`
            entries are sliced by fold. With metadata routing enabled they follow the
            requests of members, splitter and scorer.

        Returns
        -------
        KFoldEnsembleClassifier
            The ensemble itself.

        Raises
        ------
        ValueError
            If `y` has fewer than two classes, there are fewer samples or groups than
            `cv` folds, a split is empty, overlaps itself or has only one class to train
            on, a member has classes that are not in `y` or no ``predict_proba``,
            `validation` is True and the members do not use a validation set, or
            networks were to be trained with the backend "multiprocessing" of joblib.
        TypeError
            If a validation set is passed although members use their held-out fold, a
            parameter is an iterator, or `sample_weight` or `groups` is not an array.
        PermissionError
            If other users can write to the folder `memory`.
        Exception
            Any exception of a member, with a note that names the fold.

        Warns
        -----
        ConvergenceWarning
            If a member does no better on its held-out fold than guessing the most
            frequent class, after `n_restarts`.
        UserWarning
            If `cv` is an int and a class has fewer samples than folds, if members were
            not trained on some class, or if a file in `memory` cannot be used or
            written.

        Notes
        -----
        A fit that fails or is interrupted leaves the ensemble as it was.
        """
        check_predicts_proba("estimator", self.estimator, fitted=False)
        X = as_rows(X)
        y = without_tensors(y)
        sample_weight = as_entries("sample_weight", sample_weight)
        if groups is not None:
            refuse_missing("groups", groups, "group")
        groups = as_entries("groups", groups)
        fit_params = shareable(fit_params)
        check_consistent_length(X, y, groups, sample_weight)
        y, classes = as_labels(y)
        watch = self._members_watch_their_fold()
        if watch and (held_out := sorted(HELD_OUT & fit_params.keys())):
            raise TypeError(
                f"fit was given {held_out}, but each member is given the fold that was "
                "held out from it. Set validation=False to pass the same to all."
            )
        member_params, split_params, score_params = self._route(
            {"sample_weight": sample_weight, "groups": groups, **fit_params}
        )
        seeds = [None, None]
        if self.random_state is not None:
            seeds = check_random_state(self.random_state).randint(MAX_SEED, size=2)
        splits = decide_splits(self.cv, X, y, seeds[0], split_params)
        context = callback_context(self, len(splits))
        with task(self, context, X=X, y=y):
            folds = self._fit_folds(
                X, y, splits, member_params, seeds[1], watch, context
            )
            oof_proba, oof_score, fold_scores = score_held_out(
                folds,
                splits,
                classes,
                X,
                y,
                scoring=self.scoring,
                params=score_params,
            )
        store_fitted(
            self,
            drop=("oof_typicality_",),
            estimators_=[fold.member for fold in folds],
            classes_=classes,
            splits_=splits,
            oof_proba_=oof_proba,
            oof_score_=oof_score,
            fold_scores_=fold_scores,
            n_restarts_=[fold.n_restarts for fold in folds],
            # In the order of `splits_`; prediction sets are made from it.
            _held_out_true_proba=true_class_proba(folds, splits, y),
            # Counts of cells in fields are adjusted by it.
            _confusion=held_out_confusion(oof_proba, classes, y),
            # For tables the price of a warning would be too high: their classifiers
            # predict faster than distances are computed.
            **gather_typical(folds, splits, len(y), watched=getattr(X, "ndim", 2) > 2),
            _fingerprints=fingerprints(X),
        )
        return self

    def _fit_folds(
        self,
        X: Any,
        y: np.ndarray,
        splits: list[Split],
        params: dict[str, Any],
        seed: int | None,
        watch: bool,
        context: Any,
    ) -> list[FittedFold]:
        """Fit one member per split."""
        members = [clone(self.estimator) for _ in splits]
        restart_seeds: list[int | None] = [None for _ in members]
        if seed is not None:
            member_state = np.random.RandomState(seed)
            for member in members:
                seed_nested_estimators(member, member_state)
            restart_seeds = member_state.randint(MAX_SEED, size=len(members)).tolist()
        # In advance: adding a subtask while joblib pickles the ensemble would fail.
        subtasks = [subtask(context, "fold") for _ in members]
        shared = {
            "X": X,
            "y": y,
            "params": params,
            "watch": watch,
            "route": not routing_enabled(),
            "n_folds": len(members),
            "n_restarts": self.n_restarts,
            "owner": context and self,
        }
        own = ("fold", "member", "split", "restart_seed", "context")
        numbers = range(1, len(members) + 1)
        by_fold = zip(numbers, members, splits, restart_seeds, subtasks, strict=True)
        calls = [shared | dict(zip(own, each, strict=True)) for each in by_fold]
        fits = resumable_fits(self.memory, calls)
        jobs = [delayed(fit)(**call) for fit, call in zip(fits, calls, strict=True)]
        folds: list[FittedFold] = []
        for fitted in run_in_order(jobs, self.n_jobs, self.estimator):
            if self.validation is True and not any(watchers_of(fitted.member)):
                raise ValueError(
                    "validation=True, but the fitted member did not use its held-out "
                    'fold: gradient boosting with early_stopping="auto" ignores it if '
                    "there are few samples. Set early_stopping=True, or use "
                    "validation='auto'."
                )
            folds.append(fitted)
            self._report(len(folds), fitted, splits, y)
        return folds

    @property
    def known_classes_(self) -> np.ndarray:
        return find_known_classes(self.estimators_, self.classes_)

    @staticmethod
    def _answer_together(
        ensembles: "Sequence[KFoldEnsembleClassifier]", X: Any, only_space: bool
    ) -> list[tuple[np.ndarray | None, list[Any]]]:
        """Return probabilities and spaces of ensembles that are members themselves."""
        return [ensemble._answer(X, only_space) for ensemble in ensembles]

    def _answer(self, X: Any, only_space: bool) -> tuple[np.ndarray | None, list[Any]]:
        chunks = list(answer_in_chunks(self, X, only_space=only_space))
        by_chunk = [as_tables(join_spaces(spaces)) for _, spaces in chunks]
        spaces: list[Any] = [
            np.concatenate(all_) for all_ in zip(*by_chunk, strict=True)
        ]
        if only_space:
            return None, spaces
        mask = self.known_classes_
        means = ((average_members(proba, mask), proba) for proba, _ in chunks)
        return join_means(means), spaces

    @classmethod
    def from_cross_validate(cls, results: Mapping[str, Any]) -> Self:
        """Make an ensemble of the estimators that ``cross_validate`` has fitted.

        They are not fitted again, so there are no out-of-fold probabilities and scores.
        `cv` stays at its default; `splits_` has the folds of `results`.

        Parameters
        ----------
        results : mapping
            Return value of ``cross_validate(..., return_estimator=True)`` for a
            classifier. With ``return_indices=True`` the ensemble has `splits_`.

        Returns
        -------
        KFoldEnsembleClassifier
            Fitted: it predicts the mean of these estimators.

        Raises
        ------
        ValueError
            If `results` has no estimators, or they are not classifiers with
            ``predict_proba``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import cross_validate
        >>> from skwbc import KFoldEnsembleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> results = cross_validate(LogisticRegression(max_iter=500), X, y,
        ...                          return_estimator=True)
        >>> KFoldEnsembleClassifier.from_cross_validate(results).predict(X[:2])
        array([0, 0])
        """
        members, splits = take_fitted(results)
        ensemble = cls(clone(members[0]))
        ensemble.estimators_ = members
        ensemble.classes_ = np.unique(np.concatenate([m.classes_ for m in members]))
        if splits is not None:
            ensemble.splits_ = splits
        return ensemble

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where ``fit`` parameters go when metadata routing is enabled.

        Returns
        -------
        MetadataRouter
            Routes to `estimator` (its ``fit``), to the splitter (its ``split``) and to
            the scorer (its ``score``), if there is one. The ensemble itself requests
            what ``set_score_request`` has set.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        router = (
            MetadataRouter(owner=self)
            .add(estimator=self.estimator, method_mapping=to_fit)
            .add(splitter=routed_splitter(self.cv), method_mapping=to_split)
        )
        if self.scoring is not None:
            to_score = MethodMapping().add(caller="fit", callee="score")
            scorer = get_scorer(self.scoring)
            router.add(scorer=scorer, method_mapping=to_score)
        return with_own_requests(router, self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = copy.deepcopy(get_tags(self.estimator).input_tags)
        return tags

    def _members_watch_their_fold(self) -> bool:
        able = takes_held_out_fold(self.estimator)
        if self.validation is True and not able:
            raise ValueError(
                "validation=True, but `fit` of the estimator (or of the last step of "
                "the pipeline) has no parameters `X_val` and `y_val`, or would ignore "
                "them (early_stopping=False). Use validation='auto', or an estimator "
                "that takes a validation set."
            )
        return able and self.validation is not False

    def _route(self, params: dict[str, Any]) -> tuple[dict, dict, dict]:
        """Divide ``fit`` parameters among members, splitter and scorer."""
        params = without_missing(params)
        if not routing_enabled():
            groups = params.pop("groups", None)
            if groups is None:
                return params, {}, {}
            # Ensembles inside an ensemble keep groups together, too.
            if has_fit_parameter(final_step(self.estimator), "groups"):
                params["groups"] = groups
            return params, {"groups": groups}, {}
        routed = process_routing(self, "fit", **params)
        score = {} if self.scoring is None else dict(routed.scorer.score)
        return dict(routed.estimator.fit), dict(routed.splitter.split), score

    def _report(
        self, fold: int, fitted: FittedFold, splits: list[Split], y: np.ndarray
    ) -> None:
        """Report that a fold is finished."""
        n_folds = len(splits)
        held_out = splits[fold - 1][1]
        score = fitted.accuracy(y[held_out])
        report("fold_finished", fold=fold, n_folds=n_folds, score=score)
        if self.verbose:
            print(
                f"[KFoldEnsembleClassifier] fold {fold} of {n_folds}: held-out "
                f"accuracy {score:.3f}, {fitted.seconds:.1f} s"
                f"{fitted.describe_restarts()}",
                flush=True,
            )
