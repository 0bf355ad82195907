"""Training images among those that are predicted or evaluated."""

import json

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli
from skwbc.datasets import load_image_folder, make_blood_cells, save_image_folder
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.inspection import evaluate

SIZE = (20, 20)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return a folder with a model in both forms, its images, and others."""
    folder = tmp_path_factory.mktemp("overlap")
    for seed, name in enumerate(("cells", "apart")):
        images, target = make_blood_cells(6, image_size=SIZE, random_state=seed)
        save_image_folder(images, target, folder / name)
    data = load_image_folder(folder / "cells", image_size=SIZE)
    member = make_pipeline(ColourStatistics(), LogisticRegression(max_iter=5000))
    clf = KFoldEnsembleClassifier(member, cv=2, random_state=0)
    clf.fit(data.images, data.target)
    joblib.dump(clf, folder / "m.joblib")
    to_onnx(clf, folder / "m.onnx")
    return folder


@pytest.mark.parametrize("name", ["m.joblib", "m.onnx"])
@pytest.mark.filterwarnings("ignore:.*unlike the training")
def test_training_images_are_counted(path, name, tmp_path, capsys):
    file = path / name
    clf = OnnxClassifier(file) if file.suffix == ".onnx" else joblib.load(file)
    cells = load_image_folder(path / "cells", image_size=SIZE)
    apart = load_image_folder(path / "apart", image_size=SIZE, lazy=True)
    assert evaluate(clf, cells.images, cells.target)["n_trained_on"] == 18
    assert evaluate(clf, apart.images, apart.target)["n_trained_on"] == 0
    mixed = np.concatenate([np.asarray(apart.images), cells.images[:2]])
    target = np.concatenate([apart.target, cells.target[:2]])
    assert evaluate(clf, mixed, target)["n_trained_on"] == 2

    capsys.readouterr()
    report = tmp_path / "r.html"
    arguments = [str(file), str(path / "cells"), "--report", str(report)]
    assert cli.main(["evaluate", *arguments]) == 0
    text = "The model was trained on 18 of these 18 images"
    assert text in capsys.readouterr().out
    assert text in report.read_text()
    one, other = (next((path / each).glob("*/*.png")) for each in ("cells", "apart"))
    assert cli.main(["predict", str(file), str(one)]) == 0
    assert "The model was trained on this image." in capsys.readouterr().out
    assert cli.main(["predict", str(file), str(one), str(other), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["trained_on"] for row in rows] == [True, False]


def test_samples_that_are_not_images_have_none():
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    clf = KFoldEnsembleClassifier(LogisticRegression(), cv=2).fit(X, y)
    assert evaluate(clf, X, y)["n_trained_on"] is None
