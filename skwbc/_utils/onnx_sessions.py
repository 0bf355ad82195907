"""Sessions of ONNX Runtime that read no other files and survive a fork."""

import os
import weakref
from typing import Any

from skwbc._utils.optional_imports import import_optional

# ONNX Runtime logs fatal errors only; it raises the others, and messages here explain
# them.
_FATAL = 4
_SETTINGS = {
    # A model can name other files that hold its weights. Without this setting they are
    # read if they exist in the working directory.
    "session.model_external_initializers_file_folder_path": os.devnull,
    # Weights are not rearranged in advance. That would take half a second with the wide
    # layers of the article's network, and is no faster on batches of images.
    "session.disable_prepacking": "1",
}
# Sessions of this process. A forked process has none of the threads that it would wait
# for on deleting one, so there they are kept.
_sessions: weakref.WeakSet = weakref.WeakSet()
_inherited: list[Any] = []
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=lambda: _inherited.extend(_sessions))


def open_session(content: bytes, n_threads: int = 0, *, quickly: bool = False) -> Any:
    """Return an ``onnxruntime.InferenceSession`` on the CPU.

    Parameters
    ----------
    content : bytes
        The model.
    n_threads : int, default=0
        Number of threads; 0 means one per core.
    quickly : bool, default=False
        Whether to leave the graph as it is. That takes a quarter of the time, and then
        each image a half more.

    Raises
    ------
    ImportError
        If ONNX Runtime is not installed.
    ValueError
        If the content is not a model. The message gives the reason.
    """
    runtime = import_optional("onnxruntime", "onnx", "Reading ONNX files")
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = n_threads
    if quickly:
        options.graph_optimization_level = (
            runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        )
    for setting, value in _SETTINGS.items():
        options.add_session_config_entry(setting, value)
    try:
        session = runtime.InferenceSession(
            content,
            options,
            providers=["CPUExecutionProvider"],
            # It would print that it tries again, to standard output.
            enable_fallback=False,
        )
    except MemoryError:
        raise
    except Exception as error:
        # ONNX Runtime's errors have no base class of their own.
        raise ValueError(first_line(error)) from error
    _sessions.add(session)
    return session


def first_line(error: Exception) -> str:
    """Return the first line of a message, without its full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300]
