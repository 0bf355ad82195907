"""Work that the members of an ensemble have in common, done once for all of them.

Members are asked about the same samples. What a transformer makes of those without
having learnt anything that differs from member to member is kept while they are.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

# By what was done and to which samples. These are kept beside the result, because an
# id is that of another object as soon as its own is gone.
_Kept = dict[tuple[Hashable, int], tuple[Any, np.ndarray]]

_kept: ContextVar[_Kept | None] = ContextVar("skwbc_shared_work", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Do in the block what is asked of :func:`once` only once.

    The samples may not change while it lasts. Threads do not share.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def once(what: Hashable, samples: Any, work: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what `work` makes of samples, from before if it is known and shared.

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
    kept = _kept.get()
    if kept is None:
        return work()
    key = what, id(samples)
    if key not in kept:
        result = work()
        result.flags.writeable = False
        kept[key] = samples, result
    return kept[key][1]
