"""Rows that were computed from images, for the next time that they are needed.

The folds of an ensemble, of a search and of a learning curve share most of their
images. Those are recognised by their pixels, so nothing that fits or predicts needs to
know of this cache.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

# Those that were used least recently are dropped, and longer ones not kept at all.
# There is no lock, which an interrupted thread could hold forever: every step on the
# dict is whole by itself, and what another thread has dropped is computed again.
_MOST_ROWS, _LONGEST = 2**13, 2**13

_rows: OrderedDict[tuple, np.ndarray] = OrderedDict()


def cached_rows(
    images: np.ndarray,
    compute: Callable[[np.ndarray], np.ndarray],
    key: Hashable,
) -> np.ndarray:
    """Return one row per image; compute those that are not in the cache.

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
    rows: list = [_rows.pop(each, None) for each in keys]
    missing = [place for place, row in enumerate(rows) if row is None]
    if missing:
        new = compute(images[missing] if len(missing) < len(images) else images)
        for place, row in zip(missing, new, strict=True):
            # Not a view, which would keep the whole batch.
            rows[place] = row.copy()
    if rows and rows[0].nbytes <= _LONGEST:
        _rows.update(zip(keys, rows, strict=True))
    while len(_rows) > _MOST_ROWS:
        _rows.popitem(last=False)
    return np.array(rows)
