"""Fit members in parallel, with any backend of joblib."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import BACKENDS, get_active_backend
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from skwbc._utils.progress import context_stopped_by

# Networks that are trained at the same time with n_jobs=-1, per core. Threads share the
# cores until the last network is trained, and the limit saves memory.
_NETWORKS_PER_CORE = 4
# Seconds to wait for threads that were told to stop. They do after a batch.
_PATIENCE = 5


def run_in_order(jobs: Sequence[Any], n_jobs: int | None, estimator: Any) -> Iterable:
    """Run jobs, and return their results in order, each at once if the backend can.

    Networks are trained in threads unless a backend was chosen: workers would take
    seconds to import Keras, and could not share what frozen networks compute.

    Parameters
    ----------
    jobs : sequence of delayed calls
        They fit clones of `estimator`.
    n_jobs : int or None
        As in joblib. With -1 networks in threads may be more than the cores.
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
    networks = _has_networks(estimator)
    prefer = "threads" if networks else None
    backend, of_context = get_active_backend(prefer=prefer)
    options: dict[str, Any] = {"n_jobs": n_jobs, "prefer": prefer}
    if type(backend) is BACKENDS.get("multiprocessing"):
        if effective_n_jobs(n_jobs) == 1:
            options["backend"] = "sequential"
        elif networks:
            raise ValueError(
                "Networks cannot be trained with joblib's backend 'multiprocessing', "
                "whose processes may wait for TensorFlow forever; use 'loky' or "
                "'threading'."
            )
    if type(backend) is BACKENDS.get("dask"):
        jobs = [_wrapped(job, _call_in_threads) for job in jobs]
    if type(backend) is BACKENDS["threading"] and networks:
        if (of_context if n_jobs is None else n_jobs) == -1:
            options["n_jobs"] = min(len(jobs), _NETWORKS_PER_CORE * cpu_count())
        return _until_one_fails(jobs, Parallel(return_as="generator", **options))
    if networks:
        jobs = [_wrapped(job, _with_one_thread) for job in jobs]
    try:
        parallel = Parallel(return_as="generator", **options)
    except ValueError:  # The backend returns all results at the end.
        parallel = Parallel(**options)
    return parallel(jobs)


def _until_one_fails(jobs: Sequence[Any], parallel: Parallel) -> Iterator[Any]:
    """Run jobs in threads, which report progress; after an error stop all of them.

    Python does not stop threads: they would go on training behind an exception.
    """
    stop, running = threading.Event(), set()

    def run(
        context: Context, fit: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> Any:
        running.add(threading.get_ident())
        try:
            return context.run(fit, *arguments, **named)
        finally:
            running.discard(threading.get_ident())

    # The number of threads is a setting of the whole process.
    with threadpool_limits(1, "blas"):
        calls = [_wrapped(job, partial(run, context_stopped_by(stop))) for job in jobs]
        try:
            yield from parallel(calls)
        except BaseException:
            stop.set()
            deadline = time.monotonic() + _PATIENCE
            while running and time.monotonic() < deadline:
                time.sleep(0.02)
            raise


def _wrapped(job: tuple, call: Callable[..., Any]) -> Any:
    """Let a function call the function of a delayed call."""
    fit, arguments, named = job
    return delayed(call)(fit.function, *arguments, **named)


def _with_one_thread(fit: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Let a member's sums not depend on how many members are fitted beside it."""
    with threadpool_limits(1, "blas"):
        return fit(*arguments, **named)


def _call_in_threads(fit: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """Keep what runs in parallel within a member on its worker.

    A task on a Dask worker could wait forever for tasks of its own.
    """
    with parallel_config("threading", n_jobs=1):
        return fit(*arguments, **named)


def _has_networks(estimator: Any) -> bool:
    inside = (estimator, *estimator.get_params().values())
    return any(
        base.__module__.partition(".")[0] in ("keras", "scikeras")
        for each in inside
        for base in type(each).__mro__
    )
