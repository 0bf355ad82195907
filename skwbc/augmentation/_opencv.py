"""OpenCV's own threads, which are in the way of small images."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import cv2

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
