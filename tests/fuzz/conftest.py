import os
import signal
import sys
from contextlib import contextmanager

import pytest


@contextmanager
def _within(seconds):
    def stop(*_):
        raise AssertionError(f"did not finish within {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def within():
    """Return a context manager that fails when its block hangs."""
    return _within


@pytest.fixture(scope="session")
def refused():
    """Return a check that an error is one line with the name of the file."""

    def check(error, path):
        message = str(error)
        assert os.path.basename(os.fspath(path)) in message, message
        assert "\n" not in message, message
        assert sys.exc_info()[0] is not MemoryError

    return check
