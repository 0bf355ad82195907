"""Files are replaced as a whole or not at all."""

import errno
import os
import stat
import sys

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
