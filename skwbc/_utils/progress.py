"""Telling an interested caller how far a fit has come.

Estimators report; whoever wrapped the fit in :func:`listening` is told. Nothing is
stored on an estimator, so clones and pickles carry no callback. A listener hears what
happens in its own thread: with ``n_jobs`` above 1 that is the end of each fold, but not
the epochs, which pass in other processes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[..., None]

_listener: ContextVar[Listener | None] = ContextVar("skwbc_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(event, **details)`` for all that is reported in the block.

    Parameters
    ----------
    listener : callable
        Events are ``"fold_started"`` (`fold`, `n_folds`), ``"epoch"`` (`epoch`,
        `epochs`, `logs`), ``"fold_restarted"`` (`fold`, `n_folds`, `restart`) and
        ``"fold_finished"`` (`fold`, `n_folds`, `score`). Folds, epochs and restarts
        count from 1.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(event: str, **details) -> None:
    """Tell the current listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(event, **details)
