"""Files are replaced as a whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skwbc._utils.files import check_writable, replacing


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"), replacing(tmp_path):
        pass
    missing = tmp_path / "no" / "a.txt"
    with pytest.raises(FileNotFoundError, match="does not exist"), replacing(missing):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_links_and_permissions_are_preserved(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    (tmp_path / "new.txt").symlink_to("made.txt")
    for name in (link, tmp_path / "new.txt"):
        with replacing(name) as temporary:
            temporary.write_text("new")
        assert name.is_symlink()
        assert name.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert len(os.listdir(tmp_path)) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name")
def test_a_pipe_is_written_to(tmp_path):
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    check_writable(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe.txt"]


def test_the_longest_possible_names(tmp_path):
    name = "a" * 251 + ".txt"
    check_writable(tmp_path / name)
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("new")
    assert os.listdir(tmp_path) == [name]


def test_errors_name_the_requested_file(tmp_path):
    path = tmp_path / ("a" * 300 + ".txt")
    for write in (replacing(path).__enter__, lambda: check_writable(path)):
        with pytest.raises(OSError, match="a" * 300):
            write()
    path = tmp_path / "b.txt"

    def fail(error):
        with replacing(path):
            raise error

    with pytest.raises(OSError, match="No space left on device: '.*b.txt'"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(OSError, match=r"read\.png"):
        fail(OSError(errno.EIO, os.strerror(errno.EIO), "read.png"))
    with pytest.raises(OSError, match=r"^of a library$"):
        fail(OSError("of a library"))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_temporary_file_is_as_private_as_what_it_replaces(tmp_path):
    path = tmp_path / "a.txt"
    for mode in (0o600, 0o640, 0o666, 0o400):
        path.write_text("old")
        path.chmod(mode)
        with replacing(path) as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == mode | 0o200
            temporary.write_text("new")
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.unlink()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid(), reason="only root gives files away"
)
def test_the_owner_stays_the_same(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.chown(path, 12345, 23456)
    path.chmod(0o2750)
    with replacing(path) as temporary:
        temporary.write_text("new")
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)
    assert stat.S_IMODE(status.st_mode) == 0o2750


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of POSIX there")
def test_what_a_killed_process_left_is_removed(tmp_path):
    code = (
        "import os, sys; from skwbc._utils.files import replacing\n"
        "with replacing(sys.argv[1]) as path:\n"
        "    print(path, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, tmp_path / "a.joblib"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as killed:
        left = Path(killed.stdout.readline()[:-1])
        check_writable(tmp_path / "b.csv")
        assert left.exists()  # Its process lives.
        killed.kill()
    (tmp_path / ".other").write_text("of another program")
    time.sleep(0.1)
    with replacing(tmp_path / "b.csv") as temporary:
        temporary.write_text("new")
    assert sorted(os.listdir(tmp_path)) == [".other", "b.csv"]
