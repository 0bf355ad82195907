"""Files are complete or unchanged after a kill or on a full disk."""

import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli, save_model
from skwbc.export import to_onnx

# Free bytes on a nearly full disk, one page of memory: fewer than any file needs.
FREE = 4096


@pytest.fixture(scope="module")
def clf(cells):
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    return KFoldEnsembleClassifier(member, cv=2).fit(cells.images, cells.target)


@pytest.fixture(scope="module")
def onnx(clf, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "c.onnx"
    to_onnx(clf, path)
    return path


@pytest.fixture(scope="module")
def raw(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "c.raw"
    many = np.concatenate([cells.images] * 5)
    path.write_bytes(many.transpose(0, 3, 1, 2).tobytes())
    return path


@contextmanager
def tmpfs(folder):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (folder / "filler").write_bytes(bytes(65536 - 4 * FREE))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def limit(folder):
    """Limit the size of files. Python ignores the signal, so writing fails."""
    resource = pytest.importorskip("resource")
    (folder / "filler").write_bytes(b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FREE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("disk", [tmpfs, limit])
def test_a_full_disk_leaves_the_old_files(disk, clf, onnx, raw, tmp_path, capsys):
    names = ["filler", "m.csv", "m.joblib", "m.onnx"]
    with disk(tmp_path):
        for name in names[1:]:
            (tmp_path / name).write_bytes(b"old")
        with pytest.raises(OSError):
            save_model(clf, tmp_path / "m.joblib")
        with pytest.raises(OSError):
            to_onnx(clf, tmp_path / "m.onnx")
        arguments = ["predict", str(onnx), str(raw), "--csv", str(tmp_path / "m.csv")]
        capsys.readouterr()
        assert cli.main(arguments) == 2
        out, err = capsys.readouterr()
        assert out.count(" of 2") == 120
        assert len(err.splitlines()) == 1
        assert "m.csv: " in err
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        for name in names[1:]:
            assert (tmp_path / name).read_bytes() == b"old"


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.joblib"
    path.write_bytes(b"old")
    code = """
        import sys, time
        from skwbc import save_model

        class Slow:
            def __reduce__(self):
                print("writing", flush=True)
                time.sleep(60)

        save_model([bytes(100_000), Slow()], sys.argv[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b"writing\n"
            written = [each.stat().st_size for each in tmp_path.iterdir()]
            assert max(written) > 50_000
        finally:
            writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
