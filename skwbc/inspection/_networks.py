"""The networks of an ensemble, found without importing Keras."""

from collections.abc import Iterator
from typing import Any

from skwbc._validation_set import takes_held_out_fold
from skwbc.augmentation import ImageAugmenter
from skwbc.voting import parts_of


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


def augmenter_of(estimator: Any) -> ImageAugmenter | None:
    """Return the first image augmenter in the first member, if there is one."""
    parts = parts_of(members_of(estimator)[0])
    return next((part for part in parts if isinstance(part, ImageAugmenter)), None)


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
