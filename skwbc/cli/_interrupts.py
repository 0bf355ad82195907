"""Ctrl-C that is never lost."""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Seconds until an interrupt that was lost is sent again.
_DELAY = 0.05


@contextmanager
def keeping_interrupts() -> Iterator[None]:
    """Make sure that Ctrl-C ends the block with KeyboardInterrupt.

    The exception of an interrupt is lost if it is raised where Python ignores
    exceptions, which are callbacks of the garbage collector and ``__del__`` (libraries
    that Keras loads have both), or where a library catches all exceptions. In the first
    case the interrupt is sent again; in the second, the exception is raised when the
    block ends.

    Raises
    ------
    KeyboardInterrupt
        If the process was interrupted in the block.
    """
    received = threading.Event()
    resending: list[threading.Timer] = []
    hook = sys.unraisablehook

    def remember(*_: Any) -> None:
        received.set()
        raise KeyboardInterrupt

    def resend(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        # Not at once: it would be ignored in this hook as well.
        timer = threading.Timer(_DELAY, _thread.interrupt_main)
        timer.daemon = True
        resending.append(timer)
        timer.start()

    # Not in other threads, and not where interrupts are ignored or handled by others.
    handles = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    sys.unraisablehook = resend
    try:
        if handles:
            signal.signal(signal.SIGINT, remember)
        yield
    except Exception as error:
        if received.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for timer in resending:
            timer.cancel()
        if handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook
    if received.is_set():
        raise KeyboardInterrupt
