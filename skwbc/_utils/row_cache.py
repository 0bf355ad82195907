"""Rows that were computed from images, for the next time that they are needed.

The folds of an ensemble, of a search and of a learning curve share most of their
images. Those are recognised by their pixels, so nothing that fits or predicts needs to
know of this cache.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

# All rows of a process together. Those that were used least recently are dropped.
_MOST_BYTES = 2**25
# Bytes that a row takes besides its values.
_OVERHEAD = 512

_rows: OrderedDict[tuple, np.ndarray] = OrderedDict()
_lock = threading.Lock()
_n_bytes = 0


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
    global _n_bytes
    keys = [(key, hashlib.blake2b(each, digest_size=20).digest()) for each in images]
    rows: list = []
    with _lock:
        for each in keys:
            rows.append(_rows.get(each))
            if rows[-1] is not None:
                _rows.move_to_end(each)
    missing = [place for place, row in enumerate(rows) if row is None]
    if missing:
        new = compute(images[missing] if len(missing) < len(images) else images)
        with _lock:
            for place, row in zip(missing, new, strict=True):
                # Not a view, which would keep the whole batch.
                rows[place] = row.copy()
                if keys[place] not in _rows:
                    _rows[keys[place]] = rows[place]
                    _n_bytes += row.nbytes + _OVERHEAD
            while _n_bytes > _MOST_BYTES:
                _n_bytes -= _rows.popitem(last=False)[1].nbytes + _OVERHEAD
    return np.array(rows)
