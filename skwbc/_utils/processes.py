"""Libraries whose threads do not exist in a forked process."""

import os
from collections.abc import Callable


class ForkGuard:
    """Refuses a library in a process that was forked after the library had started.

    A forked process has none of the threads of its parent. A library that has started
    its threads in the parent waits for them for ever.

    Parameters
    ----------
    library : str
        Its name, for the message.
    has_started : callable, default=None
        Returns whether the library has started without :meth:`check` being called. It
        is called in the forked process.

    Attributes
    ----------
    is_lost : bool
        Whether this process was forked after the library had started.
    """

    def __init__(
        self, library: str, has_started: Callable[[], bool] = lambda: False
    ) -> None:
        self._library = library
        self._has_started = has_started
        self._is_used = self.is_lost = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._notice)

    def check(self) -> None:
        """Check that the library can be used here, and note that it is used.

        Raises
        ------
        RuntimeError
            If this process was forked after the library had started.
        """
        if self.is_lost:
            raise RuntimeError(
                f"This process was forked from one in which {self._library} had "
                "started, and would wait for ever for threads that it does not have. "
                "Start processes with multiprocessing's method 'spawn' or "
                "'forkserver', use joblib's backend 'loky' or 'threading', or fork "
                "before the first use. A child may also predict with a model in ONNX "
                "that it opens itself, if the parent has not opened any."
            )
        self._is_used = True

    def _notice(self) -> None:
        self.is_lost = self.is_lost or self._is_used or self._has_started()
