"""Progress of a fit, reported to scikit-learn's callbacks and to a listener.

scikit-learn has callbacks from version 1.9 on, and they see folds, epochs and the
estimators of a vote as a tree of tasks. A listener (:func:`listening`) works with every
version, but hears nothing from other processes: if folds are fitted in workers, only of
their ends. Code that fits states each event once, as a :func:`task`, and both hear of
it. Estimators do not store the listener, so clones and pickles do not carry it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from threading import Event
from typing import Any

Listener = Callable[..., None]

_listener: ContextVar[Listener | None] = ContextVar("skwbc_listener", default=None)
_stop: ContextVar[Event | None] = ContextVar("skwbc_stop", default=None)


class StoppedError(RuntimeError):
    """A fit was stopped, because another one that runs beside it has failed."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(event, **details)`` for each event reported in the block.

    Parameters
    ----------
    listener : callable
        Events are ``"fold_started"`` (`fold`, `n_folds`), ``"epoch"`` (`epoch`,
        `epochs`, `logs`), ``"fold_restarted"`` (`fold`, `n_folds`, `restart`) and
        ``"fold_finished"`` (`fold`, `n_folds`, `score`). Folds, epochs and restarts
        count from 1. Folds that are fitted in several threads call it from these.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def context_stopped_by(event: Event) -> Context:
    """Return a copy of the context in which fits end after `event` was set.

    They do in the next call of :func:`raise_if_stopped`.
    """
    context = copy_context()
    context.run(_stop.set, event)
    return context


def raise_if_stopped() -> None:
    """Raise StoppedError if fits in this context are to end."""
    stop = _stop.get()
    if stop and stop.is_set():
        raise StoppedError


def report(event: str | None, **details) -> None:
    """Call the current listener, if there are an event and a listener."""
    listener = _listener.get()
    if event and listener:
        listener(event, **details)


def subtask(context: Any, name: str) -> Any:
    """Return the context of a part of a task; None if there are no callbacks."""
    return context and context.subcontext(task_name=name)


@contextmanager
def task(
    owner, context, member=None, *, X=None, y=None, begin=None, end=None, **details
) -> Iterator[dict[str, Any]]:
    """Run a block as a task, and report its begin and its end.

    The end is not reported if the block raises.

    Parameters
    ----------
    owner : estimator
        The estimator whose ``fit`` runs the task.
    context : CallbackContext or None
        The place of the task in scikit-learn's tree of tasks, from
        :func:`~skwbc._utils.sklearn_compat.callback_context` or :func:`subtask`. With
        None only the listener is called.
    member : estimator, default=None
        The estimator that the block fits, if `owner` is a meta-estimator. The callbacks
        are handed on to it.
    X, y : array-like, default=None
        The samples and labels of the task, for callbacks.
    begin, end : str, default=None
        Events for the listener.
    **details : dict
        Details of these events.

    Yields
    ------
    dict
        The details. The block may add to them before `end` is reported.
    """
    raise_if_stopped()
    report(begin, **details)
    if context:
        handed_on = member is not None
        with context.propagate_callback_context(member) if handed_on else nullcontext():
            context.call_on_fit_task_begin(estimator=owner, X=X, y=y)
            yield details
        context.call_on_fit_task_end(estimator=owner, X=X, y=y)
    else:
        yield details
    report(end, **details)
