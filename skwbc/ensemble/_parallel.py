"""Fit members in parallel, with any backend of joblib."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import BACKENDS, get_active_backend
from sklearn.utils.parallel import Parallel, delayed


def run_in_order(jobs: Sequence[Any], n_jobs: int | None, estimator: Any) -> Iterable:
    """Run jobs, and return their results in order, each at once if the backend can.

    Parameters
    ----------
    jobs : sequence of delayed calls
        They fit clones of `estimator`.
    n_jobs : int or None
        As in joblib.
    estimator : estimator
        Unfitted.

    Returns
    -------
    iterable

    Raises
    ------
    ValueError
        If networks were to be trained in forks of this process.
    """
    backend, _ = get_active_backend()
    options: dict[str, Any] = {"n_jobs": n_jobs}
    if type(backend) is BACKENDS.get("multiprocessing"):
        if effective_n_jobs(n_jobs) == 1:
            options["backend"] = "sequential"
        elif _has_networks(estimator):
            raise ValueError(
                "Networks cannot be trained with joblib's backend 'multiprocessing', "
                "whose processes may wait for TensorFlow forever; use 'loky' or "
                "'threading'."
            )
    if type(backend) is BACKENDS.get("dask"):
        jobs = [
            delayed(_call_in_threads)(*arguments, call=fit.function, **named)
            for fit, arguments, named in jobs
        ]
    try:
        parallel = Parallel(return_as="generator", **options)
    except ValueError:  # The backend returns all results at the end.
        parallel = Parallel(**options)
    return parallel(jobs)


def _call_in_threads(*arguments: Any, call: Callable[..., Any], **named: Any) -> Any:
    """Keep what runs in parallel within a member on its worker.

    A task on a Dask worker could wait forever for tasks of its own.
    """
    with parallel_config("threading", n_jobs=1):
        return call(*arguments, **named)


def _has_networks(estimator: Any) -> bool:
    inside = (estimator, *estimator.get_params().values())
    return any(
        base.__module__.partition(".")[0] in ("keras", "scikeras")
        for each in inside
        for base in type(each).__mro__
    )
