"""Save and load fitted models."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import joblib
from sklearn.exceptions import InconsistentVersionWarning

from skwbc._utils.files import replacing
from skwbc._utils.versions import (
    NewerFormatError,
    OtherVersionsWarning,
)


def save_model(model: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a joblib file.

    The file is written beside `path` and moved into place when it is complete, so an
    interrupted save leaves an earlier model intact. The file contains the weights of
    the networks, but neither optimizer state nor training data.

    Parameters
    ----------
    model : estimator
        The fitted model.
    path : str or path-like
        The file. Its folder must exist.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        joblib.dump(model, temporary)


@contextmanager
def _one_warning(path: Path) -> Iterator[None]:
    """Merge the warnings about versions that every estimator in a file issues."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    about_versions: list[Any] = []
    for each in caught:
        if isinstance(each.message, OtherVersionsWarning):
            about_versions.insert(0, each.message)  # It names all packages.
        elif isinstance(each.message, InconsistentVersionWarning):
            about_versions.append(each.message)
        else:
            warnings.warn_explicit(
                each.message, each.category, each.filename, each.lineno
            )
    if about_versions:
        message = f"{path}: {about_versions[0]}"
        warnings.warn(message, OtherVersionsWarning, stacklevel=5)


def load_model(path: str | os.PathLike) -> Any:
    """Read a fitted classifier from a file written by :func:`save_model`.

    .. warning::
        Such files are pickles: loading one can run arbitrary code. Load only files from
        people you trust.

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
        If the file is not a model, is damaged, or was written by a later version of
        skwbc in a format that this version cannot read.
    OSError
        If the file cannot be read.

    Warns
    -----
    UserWarning
        Once, if the versions of skwbc, scikit-learn, Keras or TensorFlow that wrote the
        file differ from the installed ones. It names both.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a model file.")
    with open(path, "rb") as file:
        return load_opened(file, path)


def load_opened(file: IO[bytes], path: Path) -> Any:
    """Read a classifier from a file that was opened and looked at; see `load_model`."""
    try:
        with _one_warning(path):
            model = joblib.load(file)
    except MemoryError:
        raise
    except NewerFormatError as error:
        raise ValueError(f"{path} cannot be read. {error}") from error
    except Exception as error:
        # A damaged pickle can raise any exception.
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, EOFError) and not os.fstat(file.fileno()).st_size:
            reason = "it is empty"
        raise ValueError(
            f"{path} could not be read as a model: {reason}. "
            "Expected a file written by `skwbc train` or skwbc.save_model."
        ) from error
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        raise ValueError(
            f"{path} contains an object of type {type(model).__name__}, which is not a "
            "fitted classifier. Expected a file written by `skwbc train` or "
            "skwbc.save_model."
        )
    return model
