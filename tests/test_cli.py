"""The command, mostly in this process, because importing Keras takes seconds."""

import csv
import html
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import skwbc
from skwbc import FlattenImages, KFoldEnsembleClassifier, cli, load_model
from skwbc.cli import _training
from skwbc.cli._groups import GroupTable
from skwbc.datasets import (
    load_image_folder,
    load_raw_images,
    make_blood_cells,
    save_image_folder,
)
from skwbc.export import to_onnx

CLASSES = ("eosinophil", "monocyte", "neutrophil", "basophil")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with four class folders of eight cells each."""
    path = tmp_path_factory.mktemp("cells")
    images, target = make_blood_cells(
        8, classes=CLASSES, image_size=(40, 40), random_state=0
    )
    save_image_folder(images, target, path)
    return path


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.joblib"
    code = cli.main(
        ["train", str(folder), "--model", str(path), "--folds", "2", "--epochs", "1",
         "--image-size", "16", "--classes", "neutrophil,eosinophil,monocyte"]
    )  # fmt: skip
    assert code == 0
    return path


@pytest.fixture(scope="module")
def onnx(model):
    path = model.with_name("m.onnx")
    assert cli.main(["export", str(model), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def raw(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("raw")
    images, target = make_blood_cells(6, image_size=(16, 16), random_state=0)
    (path / "c.raw").write_bytes(images.transpose(0, 3, 1, 2).tobytes())
    codes = np.searchsorted(np.unique(target), target)
    (path / "labels.txt").write_text("".join(map(str, codes)))
    (path / "invalid.onnx").write_bytes(b"invalid")
    (path / "page.html").write_bytes(b"page")
    (path / "link.onnx").hardlink_to(model)
    tables = {
        "other": "monocyte/none.png,A",
        "one": "".join(
            f"{name}/cell_{k:02}.png,A\n" for name in CLASSES for k in range(40)
        ),
        "none": "0001.png,A",
    }
    for name, lines in tables.items():
        (path / f"{name}.csv").write_text(f"filename,group\n{lines}\n")
    (path / "open.joblib").write_bytes(b"\x80")
    (path / "open.joblib").chmod(0o666)
    rows = KFoldEnsembleClassifier(LogisticRegression(), cv=2)
    to_onnx(rows.fit(np.eye(6), [0, 1] * 3), path / "rows.onnx")
    flat = make_pipeline(FlattenImages(), LogisticRegression(max_iter=5000))
    floats = KFoldEnsembleClassifier(flat, cv=2).fit(images / 255, target)
    to_onnx(floats, path / "floats.onnx", input_dtype="float32")
    return path


def run(capsys, *arguments):
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_train_prints_progress_and_results(folder, tmp_path, capsys):
    path = tmp_path / "m.joblib"
    code, out, err = run(
        capsys, "train", folder, "--model", path, "--folds", 2, "--epochs", 2,
        "--image-size", 16, "--seed", 3, "--restarts", 1,
    )  # fmt: skip
    assert code == 0
    assert "4 classes: basophil, eosinophil" in err
    assert "fold 2 of 2" in err
    for word in (
        "val_loss",
        "val_accuracy",
        "score",
        "2 of 2",
        "mean",
        "not trained on an image",
    ):
        assert word in out
    model = load_model(path)
    assert (model.random_state, model.n_restarts) == (3, 1)


def test_any_number_of_jobs_gives_the_same_model(folder, tmp_path, capsys):
    answers = []
    for n_jobs in (1, 2, 4):
        path = tmp_path / f"{n_jobs}.joblib"
        code, _, err = run(
            capsys, "train", folder, "--model", path, "--folds", 3, "--epochs", 3,
            "--image-size", 16, "--n-jobs", n_jobs,
        )  # fmt: skip
        assert code == 0
        assert "all folds" in err
        answers.append(run(capsys, "predict", path, folder, "--json")[1])
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.filterwarnings("default:.*have no label")
def test_labels_in_a_table(folder, model, tmp_path, capsys):
    """Without folders of classes, in training and in evaluation, with groups."""
    names = sorted(file.name for file in folder.glob("[m-n]*/*.png"))
    lines = [f"{name}\t{'mn'[k // 8]}\tP{k % 4}\t" for k, name in enumerate(names)]
    assert len(set(names)) == len(names) == 16
    labels = tmp_path / "labels.tsv"
    labels.write_text("\n".join(["name\tkind\twho\tnotes", *lines, "x.png\t\t\t"]))
    columns = ["--image-column", "name", "--label-column", "kind"]
    data = [str(folder), "--labels", str(labels)]
    path = tmp_path / "t.joblib"
    short = ["--model", str(path), "--folds", "2", "--epochs", "1"]
    short += ["--image-size", "16"]
    code, _, err = run(capsys, "train", *data, *short)
    assert code == 2
    assert "has the columns ['name', 'kind', 'who', 'notes']; expected 'file'" in err
    group = ["--group-column", "who"]
    code, _, err = run(capsys, "train", *data, *short, *columns, *group)
    assert code == 0
    assert "1 of 17 rows of" in err
    assert "have no label" in err
    assert "on 16 images of 2 classes: m, n; 4 groups" in err
    code, out, _ = run(capsys, "evaluate", str(path), *data, *columns, "--json")
    assert code == 0
    assert json.loads(out)["n_samples"] == 16
    code, _, err = run(capsys, "evaluate", str(model), *data, *columns)
    assert code == 2
    assert "has the labels m, n, but the model has the classes" in err


def test_channels_are_remembered(tmp_path, capsys):
    """Three channels of 16 bits out of four, and of two pages the brightest."""
    cells, target = make_blood_cells(4, image_size=(20, 20), random_state=0)
    for number, (cell, label) in enumerate(zip(cells, target, strict=True)):
        four = np.moveaxis(np.dstack([cell, cell[::-1, :, 2]]), 2, 0)
        pages = np.stack([four * np.uint16(200), four * np.uint16(100)])
        file = tmp_path / "cells" / label / f"{number}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, pages, imagej=True, metadata={"axes": "TCYX"})
    data, model = str(tmp_path / "cells"), str(tmp_path / "m.joblib")
    train = ["train", data, "--model", model, "--folds", "2", "--epochs", "1"]
    train += ["--image-size", "16"]
    for options, message in (
        ([], "Choose one by page=0"),
        (["--page", "0"], "4 channels of 16 bits"),
        (["--channels", "0,x"], "expected numbers from 0"),
        (["--channels", "4", "--page", "0"], "there is no channel 4"),
    ):
        code, _, err = run(capsys, *train, *options)
        assert code == 2
        assert message in err
    report = str(tmp_path / "r.html")
    code, *_ = run(
        capsys, *train, "--channels", "3,0,1", "--page", "max", "--report", report
    )
    assert code == 0
    assert run(capsys, "export", model, str(tmp_path / "m.onnx"))[0] == 0
    X = load_image_folder(data, image_size=(16, 16), channels=[3, 0, 1], page="max")
    expected = load_model(model).predict_proba(X.images)
    for name in ("m.joblib", "m.onnx"):
        code, out, _ = run(capsys, "predict", str(tmp_path / name), data, "--json")
        assert code == 0
        rows = [list(row["probabilities"].values()) for row in json.loads(out)]
        assert np.abs(np.array(rows) - expected).max() < 1e-4
        evaluate = ["evaluate", str(tmp_path / name), data, "--report", report]
        assert run(capsys, *evaluate)[0] == 0
    save_image_folder(cells[:1], ["a"], tmp_path)
    code, _, err = run(capsys, "predict", model, str(tmp_path / "a"))
    assert code == 2
    assert "there is no channel 3" in err


@pytest.mark.parametrize("recipe", ["compact", "features", "article"])
def test_groups_stay_in_one_fold(folder, tmp_path, capsys, recipe):
    """The table may have additional lines and columns, in any order."""
    cells = load_image_folder(folder, classes=["monocyte", "neutrophil"])
    patients = np.array([f"patient {k % 5}" for k in range(len(cells.filenames))])
    table = tmp_path / "patients.csv"
    with open(table, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "age", "filename"])
        # Paths as on Windows, relative to another folder.
        for patient, name in zip(patients, map(Path, cells.filenames), strict=True):
            writer.writerow([patient, 9, "\\".join(["C:", *name.parts[-3:]])])
        writer.writerow(["nobody", 0, "eosinophil/none.png"])
    path, report = tmp_path / "m.joblib", tmp_path / "r.html"
    code, out, err = run(
        capsys, "train", folder, "--model", path, "--folds", 2,
        "--image-size", 16, "--classes", "neutrophil,monocyte", "--recipe", recipe,
        "--groups", table, "--group-column", "patient", "--report", report,
        *(() if recipe == "features" else ("--epochs", 2)),
    )  # fmt: skip
    assert code == 0, err
    for train, held_out in load_model(path).splits_:
        assert not set(patients[train]) & set(patients[held_out])
    # With the article's recipe the held-out fold chooses the epoch.
    words = "which is optimistic: the held-out folds stopped the training or chose"
    assert (words in " ".join(out.split())) == (recipe == "article")
    text = html.unescape(report.read_text(encoding="utf-8"))
    assert f"make_cell_classifier('{recipe}', cv=2" in text
    assert "model.fit(X, y, groups=groups)" in text


@pytest.mark.parametrize(
    ("head", "lines", "message"),
    [
        ("filename , group", "{key} ,p{half} \n{key},p{half}", "to only 2 g"),
        ("filename,group", "{key},é\n{key},e\u0301", "to only 1 g"),
        ("filename,group,group", "{key},{half},x", "expected different names"),
        ("filename,group,filename", "{key},A,{key}", "expected different names"),
        ("filename,group", "{key},A\n{key},B", "twice, in the groups 'A' and 'B'"),
        ("filename,group", "a/1.png,A\na/1.png,B\n{key},{half}", "to only 2 g"),
        # Other data sets have class folders and files of the same names.
        ("filename,group", "x/{key},A\n{top}/{key},{half}", "to only 2 g"),
        ("filename,group", "{key},A\n./x/{top}/{key},{half}", "to only 2 g"),
        ("filename,group", "x/{top}/{key},A\ny/{top}/{key},B", "twice, in the groups"),
        ("filename,group", "x/{key},{half}", "x/basophil/cell_03.png, but the image"),
    ],
)
def test_which_line_of_a_table_is_for_an_image(
    folder, tmp_path, capsys, head, lines, message
):
    table = tmp_path / "g.csv"
    with open(table, "w", encoding="utf-8") as file:
        print(head, file=file)
        for k, path in enumerate(sorted(folder.glob("*/*"))):
            key = f"{path.parent.name}/{path.name}"
            print(lines.format(top=folder.name, key=key, half=k % 2), file=file)
    code, _, err = run(capsys, "train", folder, "--model", "m", "--groups", table)
    assert code == 2
    assert message in err


@pytest.mark.filterwarnings("always:Classes with fewer samples than folds")
def test_train_with_rare_classes(folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    for name, n in (("basophil", 1), ("monocyte", 2)):
        for path in sorted((data / name).iterdir())[n:]:
            path.unlink()
    path, report = tmp_path / "m.joblib", tmp_path / "r.html"
    code, _, err = run(
        capsys, "train", data, "--model", path, "--folds", 3, "--epochs", 1,
        "--image-size", 16, "--report", report,
    )  # fmt: skip
    assert code == 0, err
    (warning,) = (line for line in err.splitlines() if "fewer samples" in line)
    assert "'basophil' has a single sample, which all members are trained" in warning
    assert "'monocyte' has 2 samples" in warning
    assert "tratified" not in err + report.read_text(encoding="utf-8")
    code, out, _ = run(capsys, "evaluate", path, data, "--json")
    assert code == 0
    assert json.loads(out)["per_class"]["basophil"]["support"] == 1


def test_raw_files_from_training_to_prediction(raw, tmp_path, capsys):
    path, labels = tmp_path / "a.joblib", raw / "labels.txt"
    code, _, _ = run(
        capsys, "train", raw / "c.raw", "--labels", labels, "--recipe", "article",
        "--model", path, "--folds", 2, "--epochs", 1, "--image-size", 16,
    )  # fmt: skip
    assert code == 0
    code, out, _ = run(capsys, "evaluate", path, raw / "c.raw", "--labels", labels)
    assert code == 0
    assert "balanced accuracy" in out
    code, out, _ = run(capsys, "predict", path, raw / "c.raw", "--json")
    rows = json.loads(out)
    assert len(rows) == 18
    assert set(rows[0]["probabilities"]) == {"0", "1", "2"}


def test_a_folder_may_be_called_as_a_raw_file(onnx, folder, tmp_path, capsys):
    path = tmp_path / "cells.raw"
    path.symlink_to(folder, target_is_directory=True)
    assert run(capsys, "evaluate", onnx, path)[0] == 0


def test_names_for_the_digits_of_raw_files(raw, model, tmp_path, capsys):
    """Train on class folders, evaluate on the article's kind of files, and reverse."""
    files = raw / "c.raw", "--labels", raw / "labels.txt"
    names = "--class-names", "eosinophil, monocyte,neutrophil"
    code, _, err = run(capsys, "evaluate", model, *files)
    assert code == 2
    assert "--class-names A,B,C gives the digits 0, 1, 2 names" in err
    code, out, _ = run(capsys, "evaluate", model, *files, *names, "--json")
    assert code == 0
    assert [each["support"] for each in json.loads(out)["per_class"].values()] == [
        6
    ] * 3
    path = tmp_path / "m.joblib"
    code, _, err = run(
        capsys, "train", *files, *names, "--model", path, "--folds", 2,
        "--epochs", 1, "--image-size", 16,
    )  # fmt: skip
    assert code == 0
    assert "3 classes: eosinophil, monocyte, neutrophil" in err
    assert list(load_model(path).classes_) == ["eosinophil", "monocyte", "neutrophil"]


@pytest.mark.parametrize("digits", [int, str], ids=["raw files", "class folders"])
def test_digits_are_classes_in_files_and_folders(raw, tmp_path, capsys, digits):
    """Models of digits evaluate both kinds of data."""
    labels = raw / "labels.txt"
    cells = load_raw_images(raw / "c.raw", labels, image_shape=(16, 16, 3))
    save_image_folder(cells.images, cells.target, tmp_path / "cells")
    flat = make_pipeline(FlattenImages(), LogisticRegression(max_iter=5000))
    clf = KFoldEnsembleClassifier(flat, cv=2)
    clf.fit(cells.images, cells.target.astype(digits))
    to_onnx(clf, tmp_path / "m.onnx")
    files = raw / "c.raw", "--labels", labels
    for data in (files, (tmp_path / "cells",)):
        code, out, err = run(capsys, "evaluate", tmp_path / "m.onnx", *data, "--json")
        assert code == 0, err
        assert json.loads(out)["n_samples"] == 18
    code, _, err = run(
        capsys, "evaluate", tmp_path / "m.onnx", *files, "--class-names", "a,b,c"
    )
    assert code == 2
    assert "without it the digits are the classes" in err


def test_evaluate(model, folder, capsys):
    code, out, err = run(capsys, "evaluate", model, folder, "--json")
    assert code == 0
    scores = json.loads(out)
    assert scores["classes"] == ["eosinophil", "monocyte", "neutrophil"]
    assert scores["n_samples"] == 24
    assert "left out, not classes of the model: basophil" in err
    code, out, _ = run(capsys, "evaluate", model, folder)
    for word in ("accuracy", "log loss", "recall", "precision", "as monocyte"):
        assert word in out


def test_classes_that_another_laboratory_spells_otherwise(
    onnx, folder, tmp_path, capsys
):
    names = {"Monocyte": "monocyte", "EOSINOPHIL": "eosinophil", "Neutrophils": ""}
    for name in names:
        (tmp_path / name).symlink_to(folder / (names[name] or "neutrophil"))
    code, out, err = run(capsys, "evaluate", onnx, tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["n_samples"] == 16
    assert "EOSINOPHIL as eosinophil, Monocyte as monocyte" in err
    assert "left out, not classes of the model: Neutrophils (rename it if it is" in err
    for name in ("Monocyte", "EOSINOPHIL"):
        (tmp_path / name).unlink()
    code, _, err = run(capsys, "evaluate", onnx, tmp_path)
    assert code == 2
    assert "Neutrophils (rename it if it is neutrophil), but the model has" in err


def test_reports(folder, onnx, tmp_path, capsys):
    report, path = tmp_path / "a b.html", tmp_path / "m.joblib"
    code, out, _ = run(
        capsys, "train", folder, "--model", path, "--folds", 2, "--epochs", 1,
        "--image-size", 16, "--report", report,
    )  # fmt: skip
    assert code == 0
    assert out.endswith(f"Model: {path}\nReport: {report}\n")
    page = report.read_text(encoding="utf-8")
    assert f"--report &#39;{report}&#39;" in page
    assert "<h1>Training report</h1>" in page
    assert "monocyte" in page
    assert "Not shown" not in page
    code, out, _ = run(capsys, "evaluate", onnx, folder, "--report", report, "--json")
    assert code == 0
    page = report.read_text(encoding="utf-8")
    assert (
        f'Accuracy</dt><dd><span class="value">{json.loads(out)["accuracy"]:.3f}<'
        in (page)
    )
    code, out, _ = run(capsys, "evaluate", onnx, folder, "--report", report)
    assert out.endswith(f"Report: {report}\n")


def test_a_report_that_cannot_be_made_prevents_training(
    folder, model, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    path = tmp_path / "m.joblib"
    for command in (("train", folder, "--model", path), ("evaluate", model, folder)):
        code, out, err = run(capsys, *command, "--report", tmp_path / "r.html")
        assert (code, out) == (2, "")
        assert "A report needs jinja2" in err
        assert "pip install 'skwbc[report]'" in err
    assert list(tmp_path.iterdir()) == []


def test_predict(model, folder, tmp_path, capsys):
    table = tmp_path / "p.csv"
    code, out, _ = run(
        capsys, "predict", model, folder / "monocyte", "--json", "--csv", table
    )
    assert code == 0
    rows = json.loads(out)
    assert len(rows) == 8
    columns = ["image", "predicted", "probabilities", "agreement", "typicality"]
    assert list(rows[0]) == [*columns, "trained_on"]
    assert rows[0]["image"].startswith(str(folder / "monocyte"))
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1)
    with open(table, newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["image"] for row in written] == [row["image"] for row in rows]
    assert float(written[0]["monocyte"]) == rows[0]["probabilities"]["monocyte"]
    assert [float(row["typicality"]) for row in written] == [
        row["typicality"] for row in rows
    ]
    code, out, _ = run(capsys, "predict", model, folder)
    assert code == 0
    assert out.count(" of 2") == 32


@pytest.mark.filterwarnings("default:.* have no label:UserWarning")
def test_sorted_by_doubt_and_labelled(model, onnx, folder, tmp_path, capsys):
    """The table of doubtful images is one of labels, once it is filled in."""
    table = tmp_path / "next.csv"
    command = ["predict", model, folder, "--sort", "doubt", "--json", "--csv", table]
    code, out, _ = run(capsys, *command)
    assert code == 0
    order = [row["image"] for row in json.loads(out)]
    assert sorted(order) == sorted(map(str, folder.glob("*/*")))
    _, same, _ = run(capsys, "predict", onnx, folder, "--sort", "doubt", "--json")
    assert [row["image"] for row in json.loads(same)] == order
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == order
    assert {row["label"] for row in rows} == {""}
    for row in rows[4:]:
        row["label"] = os.path.basename(os.path.dirname(row["file"]))
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    code, _, err = run(
        capsys, "train", folder, "--labels", table, "--model", tmp_path / "m.joblib",
        "--recipe", "article", "--epochs", 1, "--folds", 2, "--image-size", 24,
    )  # fmt: skip
    assert code == 0, err
    assert f"4 of {len(rows)} rows of {table} have no label and were left out" in err


def test_explained_predictions(model, onnx, folder, tmp_path, capsys):
    why = tmp_path / "why"
    one = next((folder / "monocyte").iterdir())
    code, out, _ = run(capsys, "predict", model, one, "--explain", why)
    assert code == 0
    assert "Predicted: 1 " in out
    (picture,) = why.iterdir()
    assert picture.name == f"0001_{one.stem}.png"
    assert picture.read_bytes()[1:4] == b"PNG"
    code, _, err = run(capsys, "predict", model, one, "--explain", why)
    assert code == 2
    assert "is not an empty folder" in err
    code, _, err = run(capsys, "predict", onnx, one, "--explain", tmp_path / "no")
    assert code == 2
    assert "needs the joblib file" in err
    assert not (tmp_path / "no").exists()


def test_prediction_sets(model, folder, tmp_path, capsys):
    table = tmp_path / "p.csv"
    command = ["predict", model, folder / "monocyte", "--coverage"]
    code, out, _ = run(capsys, *command, 0.999, "--json", "--csv", table)
    assert code == 0
    # This coverage excludes a class only after training on at least 999 cells.
    for row in json.loads(out):
        ranked = sorted(row["probabilities"], key=lambda x: -row["probabilities"][x])
        assert row["set"] == ranked
        assert row["set"][0] == row["predicted"]
    with open(table, newline="") as file:
        assert next(csv.DictReader(file))["set"].count("|") == len(ranked) - 1
    code, out, _ = run(capsys, *command, 0.999)
    assert out.count(" or ") == 8 * (len(ranked) - 1)
    code, out, _ = run(capsys, *command, 0.001)
    assert " none" in out


def test_images_that_cannot_be_read_do_not_stop_the_others(
    model, folder, tmp_path, capsys
):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    good = next((folder / "monocyte").iterdir())
    code, out, err = run(
        capsys, "predict", model, broken, good, tmp_path / "nowhere.png", "--json"
    )
    assert code == 1
    assert [row["image"] for row in json.loads(out)] == [str(good)]
    assert [line.split(":")[1] for line in err.splitlines()] == [" error"] * 2
    assert "broken.png could not be decoded" in err
    assert "nowhere.png: No such file" in err
    code, out, _ = run(capsys, "predict", model, broken, "--json")
    assert (code, out) == (2, "")


def test_tables_are_replaced_beside_the_images(onnx, folder, tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("old")
    (tmp_path / "a.png").write_bytes(next((folder / "monocyte").iterdir()).read_bytes())
    assert run(capsys, "predict", onnx, tmp_path, "--csv", table)[0] == 0
    assert "a.png" in table.read_text()


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="it has no name here")
def test_a_table_does_not_replace_what_is_printed(onnx, folder, tmp_path):
    command = [sys.executable, "-m", "skwbc.cli", "predict", onnx, folder, "--csv"]
    out = tmp_path / "out.txt"
    for name in (out, "/dev/fd/1"):
        with open(out, "w") as file:
            ran = subprocess.run(
                [*command, name], stdout=file, stderr=subprocess.PIPE, text=True
            )
        assert ran.returncode == 2
        assert "is the command's output" in ran.stderr
    ran = subprocess.run([*command, "/dev/fd/1"], capture_output=True, text=True)
    assert ran.stdout.startswith("image,predicted,eosinophil")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_images_that_links_lead_to_are_not_overwritten(onnx, folder, tmp_path, capsys):
    image = next((folder / "monocyte").iterdir())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(image.parent)
    (tmp_path / "c" / "d").mkdir(parents=True)
    (tmp_path / "c" / "d" / "1.png").symlink_to(image)
    before = image.read_bytes()
    for name in ("a", "c"):
        data = tmp_path / name
        for command in (["train", data, "--model"], ["predict", onnx, data, "--csv"]):
            code, _, err = run(capsys, *command, image)
            assert code == 2
            assert "would overwrite another file" in err
    assert image.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_no_file_that_is_read_is_overwritten(onnx, raw, folder, tmp_path, capsys):
    image = next((folder / "monocyte").iterdir())
    data = tmp_path / "data"
    data.mkdir()
    (data / "q.raw").write_bytes((raw / "c.raw").read_bytes())
    (data / "1.png").write_bytes(image.read_bytes())
    (tmp_path / "t.csv").symlink_to(data / "1.png")
    (tmp_path / "u.csv").hardlink_to(data / "1.png")
    for name in ("data/q.raw", "t.csv", "u.csv"):
        path = tmp_path / name
        code, out, err = run(capsys, "predict", onnx, data, "--csv", path)
        assert (code, out) == (2, "")
        assert f"{name} would overwrite another file" in err
    # A table of labels may name files in other folders.
    away = tmp_path / "away"
    away.mkdir()
    names = [away / f"{k}.html" for k in range(4)]
    for name in names:
        name.write_bytes(image.read_bytes())
    table = tmp_path / "labels.csv"
    lines = "".join(f"../away/{n.name},{'ab'[k % 2]}\n" for k, n in enumerate(names))
    table.write_text(f"file,label\n{lines}")
    for more in (["--model", names[0]], ["--model", "m", "--report", names[1]]):
        code, _, err = run(
            capsys, "train", data, "--labels", table, "--folds", 2, *more
        )
        assert code == 2
        assert "would overwrite another file" in err
    assert all(each.read_bytes() == image.read_bytes() for each in names)


BAD = "\x1b]0;title\x07\r\nskwbc: error: forged\u202e"


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_do_not_control_the_terminal_or_a_spreadsheet(
    onnx, folder, tmp_path, monkeypatch, capsys
):
    """And the command finds the files again by the names in its table."""
    monkeypatch.chdir(tmp_path)
    images = sorted((folder / "monocyte").iterdir())
    for k, word in enumerate(("=1+1", "+1", "-x", "@sum(1)")):
        for group in ("a", f"b{BAD}"):
            place = Path("cells", group, f"{word}{BAD}{k}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(images[k].read_bytes())
    broken = Path("cells", "a", f"broken{BAD}.png")
    broken.write_bytes(b"no image")
    shown = r"\x1b]0;title\x07\x0d\x0askwbc: error: forged\u202e"
    code, out, err = run(capsys, "predict", onnx, "cells", "--csv", "t.csv")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert f"broken{shown}.png could not be decoded" in err
    text = Path("t.csv").read_bytes().decode().replace("\r\n", "\n")
    assert all(each.isprintable() or each == "\n" for each in out + err + text)
    for arguments in (["evaluate", onnx, f"no{BAD}"], [f"fly{BAD}"]):
        _, out, err = run(capsys, *arguments)
        assert (out, len(err.splitlines())) == ("", 1)
        assert r"forged\u202e" in err
    broken.unlink()
    (tmp_path / "cells" / "a").rename("apart")  # The file names are found in there.
    shutil.rmtree("cells")
    os.chdir("apart")
    names = sorted(os.listdir())
    run(capsys, "predict", onnx, *[f"./{name}" for name in names], "--csv", "../t.csv")
    run(capsys, "predict", onnx, "--csv", "../u.csv", "--", *names[:2])
    for table in ("../t.csv", "../u.csv"):
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert not any(row["image"][0] in "=+-@" for row in rows)
        code, out, err = run(
            capsys, "evaluate", onnx, ".", "--labels", table, "--json",
            "--image-column", "image", "--label-column", "predicted",
        )  # fmt: skip
        assert code == 0, err
        assert json.loads(out)["n_samples"] == len(rows)
    os.chdir("..")
    # A table of groups with the names as they are in a table of predictions.
    run(capsys, "predict", onnx, "apart", "--csv", "v.csv")
    with open("v.csv", encoding="utf-8", newline="") as file:
        rows = [f"{row['image']},{k}\n" for k, row in enumerate(csv.DictReader(file))]
    Path("g.csv").write_text(f"filename,group\n{''.join(rows)}", encoding="utf-8")
    table = GroupTable(Path("g.csv"), "group", tmp_path)
    files = [os.path.join("apart", name) for name in names[:2]]
    assert table.groups_of(files, 2) == ["0", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_are_shown_as_they_are(raw, tmp_path, monkeypatch, capsys):
    """Names are not markup, and paths may be absolute or relative."""
    monkeypatch.chdir(tmp_path)
    Path("x[/old]").mkdir(parents=True)
    names = "CD45[lo]", "x[/b]", ":100:"
    files = raw / "c.raw", "--labels", raw / "labels.txt", "--class-names"
    files = *files, ",".join(names)
    code, out, err = run(
        capsys, "train", *files, "--model", "x[/old]/m.joblib", "--folds", 2,
        "--epochs", 1, "--image-size", 16, "--report", "x[/old]/r.html"
    )  # fmt: skip
    assert code == 0, err
    assert ", ".join(sorted(names)) in err
    assert out.endswith("Model: x[/old]/m.joblib\nReport: x[/old]/r.html\n")
    code, out, _ = run(capsys, "evaluate", "x[/old]/m.joblib", *files)
    assert code == 0
    assert all(out.count(name) == 2 for name in names)
    Path("[b].raw").write_bytes((raw / "c.raw").read_bytes())
    code, out, _ = run(
        capsys, "predict", "x[/old]/m.joblib", "[b].raw", raw / "c.raw",
        "--coverage", 0.999,
    )  # fmt: skip
    assert code == 0
    assert out.startswith("Predictions\n")
    assert "\n [b].raw[3] " in out
    assert all(out.count(name) > 18 for name in names)
    run(capsys, "export", "x[/old]/m.joblib", "a:100:.onnx")
    assert Path("a:100:.onnx").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="names there are text")
def test_names_that_are_not_text(model, folder, tmp_path, capfd):
    """OpenCV's own messages are not shown either."""
    good = next((folder / "monocyte").iterdir()).read_bytes()
    for name, content in ((b"a\xff.png", good), (b"b\xff.png", good[:-40])):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(content)
    table = tmp_path / "t.csv"
    # A new process has not imported OpenCV yet.
    run_alone = [sys.executable, "-m", "skwbc.cli", "predict", model, tmp_path]
    assert subprocess.run([*run_alone, "--csv", table]).returncode == 1
    out, err = capfd.readouterr()
    assert r"a\udcff.png" in out
    (line,) = err.splitlines()
    assert r"b\udcff.png could not be decoded" in line
    assert r"a\udcff.png" in table.read_text(encoding="utf-8")
    assert cli.main(["predict", str(model), str(tmp_path), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)[0]["image"].endswith("a\udcff.png")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_in_any_encoding(onnx, folder, tmp_path, encoding):
    name = "\u00e9\u4e2d\U0001f600.png"
    (tmp_path / name).write_bytes(next((folder / "monocyte").iterdir()).read_bytes())
    ran = subprocess.run(
        [sys.executable, "-m", "skwbc.cli", "predict", onnx, tmp_path, "--json"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert json.loads(ran.stdout.decode(encoding))[0]["image"].endswith(name)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("closed", "more"), [("", []), ("", ["--json"]), ("2>&- ", [])]
)
def test_closed_streams(onnx, folder, tmp_path, closed, more):
    table = tmp_path / "t.csv"
    command = ["sh", "-c", f'"$@" {closed}>&-', "sh", sys.executable, "-m", "skwbc.cli"]
    ran = subprocess.run([*command, "predict", onnx, folder, "--csv", table, *more])
    assert ran.returncode == 0
    assert len(table.read_text().splitlines()) == 33


def test_too_large_images_are_refused(model, folder, capsys):
    code, _, err = run(capsys, "predict", model, folder, "--max-pixels", 1599)
    assert code == 2
    assert "40 x 40 pixels, more than max_pixels=1,599" in err.splitlines()[0]
    code, _, _ = run(capsys, "evaluate", model, folder, "--max-pixels", 1600)
    assert code == 0


def test_predictions_in_a_fresh_process_are_the_same(model, folder, capsys):
    arguments = ["predict", str(model), str(folder), "--json"]
    _, here, _ = run(capsys, *arguments)
    fresh = subprocess.run(
        [sys.executable, "-m", "skwbc.cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert fresh.stdout == here  # All digits of all probabilities.
    assert fresh.stderr == ""


def test_onnx_predicts_the_same(model, onnx, folder, tmp_path, capsys):
    arguments = [folder, "--json", "--coverage", 0.9]
    _, out, _ = run(capsys, "predict", model, *arguments)
    code, same, err = run(capsys, "predict", onnx, *arguments)
    assert (code, err) == (0, "")
    for row, expected in zip(json.loads(same), json.loads(out), strict=True):
        proba, others = (each.pop("probabilities") for each in (row, expected))
        assert list(proba.values()) == pytest.approx(list(others.values()), abs=1e-5)
        assert row == expected
    _, out, _ = run(capsys, "evaluate", model, folder, "--json")
    _, same, _ = run(capsys, "evaluate", onnx, folder, "--json")
    assert json.loads(same)["confusion_matrix"] == json.loads(out)["confusion_matrix"]
    path = tmp_path / "again.onnx"
    code, out, err = run(capsys, "export", model, path)
    assert (code, err) == (0, "")
    assert "Exported 2 members" in out
    assert run(capsys, "predict", path, folder, "--json")[0] == 0


def test_predicting_with_onnx_needs_no_scikit_learn(onnx, folder):
    code = (
        f"import sys; from skwbc import cli; cli.main(['predict', {str(onnx)!r}, "
        f"{str(folder)!r}]); assert not {{'sklearn', 'scipy'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_models_of_others_are_not_loaded_without_trust(
    model, folder, tmp_path, monkeypatch, capsys
):
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    for command in (
        ("predict", model, folder),
        ("evaluate", model, folder),
        ("export", model, tmp_path / "m.onnx"),
    ):
        code, out, err = run(capsys, *command)
        assert (code, out) == (2, "")
        assert f"belongs to another user (number {me}), and loading a joblib" in err
        assert "can run any code of its author" in err
        assert "add --trust" in err
        assert run(capsys, *command, "--trust")[0] == 0


class Evil:
    """Runs code when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes by name")
def test_a_model_is_looked_at_and_loaded_as_one(
    model, folder, tmp_path, monkeypatch, capsys
):
    """Its file may be a pipe, and another one may get its name in the meantime."""
    monkeypatch.chdir(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def fill():
        with suppress(BrokenPipeError), open(pipe, "wb") as file:
            file.write(model.read_bytes())

    for options, expected in (([], 2), (["--trust"], 0)):
        writer = threading.Thread(target=fill)
        writer.start()
        code, _, err = run(capsys, "predict", pipe, folder, *options)
        writer.join()
        assert code == expected, err
        assert ("is not a regular file, so its author" in err) == (expected == 2)
    path = tmp_path / "m.joblib"
    path.write_bytes(model.read_bytes())

    def replace_it():
        (tmp_path / "other").write_bytes(pickle.dumps(Evil()))
        os.replace(tmp_path / "other", path)

    monkeypatch.setattr("skwbc.cli._data.load_keras", replace_it)
    assert run(capsys, "predict", path, folder)[0] == 0
    assert not (tmp_path / "evil").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_who_else_can_write_a_model(model, folder, tmp_path, capsys):
    place = tmp_path / "place"
    place.mkdir()
    path = place / "m.joblib"
    path.write_bytes(model.read_bytes())

    def answer(file_mode, folder_mode, group=None):
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(file_mode)
        place.chmod(folder_mode)
        code, _, err = run(capsys, "predict", path, folder)
        assert (code == 0) == (err == ""), err
        return err

    assert answer(0o644, 0o755) == ""
    assert answer(0o644, 0o1777) == ""  # as that of /tmp
    assert "can be written by every user, and" in answer(0o646, 0o755)
    assert "place, which can be written by every user" in answer(0o644, 0o777)
    if os.getgid() == os.geteuid():
        assert answer(0o664, 0o775) == ""  # a umask of 002
    if os.geteuid() == 0:
        assert "by its group (number 23456)" in answer(0o664, 0o755, group=23456)


@pytest.mark.skipif(sys.platform != "linux", reason="needs namespaces of Linux")
def test_a_model_predicts_where_nothing_can_be_written(model, folder):
    """Not even a temporary file."""
    script = 'mount -o remount,ro,bind / && mount -t tmpfs -o ro none /dev/shm && "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("there are no namespaces here")
    command += [sys.executable, "-m", "skwbc.cli", "predict", model, folder, "--trust"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(" of 2") == 32


def test_demo(tmp_path, capsys):
    code, out, err = run(capsys, "demo", "--out", tmp_path / "d", "--epochs", 1)
    assert code == 0
    assert "about a minute" in err
    assert "of 12 test cells right" in out
    assert "val_accuracy" in out
    assert out.count(" of 5") == 12
    made = {path.name for path in (tmp_path / "d").iterdir()}
    assert made == {"cells", "model.joblib", "predictions.png"}
    assert (tmp_path / "d" / "predictions.png").read_bytes()[1:4] == b"PNG"


RAW = ["train", "{raw}/c.raw", "--labels", "{raw}/labels.txt", "--model", "m"]
GROUPED = ["train", "{folder}", "--model", "m", "--groups"]
LONG = "m" * 300
WRONG_USE = [
    (["fly"], "No such command 'fly'"),
    (["train"], "Missing argument"),
    (["train", "nowhere", "--model", "m.joblib"], "'nowhere' does not exist"),
    (["train", "{folder}"], "Missing option '--model'"),
    (["train", "{folder}", "--model", "no/m.joblib"], "folder that exists"),
    (["train", "{folder}", "--model", "{folder}"], "folder that exists"),
    (["train", "{folder}", "--model", "m", "--folds", "1"], "--folds"),
    (["train", "{folder}", "--model", "m", "--epochs", "few"], "--epochs"),
    (["train", "{folder}", "--model", "m", "--recipe", "best"], "'--recipe'"),
    (["train", "{folder}", "--model", "m", "--classes", "a,b"], "no folder for"),
    (["train", "{folder}", "--model", "m", "--labels", "{png}"], "as CSV in UTF-8"),
    (["train", "{folder}", "--model", "m", "--n-jobs", "0"], "--n-jobs 0"),
    ([*GROUPED[:-1], "--image-size", "2000000"], "not enough memory: Unable to alloc"),
    (["train", "{raw}/c.raw", "--model", "m"], "add --labels"),
    ([*RAW, "--groups", "{raw}/one.csv"], "have no names"),
    (
        [*RAW, "--image-size", "16", "--class-names", "a,b"],
        "has the label 2, but there are 2 names",
    ),
    ([*RAW, "--classes", "a,b"], "To name its classes use --class-names"),
    (["train", "{folder}", "--model", "m", "--class-names", "a"], "for .raw files"),
    ([*GROUPED, "no.csv"], "'no.csv' does not exist"),
    ([*GROUPED[:-1], "--group-column", "b"], "names a column of a table; add --groups"),
    ([*GROUPED, "{raw}/c.raw"], "could not be read as comma-separated"),
    ([*GROUPED, "{raw}/labels.txt"], "expected one column 'filename'"),
    ([*GROUPED, "{raw}/other.csv"], "no group for 32 of 32 images: basophil/cell_"),
    ([*GROUPED, "{raw}/one.csv"], "only 1 group; 5 folds need"),
    ([*GROUPED, "{raw}/none.csv"], "'0001.png', 'A': expected class folder"),
    (["train", "{folder}", "--model", "m", "--report", "no/r.html"], "folder that"),
    (["train", "{folder}", "--model", "m", "--report", "r.txt"], "expected a .html"),
    (["train", "{folder}", "--model", "m.html", "--report", "m.html"], "overwrite"),
    (["evaluate", "{model}", "{folder}", "--report", "{folder}"], "or .htm file"),
    (["train", "{folder}", "--model", "m.onnx"], "m.joblib, and convert it"),
    ([*RAW[:-1], "m.RAW"], "give a name such as m.joblib."),
    ([*RAW[:-1], "{raw}/labels.txt"], "labels.txt would overwrite"),
    ([*GROUPED[:3], "{raw}/one.csv", "--groups", "{raw}/one.csv"], "would overwrite"),
    ([*GROUPED[:3], "{png}"], "would overwrite another file of this command"),
    ([*GROUPED, "{raw}/page.html", "--report", "{raw}/page.html"], "would overwrite"),
    (["predict", "{model}", "{folder}", "--csv", "{model}"], "would overwrite"),
    (["predict", "{model}", "{folder}", "--csv", "{png}"], "would overwrite"),
    (["predict", "{model}", "no", "{png}", "--csv", "{png}"], "would overwrite"),
    (["export", "{model}", "{raw}/link.onnx"], "link.onnx would overwrite"),
    ([*GROUPED[:3], LONG], f"{LONG}: "),
    ([*GROUPED[:3], "m", "--report", f"{LONG}.html"], f"{LONG}.html: "),
    (["predict", "{model}", "{folder}", "--csv", LONG], f"{LONG}: "),
    (["export", "{model}", f"{LONG}.onnx"], f"{LONG}.onnx: "),
    ([*RAW[:1], "no.raw", *RAW[2:]], "'no.raw' does not exist"),
    ([*RAW[:3], "l", *RAW[4:]], "'l' does not exist"),
    (["evaluate", "nowhere.joblib", "{folder}"], "'nowhere.joblib' does not exist"),
    (["evaluate", "{raw}/labels.txt", "{folder}"], "could not be read as a model"),
    (["evaluate", os.devnull, "{folder}"], "is not a regular file, so its author"),
    (["evaluate", os.devnull, "{folder}", "--trust"], "as a model: it is empty. Exp"),
    (["predict", "{model}"], "Missing argument"),
    (["predict", "{model}", "x.png", "--csv", "no/t.csv"], "folder that exists"),
    (["predict", "{model}", "x.png", "--coverage", "95"], "'--coverage'"),
    (["evaluate", "{model}", "{folder}/monocyte"], "has no sub-folders"),
    (["export", "{model}", "m.joblib"], "expected a .onnx or .html file"),
    (["export", "{model}", "no/m.onnx"], "folder that exists"),
    (["export", "{onnx}", "m.onnx"], "is already an ONNX file"),
    (["export", "{raw}/labels.txt", "m.onnx"], "could not be read as a model"),
    (["predict", "{raw}/invalid.onnx", "x.png"], "read as an ONNX model (7 bytes)"),
    (["evaluate", "{raw}/rows.onnx", "{folder}"], "takes rows of features; expected"),
    (["predict", "{raw}/floats.onnx", "x.png"], "takes float32, but the command"),
    (["predict", "{raw}/open.joblib", "x.png"], "can be written by every user, and"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_USE)
def test_wrong_use_is_one_line_and_code_2(
    arguments, message, folder, raw, model, onnx, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names = {"folder": folder, "raw": raw, "model": model, "onnx": onnx}
    names["png"] = next((folder / "monocyte").iterdir())
    filled = [word.format(**names) for word in arguments]
    code, out, err = run(capsys, *filled)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("skwbc: error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_help_wrong_use_and_onnx_do_not_import_keras(
    folder, raw, model, onnx, tmp_path
):
    names = {"folder": folder, "raw": raw, "model": model, "onnx": onnx}
    names["png"] = next((folder / "monocyte").iterdir())
    cases = [["--help"], ["train", "--help"], [], ["--version"]]
    cases += [["evaluate", str(onnx), str(folder)], ["predict", str(onnx), str(folder)]]
    cases += [
        [word.format(**names) for word in arguments] for arguments, _ in WRONG_USE
    ]
    code = """
import json, sys
from skwbc import cli
for arguments in json.loads(sys.argv[1]):
    cli.main(arguments)
    for name in ("tensorflow", "keras"):
        assert name not in sys.modules, arguments
"""
    subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases)],
        check=True, cwd=tmp_path, capture_output=True,
    )  # fmt: skip


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="in a folder that exists"):
        cli.main(["train", str(tmp_path), "--model", str(tmp_path), "--debug"])


def test_help_and_no_command(capsys):
    code, out, err = run(capsys)
    assert code == 2
    assert "predict" in out
    assert err == ""
    assert run(capsys, "train", "--help")[0] == 0


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"skwbc {skwbc.__version__}\n", "")


def test_interruptions_are_reported(onnx, folder, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skwbc.inspection._predictions.describe_predictions", interrupt)
    code, out, err = run(capsys, "predict", onnx, folder)
    assert (code, out, err) == (130, "", "skwbc: error: interrupted.\n")


def test_time_that_is_left(monkeypatch):
    """Two folds of ten epochs, of two seconds each after the first one of ten."""
    clock = iter([10, *range(12, 30, 2), 28, 38, *range(40, 58, 2), 56])
    watch = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(_training, "time", watch)
    display = _training._Display()
    texts = []
    for fold in (1, 2):
        display.listen("fold_started", fold=fold, n_folds=2)
        for epoch in range(1, 11):
            display.listen("epoch", epoch=epoch, epochs=10, logs={"loss": 1.0})
            texts.append(display.tasks[0].fields["text"])
        display.listen("fold_finished", fold=fold, n_folds=2, score=1.0)
    assert display.tasks[0].completed == 2
    assert texts[:2] == ["", "about 35 s left"]
    assert texts[9] == "about 20 s left"
    assert texts[10] == "about 25 s left"
    assert texts[-1] == ""
