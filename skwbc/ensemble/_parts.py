"""Look into estimators: their steps, members and networks, and what they take.

Everything that walks through pipelines and votes is here. Networks are found by what
they offer, so Keras is not imported.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import has_fit_parameter


def steps_of(pipeline: Pipeline) -> list[Any]:
    """Return the steps of a pipeline that act on samples after ``fit``.

    Left out are those that only pass samples through, and the samplers of
    imbalanced-learn, which change the training samples in ``fit`` and nothing else.
    """
    return [step for step in _steps_in_fit(pipeline) if not is_sampler(step)]


def _steps_in_fit(pipeline: Pipeline) -> list[Any]:
    steps = [step for _, step in pipeline.steps]
    return [step for step in steps if step is not None and step != "passthrough"]


def transformers_of(union: FeatureUnion) -> list[Any]:
    """Return the transformers of a union, without those that were dropped."""
    return [each for _, each in union.transformer_list if each != "drop"]


def is_sampler(step: Any) -> bool:
    """Return whether a step of a pipeline draws other samples in ``fit``."""
    return hasattr(step, "fit_resample")


def final_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, however nested, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def transform_by(steps: Sequence[Any], X: Any) -> Any:
    """Transform samples by fitted steps, one after the other."""
    for step in steps:
        X = step.transform(X)
    return X


def takes_lazy_arrays(estimator: Any) -> bool:
    """Return whether an estimator, with all its steps, accepts lazy arrays.

    Estimators of this package declare it by ``_takes_lazy_arrays = True``. Others may
    use methods of an array that a lazy one lacks, so they are given arrays. A step that
    declares ``_gives_arrays = True`` always returns an array in memory, so the steps
    behind it do not matter.
    """
    if isinstance(estimator, FeatureUnion):
        # It hands the samples on, and joins what all parts return.
        return all(map(takes_lazy_arrays, transformers_of(estimator)))
    if not isinstance(estimator, Pipeline):
        return getattr(estimator, "_takes_lazy_arrays", False)
    for step in _steps_in_fit(estimator):
        if not takes_lazy_arrays(step):
            return False
        if getattr(step, "_gives_arrays", isinstance(step, FeatureUnion)):
            break
    return True


def check_predicts_proba(name: str, estimator: Any, *, fitted: bool) -> None:
    """Check that an estimator has ``predict_proba``, or may have it once fitted.

    A meta-estimator may lack it until the estimators inside are fitted. Its class has
    the method even so.
    """
    kind = type(final_step(estimator))
    if hasattr(estimator, "predict_proba") or (
        not fitted and hasattr(kind, "predict_proba")
    ):
        return
    raise ValueError(
        f"{name!r} is a {kind.__name__}; expected a classifier with predict_proba, or "
        "a pipeline that ends in one. Set the parameters that provide 'predict_proba', "
        "or wrap the classifier in sklearn.calibration.CalibratedClassifierCV."
    )


def takes_held_out_fold(estimator: Any) -> bool:
    """Return whether the estimator, or its final step, can use a held-out fold.

    It can if its ``fit`` has `X_val` and `y_val`, unless it would ignore them, as
    scikit-learn's gradient boosting does with ``early_stopping=False``.
    """
    step = final_step(estimator)
    if getattr(step, "early_stopping", None) is False:
        return False
    if hasattr(step, "_takes_held_out_fold"):
        return step._takes_held_out_fold()
    return has_fit_parameter(step, "X_val") and has_fit_parameter(step, "y_val")


def watchers_of(member: Any) -> Iterator[Any]:
    """Yield the classifiers in a fitted member that used its held-out fold.

    scikit-learn's gradient boosting with ``early_stopping="auto"`` takes the fold, but
    ignores it if there are few samples; only the fitted classifier shows whether.
    """
    step = final_step(member)
    if hasattr(step, "_takes_held_out_fold"):
        for each in step.estimators_:
            yield from watchers_of(each)
    elif takes_held_out_fold(step) and getattr(step, "do_early_stopping_", True):
        yield step


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield the estimators that make up a fitted pipeline, union or vote, or itself.

    Parameters
    ----------
    estimator : estimator
        Fitted. Other meta-estimators than these are not opened.

    Yields
    ------
    estimator
        In order, the steps of pipelines, the transformers of unions, and the
        classifiers of votes, however nested.
    """
    if isinstance(estimator, Pipeline):
        inside = steps_of(estimator)
    elif isinstance(estimator, VotingClassifier):
        inside = getattr(estimator, "estimators_", [])
    elif isinstance(estimator, FeatureUnion):
        inside = transformers_of(estimator)
    else:
        yield estimator
        return
    for each in inside:
        yield from parts_of(each)


def members_of(estimator: Any) -> list[Any]:
    """Return the members of an ensemble, or the estimator as the only one."""
    return list(getattr(estimator, "estimators_", [estimator]))


def networks_of(estimator: Any) -> Iterator[Any]:
    """Yield the networks of all members that record their training."""
    for member in members_of(estimator):
        yield from (part for part in parts_of(member) if hasattr(part, "history_"))


def has_networks(estimator: Any) -> bool:
    """Return whether every member has a network."""
    return all(
        any(hasattr(part, "history_") for part in parts_of(member))
        for member in members_of(estimator)
    )


def what_folds_chose(ensemble: Any) -> list[str]:
    """List what the held-out folds decided, which makes scores on them optimistic.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.

    Returns
    -------
    list of str
        Continuations of "The held-out folds ..."; empty if the scores are honest.
    """
    reasons = []
    if _folds_chose_weights(ensemble):
        reasons.append("stopped the training or chose the epoch")
    if any(getattr(ensemble, "n_restarts_", [])):
        reasons.append("chose between attempts")
    return reasons


def _folds_chose_weights(ensemble: Any) -> bool:
    """Return whether a held-out fold decided when the training of a member ended."""
    # Without held-out probabilities the members were fitted elsewhere.
    if not hasattr(ensemble, "oof_proba_") or ensemble.validation is False:
        return False
    return any(
        _fold_chose_weights(classifier)
        for member in ensemble.estimators_
        for classifier in watchers_of(member)
    )


def _fold_chose_weights(classifier: Any) -> bool:
    # A single epoch or iteration leaves nothing to choose.
    if not hasattr(classifier, "history_"):
        return getattr(classifier, "max_iter", None) != 1
    return len(classifier.history_.get("val_loss", ())) > 1 and (
        classifier.patience is not None or classifier.restore_best_weights
    )


def appearance_of(ensemble: Any) -> dict[str, Any] | None:
    """Return what an ensemble knows of how its training images look."""
    parts = parts_of(members_of(ensemble)[0])
    appearances = (getattr(part, "_appearance", None) for part in parts)
    return next((each for each in appearances if each is not None), None)


def expected_image_shape(model: Any) -> tuple[int, int, int]:
    """Return the shape of the images that a fitted model takes.

    Parameters
    ----------
    model : classifier
        A fitted :class:`KFoldEnsembleClassifier`, or one of its members.

    Returns
    -------
    tuple of int
        (height, width, channels).

    Raises
    ------
    ValueError
        If no step of the model has seen images.
    """
    for step in parts_of(members_of(model)[0]):
        if hasattr(step, "image_shape_"):
            return step.image_shape_
    raise ValueError(
        f"This {type(model).__name__} does not record the shape of the images that it "
        "takes. Expected a fitted model with an image_shape_ in one of its steps, as "
        "ImageAugmenter, ColourStatistics and CNNClassifier have it."
    )
