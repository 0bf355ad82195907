"""Keep finished members in a folder, and take them from there if nothing changed."""

import hashlib
import os
import pickle
import stat
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from joblib import wrap_non_picklable_objects
from sklearn import get_config
from sklearn.utils.validation import check_memory

from skwbc._utils.files import distrust, reason, replacing
from skwbc._utils.versions import versions
from skwbc.ensemble._fingerprint import Fingerprint, version_of
from skwbc.ensemble._members import FittedFold, fit_one_fold

# Parameters of `fit_one_fold` that only serve to report progress. The number of the
# fold is not among them, so that equal splits have different members.
_REPORTING = ["n_folds", "owner", "context"]
_HEADER = b"skwbc member 1\n"
_LIBRARIES = ("numpy", "scipy", "sklearn", "joblib", "cv2", "scikeras")


def resumable_fits(
    memory: Any, calls: Sequence[dict[str, Any]]
) -> list[Callable[..., FittedFold]]:
    """Return a function for each call of ``fit_one_fold`` that may skip it.

    Parameters
    ----------
    memory : str, path-like, joblib.Memory or None
        Parameter of the ensemble.
    calls : sequence of dict
        Arguments by their names, one dict per fold.

    Returns
    -------
    list of callable
        They take the arguments of the call, and can be pickled.

    Raises
    ------
    PermissionError
        If other users can write to the folder.
    NotADirectoryError
        If `memory` is a file.
    """
    if not isinstance(memory, str | os.PathLike):
        fit = fit_one_fold
        if memory is not None:
            fit = check_memory(memory).cache(fit_one_fold, ignore=_REPORTING)
        return [fit] * len(calls)
    folder = _open_folder(Path(memory))
    fingerprint = Fingerprint()
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    import_module("cv2")  # Its version has more digits before it is loaded.
    libraries = {name: version_of(name) for name in (*_LIBRARIES, backend)}
    common = [backend, libraries, versions(), get_config()["transform_output"]]
    fits: list[Callable[..., FittedFold]] = []
    for call in calls:
        arguments = {k: v for k, v in call.items() if k not in _REPORTING}
        # Data that the calls share are read for the first of them only.
        key = fingerprint.of([fingerprint.of(common), fingerprint.of(arguments)])
        # An absolute path, because workers may run in another folder.
        fits.append(partial(_kept_fit, folder / f"{key.hex()}.member"))
    return fits


def _kept_fit(file: Path, **call: Any) -> FittedFold:
    """Return the member in a file, or fit it and write the file."""
    if (kept := _read(file)) is not None:
        return kept
    fitted = fit_one_fold(**call)
    try:
        content = _pickled(fitted)
        with replacing(file) as temporary:
            temporary.chmod(stat.S_IRUSR | stat.S_IWUSR)
            temporary.write_bytes(_HEADER + _checksum(content) + content)
    except Exception as error:
        # A full disk, or a member that cannot be pickled, which may raise anything.
        warnings.warn(
            f"A finished member was not stored in {file.parent}, so the fit "
            f"cannot resume after it: {reason(error)}",
            stacklevel=2,
        )
    return fitted


def _read(file: Path) -> FittedFold | None:
    try:
        with open(file, "rb") as opened:
            _check_owner(file, "file", opened)
            content = opened.read()
    except FileNotFoundError:
        return None
    checksum = content[len(_HEADER) :][: hashlib.sha256().digest_size]
    start = len(_HEADER) + len(checksum)
    problem = "it is damaged"
    if content.startswith(_HEADER) and checksum == _checksum(content[start:]):
        try:
            kept = pickle.loads(content[start:])
        except Exception as error:
            problem = f"it cannot be read ({type(error).__name__}: {error})"
        else:
            if isinstance(kept, FittedFold):
                return kept
            problem = "it holds no member"
    warnings.warn(
        f"{file} is not used: {problem}. The member is trained anew.", stacklevel=3
    )
    return None


def _pickled(fitted: FittedFold) -> bytes:
    try:
        return pickle.dumps(fitted)
    except Exception:
        # Lambdas and local classes need cloudpickle.
        wrapped = wrap_non_picklable_objects(fitted, keep_wrapper=False)
        return pickle.dumps(wrapped)


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _open_folder(folder: Path) -> Path:
    """Make the folder, or check that only this user can write to it."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(
            f"memory={str(folder)!r} is a file; expected a folder."
        ) from None
    _check_owner(folder, "folder")
    return folder


def _check_owner(path: Path, kind: str, opened: IO | None = None) -> None:
    if problem := distrust(path, opened):
        raise PermissionError(
            f"The {kind} {path} {problem}. Stored members are pickles: who can write "
            f"them can run code as you. Run `chmod go-w` on it if it is yours and you "
            "trust its content; otherwise use another folder as memory."
        )
