"""Counts of fields: their intervals, their files, and what is left out."""

import csv
import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli, save_model
from skwbc.datasets import make_blood_cells, make_blood_smear
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.fields import count_cells, crop_cells, find_cells
from skwbc.fields._interval import adjusted_shares, wilson
from skwbc.report import write_count_report

CLASSES = ["eosinophil", "lymphocyte", "monocyte"]


@pytest.fixture(scope="module")
def model():
    X, y = make_blood_cells(30, classes=CLASSES, image_size=(32, 32), random_state=0)
    return KFoldEnsembleClassifier(
        make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression()),
        random_state=0,
    ).fit(X, y)


@pytest.fixture(scope="module")
def smear():
    return make_blood_smear(3, n_cells=5, classes=CLASSES, touching=0, random_state=2)


@pytest.fixture(scope="module")
def folder(smear, tmp_path_factory):
    path = tmp_path_factory.mktemp("fields")
    for k, field in enumerate(smear[0]):
        cv2.imwrite(str(path / f"field_{k}.png"), field[..., ::-1])
    return path


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.joblib"
    save_model(model, path)
    return path


def test_count_of_files_and_of_arrays(model, smear, folder):
    count = count_cells(model, folder)
    assert count.n_fields == 3
    assert count.n_counted + count.n_unlike == len(count.cells) == 15
    assert [row["class"] for row in count.classes] == CLASSES
    assert sum(row["cells"] for row in count.classes) == count.n_counted
    for column in ("percent", "adjusted"):
        assert sum(row[column] for row in count.classes) == pytest.approx(100)
    for row in count.classes:
        assert 0 <= row["low"] <= row["adjusted"] <= row["high"] <= 100
    assert count.is_adjusted
    again = count_cells(model, smear[0])
    assert again.classes == count.classes
    assert {row["field"] for row in again.cells} == {"field 0", "field 1", "field 2"}


@pytest.mark.filterwarnings("ignore:.* unlike the training samples")
def test_rows_of_cells_are_what_the_model_says(model, smear):
    field = smear[0][0]
    count = count_cells(model, field, margin=0.1)
    boxes = find_cells(field)
    images = crop_cells(field, boxes, margin=0.1, size=(32, 32))
    found = [[row[k] for k in ("xmin", "ymin", "xmax", "ymax")] for row in count.cells]
    np.testing.assert_array_equal(found, boxes)
    proba = [[*row["probabilities"].values()] for row in count.cells]
    np.testing.assert_allclose(proba, model.predict_proba(images))
    p = model.typicality(images)
    np.testing.assert_allclose([row["typicality"] for row in count.cells], p)
    np.testing.assert_array_equal([row["counted"] for row in count.cells], p >= 0.05)


def test_a_model_in_onnx_counts_the_same(model, folder, tmp_path):
    to_onnx(model, tmp_path / "m.onnx")
    expected = count_cells(model, folder)
    count = count_cells(OnnxClassifier(tmp_path / "m.onnx"), folder)
    assert count.is_adjusted
    for one, other in zip(count.classes, expected.classes, strict=True):
        assert one == pytest.approx(other)


def test_counting_with_onnx_imports_neither_keras_nor_scikit_learn(
    model, folder, tmp_path
):
    to_onnx(model, tmp_path / "m.onnx")
    code = (
        "import sys; from skwbc import cli; "
        f"print(cli.main(['count', {str(tmp_path / 'm.onnx')!r}, {str(folder)!r}])); "
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "cells counted" in run.stdout
    for heavy in ("keras", "tensorflow", "sklearn", "scipy"):
        assert f"'{heavy}'" not in run.stdout


def test_an_older_model_is_not_adjusted(model, folder):
    older = KFoldEnsembleClassifier(model.estimator)
    older.__dict__ = {k: v for k, v in vars(model).items() if k != "_confusion"}
    count = count_cells(older, folder)
    assert not count.is_adjusted
    for row in count.classes:
        assert row["adjusted"] == pytest.approx(row["percent"])


@pytest.mark.parametrize("n_held_out", [20, 200])
def test_intervals_hold_the_truth(n_held_out):
    """The naive interval does not, because a class is confused with another."""
    rng = np.random.default_rng(0)
    truth = np.array([0.6, 0.3, 0.1])
    rates = np.array([[0.85, 0.1, 0.05], [0.1, 0.85, 0.05], [0.05, 0.05, 0.9]])
    held, naive = [], []
    for _ in range(100):
        confusion = np.array([rng.multinomial(n_held_out, row) for row in rates])
        counts = rng.multinomial(300, truth @ rates)
        shares, low, high = adjusted_shares(counts, confusion)
        assert shares.sum() == pytest.approx(1)
        held.append((low <= truth) & (truth <= high))
        low, high = wilson(counts)
        naive.append((low <= truth) & (truth <= high))
    assert np.mean(held) > 0.9
    assert np.mean(naive) < 0.8


def test_few_held_out_cells_widen_the_interval():
    counts = np.array([60, 40])
    widths = []
    for n in (10, 1000):
        _, low, high = adjusted_shares(counts, np.array([[9, 1], [1, 9]]) * n // 10)
        widths.append(high - low)
    assert (widths[0] > 1.5 * widths[1]).all()


def test_shares_are_corrected_for_confusions():
    confusion = np.array([[900, 100], [0, 1000]])
    shares, _, _ = adjusted_shares(np.array([450, 550]), confusion)
    assert shares == pytest.approx([0.5, 0.5], abs=0.01)


def test_commands(model_file, folder, tmp_path, capsys):
    out, preview = tmp_path / "cells", tmp_path / "preview"
    arguments = ["crop", str(folder), "--out", str(out), "--preview", str(preview)]
    assert cli.main(arguments) == 0
    with open(out / "cells.csv", newline="") as table:
        rows = [*csv.DictReader(table)]
    assert sorted(row["file"] for row in rows) == sorted(
        path.name for path in out.glob("*.png")
    )
    assert len(rows) == 15
    assert cv2.imread(str(out / rows[0]["file"])).shape == (160, 160, 3)
    assert len([*preview.glob("*.jpg")]) == 3
    assert cli.main(arguments) == 2
    assert "not an empty folder" in capsys.readouterr().err

    table, report = tmp_path / "c.csv", tmp_path / "c.html"
    arguments = ["count", str(model_file), str(folder), "--csv", str(table)]
    assert cli.main([*arguments, "--report", str(report), "--json"]) == 0
    count = json.loads(capsys.readouterr().out)
    assert len(count["cells"]) == 15
    with open(table, newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["predicted"] for row in rows] == [
        row["predicted"] for row in count["cells"]
    ]
    assert {*CLASSES} < rows[0].keys()
    page = report.read_text(encoding="utf-8")
    for row in count["classes"]:
        assert f"{row['low']:.1f} to {row['high']:.1f}" in page
    assert page.count("<figure>") == 3


def test_report_from_python(model, smear, tmp_path):
    count = count_cells(model, smear[0])
    path = tmp_path / "count.html"
    write_count_report(path, model, count, smear[0])
    page = path.read_text(encoding="utf-8")
    assert "field 2" in page
    assert f"{count.n_counted}" in page


def test_what_is_no_field_gets_a_line(model_file, folder, tmp_path, capsys):
    X, _ = make_blood_cells(1, image_size=(96, 96), random_state=0)
    fields = tmp_path / "fields"
    fields.mkdir()
    cv2.imwrite(str(fields / "crop.png"), X[0][..., ::-1])
    cv2.imwrite(str(fields / "grey.png"), np.full((60, 60), 99, np.uint8))
    (fields / "text.png").write_text("no image")
    (fields / "field.png").write_bytes((folder / "field_0.png").read_bytes())
    assert cli.main(["count", str(model_file), str(fields)]) == 1
    output = capsys.readouterr()
    assert re.search(r"cells counted: [45]; fields: 1", output.out)
    lines = output.err.splitlines()
    assert len(lines) == 3
    assert "crop.png looks like the image of one cell" in lines[0]
    assert "grey.png is grey" in lines[1]
    assert "text.png could not be decoded" in lines[2]


def test_nothing_to_count(model_file, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.main(["count", str(model_file), str(empty)]) == 2
    assert "has no image in it" in capsys.readouterr().err
    plain = np.full((90, 120, 3), (220, 200, 210), np.uint8)
    cv2.imwrite(str(empty / "plain.png"), plain)
    for command in (["count", str(model_file)], ["crop", "--out", str(tmp_path / "o")]):
        assert cli.main([*command, str(empty)]) == 2
        error = capsys.readouterr().err
        assert "No cell was found in 1 field" in error
        assert "--diameter" in error


def test_predict_says_that_an_image_is_a_field(model_file, folder, capsys):
    assert cli.main(["predict", str(model_file), str(folder)]) == 0
    error = capsys.readouterr().err
    assert "field_0.png looks like a whole field" in error
    assert "skwbc count" in error


def test_a_large_field_is_refused_before_it_is_read(model_file, folder, capsys):
    arguments = ["count", str(model_file), str(folder), "--max-pixels", "1000"]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert "640 x 480 pixels" in error
    assert "Export fields" in error


def test_a_model_of_other_images_is_refused():
    X, y = make_blood_cells(4, image_size=(16, 16), random_state=0)
    model = KFoldEnsembleClassifier(
        make_pipeline(ColourStatistics(), LogisticRegression()), cv=2
    ).fit(X[..., :1] / 255, y)
    with pytest.raises(ValueError, match=r"1 channels in which white is 1"):
        count_cells(model, np.full((60, 60, 3), 9, np.uint8))
