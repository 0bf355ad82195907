"""Rows that were computed from images, for the next time that they are needed.

The folds of an ensemble, of a search and of a learning curve share most of their
images. Those are recognised by their pixels, so nothing that fits or predicts needs to
know of this cache.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

# Those that were used least recently are dropped, and longer ones not kept at all.
_MOST_ROWS, _LONGEST = 2**13, 2**13
# Images that a thread computes before it looks again what the others have done.
_AT_A_TIME = 16

_rows: OrderedDict[tuple, np.ndarray] = OrderedDict()
# Rows that some thread is computing.
_claimed: set[tuple] = set()
_changed = threading.Condition()


def _after_fork() -> None:
    global _changed
    _changed = threading.Condition()
    _claimed.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def cached_rows(
    images: np.ndarray, compute: Callable[[np.ndarray], np.ndarray], key: Hashable
) -> np.ndarray:
    """Return one row per image; compute those that are not in the cache.

    Threads that need the same rows at the same time share the work.

    Parameters
    ----------
    images : ndarray of shape (n_samples, ...)
        Images in memory, C-contiguous.
    compute : callable
        Turns images into rows, each image by itself. It may change the images.
    key : hashable
        Equal for computations that give equal rows.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
    """
    keys = [(key, hashlib.blake2b(each, digest_size=20).digest()) for each in images]
    rows: dict[int, np.ndarray] = {}
    while len(rows) < len(keys):
        mine: list[int] = []
        new: list[np.ndarray] = []
        try:
            with _changed:
                for place in range(len(keys)):
                    if place not in rows and keys[place] in _rows:
                        rows[place] = _rows[keys[place]]
                        _rows.move_to_end(keys[place])
                free = {
                    each: place
                    for place, each in enumerate(keys)
                    if place not in rows and each not in _claimed
                }
                mine = list(free.values())[:_AT_A_TIME]
                _claimed.update(keys[place] for place in mine)
                if not mine and len(rows) < len(keys):
                    _changed.wait()
            if mine:
                # Not views, which would keep the whole batch.
                new = [row.copy() for row in compute(images[mine])]
        finally:
            with _changed:
                _claimed.difference_update(keys[place] for place in mine)
                for place, row in zip(mine, new, strict=False):
                    rows[place] = row
                    if row.nbytes <= _LONGEST:
                        _rows[keys[place]] = row
                while len(_rows) > _MOST_ROWS:
                    _rows.popitem(last=False)
                _changed.notify_all()
    return np.array([rows[place] for place in range(len(keys))])
