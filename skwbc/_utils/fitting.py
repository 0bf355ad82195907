"""Store what a fit has learnt."""

from collections.abc import Iterable
from typing import Any


def store_fitted(estimator: Any, *, drop: Iterable[str] = (), **fitted: Any) -> None:
    """Set the fitted attributes of an estimator in one step, at the end of ``fit``.

    No error, interruption or other thread can come between two of them, so a fit that
    fails leaves the estimator as it was.

    Parameters
    ----------
    estimator : estimator
        Changed in place.
    drop : iterable of str, default=()
        Attributes of an earlier fit to delete unless they are in `fitted`.
    **fitted : dict
        The attributes.
    """
    drop = set(drop)
    kept = {name: each for name, each in vars(estimator).items() if name not in drop}
    estimator.__dict__ = kept | fitted
