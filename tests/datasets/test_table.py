"""Labels in a table."""

import shutil

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skwbc import ImageAugmenter
from skwbc.datasets import (
    load_image_folder,
    load_image_table,
    make_blood_cells,
    save_image_folder,
)

SIZE = {"image_size": (16, 16)}


@pytest.fixture
def cells(tmp_path):
    """Return a folder of nine images, three of each class, and a table of them."""
    images, target = make_blood_cells(3, image_size=(16, 16), random_state=0)
    files = save_image_folder(images, target, tmp_path / "sorted")
    (tmp_path / "images").mkdir()
    names = [f"{k}.png" for k in range(9)]
    for file, name in zip(files, names, strict=True):
        shutil.copy(file, tmp_path / "images" / name)
    table = pd.DataFrame({"file": names, "label": target, "patient": np.arange(9) // 2})
    return tmp_path / "images", table, images


@pytest.mark.parametrize("lazy", [False, True])
def test_of_any_form(cells, lazy):
    root, table, images = cells
    forms = {"frame": table, "dict": {name: list(table[name]) for name in table}}
    for name, separator in (("a.csv", ","), ("b.tsv", "\t"), ("c.csv", ";")):
        table.to_csv(
            root.parent / name, sep=separator, index=False, encoding="utf-8-sig"
        )
        forms[name] = root.parent / name
    for form in forms.values():
        data = load_image_table(form, root=root, lazy=lazy, **SIZE)
        assert_array_equal(np.asarray(data.images), images)
        assert_array_equal(data.target, table.label)
        assert_array_equal(data.patient.astype(int), table.patient)
        assert data.filenames == [str(root / name) for name in table.file]
        assert "monocyte: 3" in data.DESCR
    X, y = load_image_table(table, root=root, return_X_y=True, **SIZE)
    assert_array_equal(X, images)
    assert_array_equal(y, table.label)
    chosen = load_image_table(table, root=root, classes=["monocyte"], **SIZE)
    assert set(chosen.target) == {"monocyte"}
    # Beside the table, by default.
    table.to_csv(root / "labels.csv", index=False)
    assert len(load_image_table(root / "labels.csv", **SIZE).images) == 9


def test_files_are_found_in_folders_below(cells):
    root, table, images = cells
    table["file"] = [f"D:\\cells\\{name}" for name in table.file]
    table.loc[3, "file"] = "3"
    assert_array_equal(load_image_table(table, root=root, **SIZE).images, images)
    (root / "below").mkdir()
    (root / "2.png").rename(root / "below" / "2.png")
    assert_array_equal(load_image_table(table, root=root, **SIZE).images, images)
    shutil.copy(root / "below" / "2.png", root / "2.PNG")
    table.loc[2, "file"] = "2"
    with pytest.raises(ValueError, match=r"There are 2 such files .*: 2 \(row 4\)"):
        load_image_table(table, root=root, **SIZE)


@pytest.mark.parametrize("empty", ["", "  ", None, np.nan])
def test_rows_without_a_label_are_left_out(cells, empty):
    root, table, images = cells
    table.loc[[1, 4], "label"] = empty
    for form in (table, root / "labels.csv"):
        table.to_csv(root / "labels.csv", index=False)
        with pytest.warns(UserWarning, match="2 of 9 rows of .* have no label"):
            data = load_image_table(form, root=root, **SIZE)
        assert_array_equal(data.images, np.delete(images, [1, 4], axis=0))
        assert_array_equal(data.patient.astype(int), np.delete(table.patient, [1, 4]))


def test_numbers_as_labels(cells):
    root, table, _ = cells
    table["label"] = [0, 1, 2.0] * 3
    assert list(load_image_table(table, root=root, **SIZE).target[:3]) == [
        "0",
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "1.png"}, r"has files twice: 1.png \(row 3\), 1.png \(row 4\)"),
        ({"file": "no.png"}, r"9 of 9 files of .* are not in .*: no.png \(row 2\), no"),
        ({"label": ""}, "has no label in column 'label'"),
        ({"label": 3.7}, r"have to be classes, not numbers: 3.7 \(row 2\)"),
        ({"file": ""}, "labels without a file"),
    ],
)
def test_unusable_rows(cells, changes, message):
    root, table, _ = cells
    with pytest.raises(ValueError, match=message) as caught:
        load_image_table(table.assign(**changes), root=root, **SIZE)
    assert "\n" not in str(caught.value)


def test_unusable_tables(cells):
    root, table, _ = cells
    path = root / "labels.csv"
    for content, message in (
        (b"", "expected different names"),
        (b"file,file\na,b", "expected different names"),
        (b"name,class\n1.png,a", "columns \\['name', 'class'\\]; expected 'file'"),
        (b"file,class\n1.png,a", "--label-column"),
        (b"file,label\n1.png,a\n2.png", "row 3, has 1 values"),
        ("file,label\n1.png,a\n".encode("utf-16"), "as CSV in UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_image_table(path, **SIZE)
    with pytest.raises(ValueError, match=r"no label \['none'\]"):
        load_image_table(table, root=root, classes=["none"], **SIZE)
    with pytest.raises(ValueError, match="call skwbc.datasets.load_image_table"):
        ImageAugmenter().fit(table.file, table.label)


def test_files_that_are_left_out(cells):
    root, table, images = cells
    (root / "3.png").write_bytes(b"-")
    (root / "4.png").unlink()
    with pytest.warns(UserWarning, match="2 of 9 images in the table were left out"):
        data = load_image_table(table, root=root, on_error="warn", **SIZE)
    assert_array_equal(data.images, np.delete(images, [3, 4], axis=0))
    assert_array_equal(data.patient, np.delete(table.patient, [3, 4]))


def test_what_a_messy_folder_holds(cells):
    root = cells[0].parent / "sorted"
    for name in ("monocyte", "neutrophil"):
        for number in range(2):
            mask = np.zeros((16, 16, 3), np.uint8)
            mask[3:9, 3:9] = 255
            save_image_folder(mask[np.newaxis], [name], root / "masks")
            shutil.move(
                root / "masks" / name / "cell_1.png", root / name / f"m{number}.png"
            )
    shutil.rmtree(root / "masks")
    shutil.copy(next(root.glob("monocyte/*.png")), root / "beside.png")
    (root / "monocyte" / "@eaDir").mkdir()
    shutil.copy(root / "beside.png", root / "monocyte" / "@eaDir" / "thumbnail.png")
    with pytest.warns(UserWarning, match="masks|beside") as warned:
        data = load_image_folder(root, **SIZE)
    messages = sorted(str(each.message) for each in warned)
    assert len(messages) == 2
    assert "4 of 13 images in the folders in" in messages[0]
    assert "look like masks, with two or three values of grey: " in messages[0]
    assert "images beside them (1)" in messages[1]
    assert "13 PNG, of 16 x 16 pixels" in data.DESCR
    (root / "beside.png").unlink()
    for mask in root.glob("*/m?.png"):
        mask.unlink()
    (root / "monocyte").rename(root / "Dataset 1")
    (root / "neutrophil").rename(root / "train")
    with pytest.warns(UserWarning, match="Dataset 1, train in .* do not look like"):
        load_image_folder(root, **SIZE)
