"""Combine the probabilities of members. Nothing but NumPy is loaded for it.

Two things can be missing, and each is expressed in one way. A class that a member was
not fitted on has probability 0, and a mask (`known_classes`) tells it from a class that
the member finds impossible. A member without probabilities for a sample, because its
training diverged, has a row of NaN.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from skwbc._utils.probabilities import lacks_probabilities, most_probable

_is_nested: ContextVar[bool] = ContextVar("skwbc_nested_prediction", default=False)


@contextmanager
def nested_prediction() -> Iterator[None]:
    """Let ensembles in the block return NaN where none of their members predicts.

    They are members themselves, and the outer ensemble leaves them out.
    """
    token = _is_nested.set(True)
    try:
        yield
    finally:
        _is_nested.reset(token)


def is_nested() -> bool:
    """Return whether the call is inside of :func:`nested_prediction`."""
    return _is_nested.get()


class MeanOfMembers:
    """Mixin for classifiers that average ``predict_proba`` of fitted `estimators_`."""

    estimators_: list[Any]
    classes_: Any
    predict_proba: Callable[[Any], np.ndarray]

    # Missing if the first member lacks them. The classes document them as attributes; a
    # docstring here would make links of those.
    @property
    def n_features_in_(self) -> int:
        return self.estimators_[0].n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimators_[0].feature_names_in_

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the mean of the members' class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as given to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

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
            If no member has probabilities for some sample: their training diverged.
        """
        proba = self.predict_proba(X)
        return most_probable(self.classes_, proba)


def find_known_classes(members: Sequence[Any], classes: np.ndarray) -> np.ndarray:
    """Return which classes each member was fitted on.

    Parameters
    ----------
    members : sequence of length n_members
        Fitted classifiers.
    classes : ndarray of shape (n_classes,)
        All classes.

    Returns
    -------
    ndarray of shape (n_members, n_classes), bool
    """
    return np.array([np.isin(classes, member.classes_) for member in members])


def in_columns(proba: np.ndarray, known: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Place the probabilities of a member in columns for all classes.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_known)
        Probabilities of the member.
    known : ndarray of shape (n_known,)
        The classes that the member was fitted on.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        0 for the other classes. A row with NaN is NaN throughout.
    """
    proba = np.asarray(proba)
    out = np.zeros((len(proba), len(classes)))
    out[:, np.searchsorted(classes, known)] = proba
    out[np.isnan(proba).any(axis=1)] = np.nan
    return out


def stack_members(
    members: Sequence[Any], probas: Sequence[np.ndarray], classes: np.ndarray
) -> np.ndarray:
    """Stack the probabilities of members that may not know all classes.

    Parameters
    ----------
    members : sequence of length n_members
        Fitted classifiers.
    probas : sequence of ndarray of shape (n_samples, n_known_classes)
        Probabilities of each.
    classes : ndarray of shape (n_classes,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n_members, n_samples, n_classes)
        0 for a class that a member was not fitted on. A row is NaN if the member has no
        probabilities for the sample.
    """
    return np.stack(
        [
            in_columns(proba, member.classes_, classes)
            for member, proba in zip(members, probas, strict=True)
        ]
    )


def average_members(
    proba: np.ndarray,
    known_classes: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Average probabilities over the members that know each class.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        A member whose row has NaN is left out for that sample.
    known_classes : ndarray of shape (n_members, n_classes), bool, default=None
        The classes that each member was fitted on; by default all.
    weights : ndarray of shape (n_members,), default=None
        Weight of each member; by default all are equal.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        A row in which not all classes have the same members is scaled to sum to one. A
        row without any probability is NaN.
    """
    present = np.broadcast_to(~lacks_probabilities(proba)[..., np.newaxis], proba.shape)
    if known_classes is not None:
        present = present & known_classes[:, np.newaxis]
    if present.all():
        return np.average(proba, axis=0, weights=weights)
    masked = np.ma.masked_array(proba, mask=~present)
    mean: Any = np.ma.average(masked, axis=0, weights=weights)
    mean = mean.filled(np.nan)
    # Only rows with members that lack a class can fail to sum to one. The others stay
    # the exact mean.
    incomplete = (present.any(axis=2) & ~present.all(axis=2)).any(axis=0)
    mean[incomplete] = np.nan_to_num(mean[incomplete])
    mean[incomplete] /= mean[incomplete].sum(axis=1, keepdims=True)
    return mean


def join_means(chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Join mean probabilities, and report members without probabilities once.

    Parameters
    ----------
    chunks : iterable of (mean, proba_members)
        Some samples each: their mean probabilities, of shape (n_rows, n_classes), and
        those of the members, of shape (n_members, n_rows, n_classes).

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Raises
    ------
    ValueError
        If no member has probabilities for some sample.

    Warns
    -----
    UserWarning
        If members were left out.
    """
    means, missing = [], []
    for mean, members in chunks:
        means.append(mean)
        missing.append(lacks_probabilities(members))
    report_missing(np.concatenate(missing, axis=1))
    return np.concatenate(means)


def average_ensemble(ensemble: Any, proba_members: np.ndarray) -> np.ndarray:
    """Return ``predict_proba`` of an ensemble from ``predict_proba_members``.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier or OnnxClassifier
        Fitted.
    proba_members : ndarray of shape (n_members, n_samples, n_classes)
        Its members' probabilities.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Raises
    ------
    ValueError
        If no member has probabilities for some sample.
    """
    mean = average_members(proba_members, ensemble.known_classes_)
    return join_means([(mean, proba_members)])


def report_missing(missing: np.ndarray) -> None:
    """Warn of members that have no probabilities for some samples.

    Parameters
    ----------
    missing : ndarray of shape (n_members, n_samples), bool
        Where the probabilities of a member are NaN.

    Raises
    ------
    ValueError
        If no member has probabilities for some sample, outside of
        :func:`nested_prediction`.
    """
    n_members, n_samples = missing.shape
    n_without = int(missing.all(axis=0).sum())
    if n_without and not is_nested():
        raise ValueError(
            f"All {n_members} members predict NaN for {n_without} of {n_samples} "
            "samples, so there is no class to predict. Their training may have "
            "diverged: check the warnings of fit, and train them again."
        )
    if missing.any():
        rows = {f"fold {fold}": row for fold, row in enumerate(missing, start=1)}
        warnings.warn(
            f"Members that predict NaN are left out of the mean: "
            f"{describe_missing(rows)}. Their training may have diverged: check the "
            "warnings of fit, and train again.",
            stacklevel=4,
        )


def describe_missing(missing: Mapping[str, np.ndarray]) -> str:
    """List names with the number of samples that have no probabilities.

    Parameters
    ----------
    missing : mapping from str to ndarray of shape (n_samples,), bool
        Where the probabilities are NaN. Names without any are left out.

    Returns
    -------
    str
        Such as "fold 2, fold 3 (1 of 20 samples)".
    """
    return ", ".join(
        name if row.all() else f"{name} ({row.sum()} of {len(row)} samples)"
        for name, row in missing.items()
        if row.any()
    )


def first_choices(proba: np.ndarray) -> np.ndarray:
    """Return the class that each member finds most probable.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes)
        0 where a member was not fitted on a class, which it cannot choose then.

    Returns
    -------
    ndarray of shape (n_members, n_samples), int
        Positions of classes; -1 for a member without probabilities.
    """
    missing = lacks_probabilities(proba)
    return np.where(missing, -1, np.nan_to_num(proba).argmax(axis=2))


def count_agreeing(proba_members: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Count the members whose first choice is that of the ensemble.

    Parameters
    ----------
    proba_members : ndarray of shape (n_members, n_samples, n_classes)
        Probabilities of each member. One without probabilities does not agree.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of the ensemble.

    Returns
    -------
    ndarray of shape (n_samples,), int
    """
    return (first_choices(proba_members) == proba.argmax(axis=1)).sum(axis=0)
