"""Files: written whole or not at all, whose they are, how large, what failed."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of an image file, 300 MB of RGB. One of a few kilobytes can claim to be far larger.
MAX_PIXELS = 100_000_000


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends well.

    The temporary file lies in the folder of `path` and keeps its suffix, because
    many writers choose the format by it. It is flushed to the disk before it is moved
    into place. When the block raises, the temporary file is removed and whatever
    stood at `path` is left as it was.

    Parameters
    ----------
    path : str or path-like
        The file to be written. Its folder has to exist.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    FileNotFoundError
        If the folder of `path` does not exist.
    IsADirectoryError
        If `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {path.parent} does not exist, so {path.name} cannot be "
            "written there. Create the folder first."
        )
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    # Created here, and not by a library, so that the file gets the user's own umask.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def distrust(path: str | os.PathLike) -> str | None:
    """Say why a file may have been written by somebody else than the user.

    Parameters
    ----------
    path : str or path-like
        The file; of a link, what it leads to.

    Returns
    -------
    str or None
        What speaks against it; None if nothing does, and where files have no owners.
    """
    if not hasattr(os, "geteuid"):
        return None
    found = os.stat(path)
    if found.st_uid != os.geteuid():
        return f"belongs to another user (number {found.st_uid})"
    if found.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    return None


def reason(error: Exception) -> str:
    """Say in one line what failed, with the file first if the system names one.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    str
    """
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
