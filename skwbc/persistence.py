"""Fitted models in files."""

import os
from pathlib import Path
from typing import Any

import joblib

from skwbc._files import replacing


def save_model(model: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a joblib file.

    The file is written beside `path` and moved into place when it is whole, so a model
    that stood there before is only ever replaced by a complete one. It holds the
    networks' weights, but no optimizer state and no training data.

    Parameters
    ----------
    model : estimator
        What to write.
    path : str or path-like
        The file. Its folder has to exist.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        joblib.dump(model, temporary)


def load_model(path: str | os.PathLike) -> Any:
    """Read a fitted classifier from a file written by :func:`save_model`.

    .. warning::
        Such files are pickles: loading one can run any code that its author put there.
        Load only files from people you trust.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        The classifier.

    Raises
    ------
    ValueError
        If the file is no model, or is damaged.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a model file.")
    with open(path, "rb"):
        pass  # What the system says of a missing or locked file is clear enough.
    try:
        model = joblib.load(path)
    except MemoryError:
        raise
    except Exception as error:
        # A damaged pickle can raise anything at all.
        raise ValueError(
            f"{path} could not be read as a model: {type(error).__name__}: {error}. "
            "Expected a file written by `skwbc train` or skwbc.save_model."
        ) from error
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise ValueError(
            f"{path} holds an object of type {type(model).__name__}, which is no "
            "fitted classifier. Expected a file written by `skwbc train` or "
            "skwbc.save_model."
        )
    return model
