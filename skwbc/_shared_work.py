"""Work that the members of an ensemble have in common, done once for all of them.

Members are asked about the same samples. What a transformer makes of those without
having learnt anything that differs from member to member is kept while they are.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np


class _Shared(NamedTuple):
    """What all members are given, by its id, and what was made of it."""

    given: dict[int, Any]
    made: dict[tuple[Hashable, int], np.ndarray]


_shared: ContextVar[_Shared | None] = ContextVar("skwbc_shared_work", default=None)


@contextmanager
def sharing(samples: Any) -> Iterator[None]:
    """Do in the block what is asked of :func:`once` only once.

    Parameters
    ----------
    samples : object
        What all members are given. It may not change while the block lasts. Threads do
        not share.
    """
    token = _shared.set(_Shared({id(samples): samples}, {}))
    try:
        yield
    finally:
        _shared.reset(token)


def once(what: Hashable, samples: Any, work: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what `work` makes of samples, from before if that is known.

    It is kept if the samples are those that all members are given, or were made of them
    by this function: what a member made for itself no other will ask about.

    Parameters
    ----------
    what : hashable
        Names the work with all that its result depends on, but for the samples.
    samples : object
        Known again by its identity.
    work : callable
        Does it.

    Returns
    -------
    ndarray
        Read-only while it is shared: others see it, too.
    """
    shared = _shared.get()
    if shared is None or id(samples) not in shared.given:
        return work()
    key = what, id(samples)
    if key not in shared.made:
        result = work()
        result.flags.writeable = False
        shared.made[key] = shared.given[id(result)] = result
    return shared.made[key]
