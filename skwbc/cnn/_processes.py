"""Refuse networks in forked processes, where they would never return."""

import keras

from skwbc._utils.processes import ForkGuard


def _backend_has_started() -> bool:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        return backend == "jax"  # It starts when Keras is imported.

    from skwbc.cnn._compiled.tensorflow import runtime_has_started

    return runtime_has_started()


_guard = ForkGuard(f"Keras' backend ({keras.backend.backend()})", _backend_has_started)
check_process = _guard.check


def process_can_run_networks() -> bool:
    """Return whether :func:`check_process` raises no error."""
    return not _guard.is_lost
