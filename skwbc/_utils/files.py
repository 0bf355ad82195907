"""Write files atomically, check their owner and size, and describe errors."""

import errno
import os
import secrets
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Largest image that is read: 300 MB of RGB. A file of a few kilobytes can claim more.
MAX_PIXELS = 100_000_000


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    The temporary file lies in the folder of `path` and keeps its suffix, because many
    writers choose the format by it. It is flushed to the disk before it is moved into
    place, and gets the permissions of the file that it replaces. If the block raises,
    the temporary file is removed and `path` stays unchanged. If `path` is a link, its
    target is replaced. A device or a pipe is written to when the block ends.

    Parameters
    ----------
    path : str or path-like
        The file to write. Its folder must exist.

    Yields
    ------
    pathlib.Path
        The path to write to.

    Raises
    ------
    FileNotFoundError
        If the folder of `path` does not exist.
    IsADirectoryError
        If `path` is a folder.
    OSError
        If the file cannot be written. The error names `path`, not the temporary file.
    """
    path = Path(path)
    mode = _mode_of(path)
    if mode is None or stat.S_ISREG(mode):
        work = _moved_into_place(path, mode)
    else:
        work = _copied(path)
    with work as temporary:
        try:
            yield temporary
        except OSError as error:
            # If the disk is full, the system names no file. Errors about files that the
            # block reads keep their names.
            names = (None, temporary, os.fspath(temporary))
            if error.errno is not None and error.filename in names:
                raise _named(error, path) from error
            raise


@contextmanager
def _moved_into_place(path: Path, mode: int | None) -> Iterator[Path]:
    temporary = _create_beside(path)
    try:
        yield temporary
        try:
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            os.replace(temporary, os.path.realpath(path))
        except OSError as error:
            raise _named(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / _temporary_name(path)
        yield temporary
        try:
            with open(temporary, "rb") as written, open(path, "wb") as target:
                shutil.copyfileobj(written, target)
        except OSError as error:
            raise _named(error, path) from error


def _named(error: OSError, path: Path) -> OSError:
    """Return the error with the path that the user passed."""
    return OSError(error.errno, error.strerror, os.fspath(path))


def check_writable(path: str | os.PathLike) -> None:
    """Check that a file can be written, before computing what goes into it.

    Parameters
    ----------
    path : str or path-like
        The file to write.

    Raises
    ------
    OSError
        If it cannot be written. The error names `path`.
    """
    path = Path(path)
    mode = _mode_of(path)
    if mode is None or stat.S_ISREG(mode):
        _create_beside(path).unlink()
    elif not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def _mode_of(path: Path) -> int | None:
    """Return kind and permissions of a file to write; None if it is new."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The folder {folder} does not exist, so {path.name} cannot be "
                "written there. Create the folder first."
            ) from None
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file.")
    return mode


def _create_beside(path: Path) -> Path:
    file = Path(os.path.realpath(path))
    temporary = file.with_name(_temporary_name(file))
    try:
        # `tempfile` would ignore the umask of the user.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise _named(error, path) from error
    return temporary


def _temporary_name(path: Path) -> str:
    # Short, because the additions could make a long name too long.
    return f".{path.stem[:16]}-{secrets.token_hex(8)}{path.suffix[:16]}"


def common_folder(names: Sequence[str]) -> str | None:
    """Return the folder that files have in common.

    Parameters
    ----------
    names : sequence of str
        Their paths.

    Returns
    -------
    str or None
        "" if relative paths have no folder in common. None if absolute and relative
        paths or several drives are mixed, or there are no paths.
    """
    try:
        return os.path.commonpath([os.path.dirname(name) for name in names])
    except ValueError:
        return None


def distrust(path: str | os.PathLike, *, group: bool = False) -> str | None:
    """Return why a file may have been written by another user.

    Parameters
    ----------
    path : str or path-like
        The file or folder; for a link its target.
    group : bool, default=False
        Whether the group of the file must not be able to write to it, either.

    Returns
    -------
    str or None
        The reason; None if there is none, or if files have no owners on this system.
    """
    if not hasattr(os, "geteuid"):
        return None
    status = os.stat(path)
    if status.st_uid != os.geteuid():
        return f"belongs to another user (number {status.st_uid})"
    if status.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if group and status.st_mode & stat.S_IWGRP:
        return f"can be written by its group (number {status.st_gid})"
    return None


def reason(error: Exception) -> str:
    """Describe an error in one line that begins with the file, if there is one.

    Parameters
    ----------
    error : Exception
        The exception.

    Returns
    -------
    str
    """
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def one_spelling(name: str) -> str:
    """Normalise accents: macOS stores them apart from their letters.

    Parameters
    ----------
    name : str
        A name, for example of a folder.

    Returns
    -------
    str
        Equal for names that look the same.
    """
    return unicodedata.normalize("NFC", name)
