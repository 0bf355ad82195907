"""Look into estimators: their steps, members and networks, and what they take.

Everything that walks through pipelines and votes is here. Networks are found by what
they offer, so Keras is not imported.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter


def steps_of(pipeline: Pipeline) -> list[Any]:
    """Return the steps of a pipeline without those that only pass samples through."""
    steps = [step for _, step in pipeline.steps]
    return [step for step in steps if step is not None and step != "passthrough"]


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
    if not isinstance(estimator, Pipeline):
        return getattr(estimator, "_takes_lazy_arrays", False)
    for step in steps_of(estimator):
        if not takes_lazy_arrays(step):
            return False
        if getattr(step, "_gives_arrays", False):
            break
    return True


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


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield the estimators that make up a fitted pipeline or vote, or itself.

    Parameters
    ----------
    estimator : estimator
        Fitted. Other meta-estimators than pipelines and votes are not opened.

    Yields
    ------
    estimator
        In order, the steps of pipelines and the classifiers of votes, however nested.
    """
    if isinstance(estimator, Pipeline):
        inside = [step for _, step in estimator.steps]
    elif isinstance(estimator, VotingClassifier):
        inside = getattr(estimator, "estimators_", [])
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
    """Return whether a held-out fold decided when the training of a network ended.

    For other classifiers that use their fold it is assumed.
    """
    if getattr(ensemble, "validation", False) is False:
        return False
    networks = list(networks_of(ensemble))
    if not networks:
        return takes_held_out_fold(ensemble.estimator)
    return any(
        # A single epoch leaves nothing to choose.
        len(network.history_.get("val_loss", ())) > 1
        and (network.patience is not None or network.restore_best_weights)
        for network in networks
    )


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
