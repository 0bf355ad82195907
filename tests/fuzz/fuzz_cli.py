"""The command with random arguments."""

import numpy as np
import pytest
from damage import FUZZ
from hypothesis import given, strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli, save_model
from skwbc.datasets import make_blood_cells, save_image_folder
from skwbc.export import to_onnx

OPTIONS = [
    *("--json", "--csv", "--coverage", "--trust", "--max-pixels", "--labels", "--help"),
    *("--model", "--recipe", "--classes", "--image-size", "--folds", "--epochs"),
    *("--seed", "--n-jobs", "--restarts", "--out", "-x", "--", "-"),
]
FILES = [
    *("m.onnx", "m.joblib", "cells", "cells/monocyte", "half.onnx", "half.joblib"),
    *("c.raw", "labels.txt", "empty", "empty.raw", "cut.png", "loop", "nowhere", "/"),
    *("", ".", "m.onnx/x", "a" * 300, "nul\0", "no\udcfftext.png", "out.csv", "o.onnx"),
]
# `train` gets neither a folder of classes nor labels, so that it never trains.
TRAINING = ["cells", ".", "labels.txt"]
VALUES = ["0", "1", "0.5", "-1", "nan", "inf", "1e9", "a,b", "x" * 5000, "\u0661", "\n"]
WORDS = st.one_of(
    st.sampled_from(FILES),
    st.sampled_from(OPTIONS),
    st.sampled_from(VALUES),
    st.text(max_size=12),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    X, y = make_blood_cells(3, image_size=(16, 16), random_state=0)
    save_image_folder(X, y, path / "cells")
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2).fit(X, y)
    save_model(clf, path / "m.joblib")
    to_onnx(clf, path / "m.onnx")
    for suffix in (".onnx", ".joblib"):
        content = (path / f"m{suffix}").read_bytes()
        (path / f"half{suffix}").write_bytes(content[: len(content) // 2])
    (path / "c.raw").write_bytes(np.zeros((2, 3, 16, 16), np.uint8).tobytes())
    (path / "labels.txt").write_text("0 1")
    (path / "empty").mkdir()
    (path / "empty.raw").write_bytes(b"")
    (path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (path / "loop").symlink_to("loop")
    return path


@FUZZ
@given(
    command=st.sampled_from(["predict", "evaluate", "export", "train", "fly", ""]),
    words=st.lists(WORDS, max_size=6),
)
def test_command_line(command, words, folder, within, capfd):
    if command == "train":
        words = [word for word in words if word not in TRAINING]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        capfd.readouterr()
        with within(60):
            code = cli.main([command, *words] if command else words)
    out, err = capfd.readouterr()
    assert code in (0, 1, 2), (out, err)
    for text in (out, err):
        assert "Traceback" not in text
        assert "please report it" not in text
    if code == 2 and out == "":
        assert "skwbc: error: " in err
