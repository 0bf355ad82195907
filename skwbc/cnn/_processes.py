"""Refuse networks in forked processes, where they would never return.

One name is not public: every public function of JAX that depends on whether its threads
have started starts them.
"""

import os

import keras

_is_used = _is_lost = False


def check_process() -> None:
    """Check that networks can run in this process, and note that they do.

    A forked process has none of the threads of its parent. TensorFlow, JAX and PyTorch
    wait forever for those that they have started there. Importing them starts none.

    Raises
    ------
    RuntimeError
        If this process was forked after the backend of Keras had started.
    """
    global _is_used
    if _is_lost:
        raise RuntimeError(
            "This process was forked from one in which Keras' backend "
            f"({keras.backend.backend()}) had started, and would wait forever for "
            "threads that it does not have. Start processes with multiprocessing's "
            "method 'spawn' or 'forkserver', use threads or joblib's backend 'loky', "
            "fork before the first use, or predict with an ONNX file, which works in "
            "forked processes."
        )
    _is_used = True


def process_can_run_networks() -> bool:
    """Return whether :func:`check_process` raises no error."""
    return not _is_lost


def _after_fork() -> None:
    global _is_lost
    _is_lost = _is_lost or _is_used or _has_started()


def _has_started() -> bool:
    # By the user, for example.
    if keras.backend.backend() == "tensorflow":
        from skwbc.cnn._compiled.tensorflow import runtime_has_started

        return runtime_has_started()
    if keras.backend.backend() == "jax":
        from jax._src import xla_bridge

        return xla_bridge.backends_are_initialized()
    return False


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
