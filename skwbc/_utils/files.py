"""Write files atomically, check their owner and size, and describe errors."""

import errno
import os
import secrets
import stat
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
    import grp
    import pwd

    _locks: Any = fcntl
except ModuleNotFoundError:  # Windows
    _locks = None

# Largest image that is read: 300 MB of RGB. A file of a few kilobytes can claim more.
MAX_PIXELS = 100_000_000
_PREFIX = ".skwbc-"
# When each folder is next searched for files that a killed process left.
_next_search: dict[Path, float] = {}


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    The temporary file lies in the folder of `path` and keeps its suffix, because many
    writers choose the format by it. It is flushed to the disk before it is moved into
    place. It has the permissions of the file that it replaces from the start, and gets
    its owner and group, as far as the user may give files away. If the block raises,
    the temporary file is removed and `path` stays unchanged; if the process is killed,
    the next call for a file in this folder removes it. If `path` is a link, its target
    is replaced. A device or a pipe is written to when the block ends.

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
    status = _status_of(path)
    if status is None or stat.S_ISREG(status.st_mode):
        work = _moved_into_place(path, status)
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
def _moved_into_place(path: Path, status: os.stat_result | None) -> Iterator[Path]:
    with _created_beside(path, status) as temporary:
        yield temporary
        try:
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            if status is not None:
                _give(temporary, status)
            os.replace(temporary, os.path.realpath(path))
        except OSError as error:
            raise _named(error, path) from error


def _give(path: Path, status: os.stat_result) -> None:
    """Give a file the owner, the group and the permissions of another one."""
    if hasattr(os, "chown"):
        for owner in (status.st_uid, -1):
            with suppress(PermissionError):
                os.chown(path, owner, status.st_gid)
                break
    os.chmod(path, stat.S_IMODE(status.st_mode))


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / _temporary_name(path)
        yield temporary
        try:
            path.write_bytes(temporary.read_bytes())
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
    status = _status_of(path)
    if status is None or stat.S_ISREG(status.st_mode):
        with _created_beside(path, status):
            pass
    elif not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))


def _status_of(path: Path) -> os.stat_result | None:
    """Return the status of a file to write; None if it is new."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"The folder {folder} does not exist, so {path.name} cannot be "
                "written there. Create the folder first."
            ) from None
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder; expected the name of a file.")
    return status


@contextmanager
def _created_beside(path: Path, status: os.stat_result | None) -> Iterator[Path]:
    """Create a temporary file, locked as long as somebody writes it, and remove it."""
    folder = Path(os.path.realpath(path)).parent
    _remove_leftovers(folder)
    # The owner has to be able to write it. `tempfile` would ignore the umask.
    mode = 0o666 if status is None else stat.S_IMODE(status.st_mode) & 0o777 | 0o200
    try:
        while True:
            temporary = folder / _temporary_name(path)
            file = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            if _locks is None:
                os.close(file)  # Windows does not move open files.
                break
            if status is not None:
                os.fchmod(file, mode)
            with suppress(OSError):  # Not all file systems have locks.
                _locks.flock(file, _locks.LOCK_EX)
            if temporary.exists():
                break
            os.close(file)  # Another process took it for a leftover.
    except OSError as error:
        raise _named(error, path) from error
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        if _locks is not None:
            os.close(file)


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that were killed: nobody has locked them."""
    if _locks is None or time.monotonic() < _next_search.get(folder, 0):
        return
    start = time.thread_time()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open(entry.path, "rb") as file:
                    _locks.flock(file, _locks.LOCK_EX | _locks.LOCK_NB)
                    os.unlink(entry.path)
    # Thousands of files may be written to one folder: search for 5 % of the time.
    _next_search[folder] = time.monotonic() + 20 * (time.thread_time() - start)


def _temporary_name(path: Path) -> str:
    # Long additions could make the name too long.
    return f"{_PREFIX}{secrets.token_hex(8)}{path.suffix[:16]}"


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


def distrust(path: str | os.PathLike, opened: IO | None = None) -> str | None:
    """Return why a file or folder may have been written by another user.

    Parameters
    ----------
    path : str or path-like
        The file or folder; for a link its target.
    opened : file, default=None
        The open file. It is looked at instead of what has its name by now.

    Returns
    -------
    str or None
        The reason; None if there is none, or if files have no owners on this system.
    """
    if not hasattr(os, "geteuid"):
        return None
    target: int | str | os.PathLike = path if opened is None else opened.fileno()
    status = os.stat(target)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return "is not a regular file, so its author is not known"
    if status.st_uid != os.geteuid():
        return f"belongs to another user (number {status.st_uid})"
    if writers := _other_writers(target):
        return f"can be written by {writers}"
    for folder in Path(os.path.realpath(path)).parents:
        # In a folder with the sticky bit, users replace only their own files.
        sticky = os.stat(folder).st_mode & stat.S_ISVTX
        if not sticky and (writers := _other_writers(folder)):
            return f"lies in {folder}, which can be written by {writers}"
    return None


def _other_writers(target: int | str | os.PathLike) -> str | None:
    """Name who can write to a file or folder besides its owner."""
    status = os.stat(target)
    if status.st_mode & stat.S_IWOTH:
        return "every user"
    # With an access control list, these are the permissions of all whom it names.
    has_list = "system.posix_acl_access" in getattr(os, "listxattr", str)(target)
    shared = has_list or not _is_own_group(status)
    if status.st_mode & stat.S_IWGRP and shared:
        return f"its group (number {status.st_gid})"
    return None


def _is_own_group(status: os.stat_result) -> bool:
    """Tell whether only the owner is in a group, as systems with a umask of 002 do."""
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:  # They have no names.
        return status.st_uid == status.st_gid
    return owner.pw_name == group.gr_name and {*group.gr_mem} <= {owner.pw_name}


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


@contextmanager
def listing(errors: list[str]) -> Iterator[None]:
    """Append what is wrong with a file to a list, in place of raising an error."""
    try:
        yield
    except (OSError, ValueError) as error:
        errors.append(reason(error))


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
