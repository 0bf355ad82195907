"""Fitted models in files."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
from sklearn.exceptions import InconsistentVersionWarning

from skwbc._utils.files import replacing
from skwbc._utils.versions import (
    NewerFormatError,
    OtherVersionsWarning,
    read_stamp,  # noqa: F401, by this address pickles name it
)


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


@contextmanager
def _one_warning(path: Path) -> Iterator[None]:
    """Make one warning of those that each estimator in a file gives for itself."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    of_versions = [
        each.message
        for each in caught
        if isinstance(each.message, OtherVersionsWarning | InconsistentVersionWarning)
    ]
    for each in caught:
        if each.message not in of_versions:
            warnings.warn_explicit(
                each.message, each.category, each.filename, each.lineno
            )
    if of_versions:
        # Ours names all packages.
        ours = [each for each in of_versions if isinstance(each, OtherVersionsWarning)]
        first = (ours or of_versions)[0]
        warnings.warn(f"{path}: {first}", OtherVersionsWarning, stacklevel=4)


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
        If the file is no model, is damaged, or was written by a later skwbc in a format
        that this one does not know.
    OSError
        If it cannot be read.

    Warns
    -----
    UserWarning
        Once, if the file was written with other versions of skwbc, scikit-learn, Keras
        or TensorFlow than those that are here; it names both.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a model file.")
    with open(path, "rb"):
        pass  # What the system says of a missing or locked file is clear enough.
    try:
        with _one_warning(path):
            model = joblib.load(path)
    except MemoryError:
        raise
    except NewerFormatError as error:
        raise ValueError(f"{path} cannot be read. {error}") from error
    except Exception as error:
        # A damaged pickle can raise anything at all.
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, EOFError) and not path.stat().st_size:
            said = "it is empty"
        raise ValueError(
            f"{path} could not be read as a model: {said}. "
            "Expected a file written by `skwbc train` or skwbc.save_model."
        ) from error
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise ValueError(
            f"{path} holds an object of type {type(model).__name__}, which is no "
            "fitted classifier. Expected a file written by `skwbc train` or "
            "skwbc.save_model."
        )
    return model
