"""OpenCV at its quickest: its own threads, and memory that is used again."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import cv2
import numpy as np
from numpy.typing import DTypeLike

_local = threading.local()
# Bytes of memory that a thread keeps under one name.
_KEPT = 2**23


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return memory of this thread, with whatever is in it.

    To get such memory from the system and to give it back, for each few images, can
    take longer than to warp them.

    Parameters
    ----------
    name : str
        What it is for. It is used again when this thread asks by the same name.
    shape : tuple of int
        Of the array.
    dtype : dtype
        Of the array.

    Returns
    -------
    ndarray
        C-contiguous.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    if size > _KEPT:
        return np.empty(shape, dtype)
    memory = getattr(_local, name, None)
    if memory is None or len(memory) < size:
        memory = np.empty(size, np.uint8)
        setattr(_local, name, memory)
    return memory[:size].view(dtype).reshape(shape)


_lock = threading.Lock()
_users = 0
_before = 1


# Pixels from which on it pays to share one image among threads.
_LARGE = 2**15


def threads_for(height: int, width: int) -> AbstractContextManager:
    """Let OpenCV use one thread for small images, and its own choice for large ones.

    To share an image of 100 pixels a side among threads takes longer than to warp it.
    """
    return nullcontext() if height * width >= _LARGE else _one_thread()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set the number of threads to one until the last that asked for it is done.

    It is one number for the whole process, so it is lent and given back.
    """
    global _users, _before
    with _lock:
        if _users == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_before)
