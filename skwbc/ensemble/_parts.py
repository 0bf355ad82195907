"""The networks of an ensemble, found without importing Keras."""

from collections.abc import Iterator
from typing import Any

from sklearn.pipeline import Pipeline

from skwbc.ensemble._validation_set import takes_held_out_fold
from skwbc.ensemble._voting import SoftVotingClassifier


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield the estimators that a fitted pipeline or vote is made of, or itself.

    Parameters
    ----------
    estimator : estimator
        Fitted. What is inside other estimators than those two is not looked at.

    Yields
    ------
    estimator
        In order, steps of pipelines and of votes however nested.
    """
    if isinstance(estimator, Pipeline):
        inside = [step for _, step in estimator.steps]
    elif isinstance(estimator, SoftVotingClassifier):
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
    """Yield the network of each member that has one and records its training."""
    for member in members_of(estimator):
        yield from (part for part in parts_of(member) if hasattr(part, "history_"))


def has_networks(estimator: Any) -> bool:
    """Tell whether every member has a network."""
    return all(
        any(hasattr(part, "history_") for part in parts_of(member))
        for member in members_of(estimator)
    )


def what_folds_chose(ensemble: Any) -> list[str]:
    """Say what the held-out folds decided, which makes scores on them optimistic.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.

    Returns
    -------
    list of str
        Continuations of "The held-out folds ..."; empty if the scores are honest.
    """
    found = []
    if _folds_chose_weights(ensemble):
        found.append("stopped the training or chose the epoch")
    if any(getattr(ensemble, "n_restarts_", [])):
        found.append("chose between attempts")
    return found


def _folds_chose_weights(ensemble: Any) -> bool:
    """Tell whether a held-out fold decided when the training of a network ended.

    Of other classifiers that watch their fold it is assumed.
    """
    if getattr(ensemble, "validation", False) is False:
        return False
    networks = list(networks_of(ensemble))
    if not networks:
        return takes_held_out_fold(ensemble.estimator)
    return any(
        # Of one epoch there is none to choose.
        len(network.history_.get("val_loss", ())) > 1
        and (network.patience is not None or network.restore_best_weights)
        for network in networks
    )


def expected_image_shape(model: Any) -> tuple[int, int, int]:
    """Tell which images a fitted model takes.

    Parameters
    ----------
    model : classifier
        A fitted :class:`KFoldEnsembleClassifier` of pipelines, or one such pipeline.

    Returns
    -------
    tuple of int
        (height, width, channels).

    Raises
    ------
    ValueError
        If the model does not say.
    """
    member = getattr(model, "estimators_", [model])[0]
    for step in parts_of(member):
        if hasattr(step, "image_shape_"):
            return step.image_shape_
    raise ValueError(
        f"This {type(model).__name__} does not say which images it takes; expected a "
        "model made by make_cell_classifier."
    )
