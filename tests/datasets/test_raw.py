"""The article's files."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skwbc.datasets import load_raw_images

SHAPE = (5, 4, 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(256, size=(6, *SHAPE), dtype=np.uint8)


@pytest.fixture
def raw(tmp_path, images):
    path = tmp_path / "cells.raw"
    path.write_bytes(images.transpose(0, 3, 1, 2).tobytes())
    return path


def test_planar_and_interleaved(tmp_path, raw, images):
    data = load_raw_images(raw, image_shape=SHAPE)
    assert_array_equal(data.images, images)
    assert data.images.flags.c_contiguous
    assert data.target is None
    assert data.filenames[3] == f"{raw}[3]"
    other = tmp_path / "interleaved.raw"
    other.write_bytes(images.tobytes())
    data = load_raw_images(other, image_shape=SHAPE, layout="interleaved")
    assert_array_equal(data.images, images)


@pytest.mark.parametrize("text", ["012012", "0 1 2\n0,1,2\r\n", "\ufeff012012\n\n"])
def test_labels(tmp_path, raw, images, text):
    labels = tmp_path / "labels.txt"
    labels.write_text(text, encoding="utf-8")
    data = load_raw_images(raw, labels, image_shape=SHAPE)
    assert_array_equal(data.target, [0, 1, 2, 0, 1, 2])
    assert data.target_names.tolist() == ["0", "1", "2"]
    assert "6 images" in data.DESCR
    X, y = load_raw_images(raw, labels, image_shape=SHAPE, return_X_y=True)
    assert_array_equal(X, images)
    assert_array_equal(y, data.target)


def test_names_of_the_digits(tmp_path, raw):
    labels = tmp_path / "labels.txt"
    labels.write_text("202020")
    names = ["neutrophil", "eosinophil", "monocyte"]
    for accepted in (
        names,
        {2: "monocyte", np.int64(0): "neutrophil "},
        np.array(names),
    ):
        data = load_raw_images(raw, labels, image_shape=SHAPE, target_names=accepted)
        assert_array_equal(data.target, ["monocyte", "neutrophil"] * 3)
        assert data.target_names.tolist() == ["monocyte", "neutrophil"]
    for wrong, message in (
        (["a", "b"], "has the label 2, but there are 2 names: 0 is a, 1 is b"),
        ({1: "a", 2: "b"}, "has the label 0, but there are 2 names: 1 is a, 2 is b"),
        ({"0": "a", "2": "b"}, "expected a different name"),
        ({"a", "b", "c"}, "expected a different name"),
        (["a", None, "c"], "expected a different name"),
        (["a", "b", "a"], "expected a different name"),
        (["a", " ", "b"], "expected a different name"),
        ("abc", "The 'target_names' parameter"),
    ):
        with pytest.raises(ValueError, match=message):
            load_raw_images(raw, labels, image_shape=SHAPE, target_names=wrong)
    with pytest.raises(ValueError, match="target_names needs a file of labels"):
        load_raw_images(raw, image_shape=SHAPE, target_names=names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("01201", r"labels.txt has 5 labels, but .*cells.raw has 6 images"),
        ("0120122", "has 7 labels"),
        ("", "has 0 labels"),
        ("0120\n1x", "line 2: 'x' is not a label"),
        ("-1", "line 1: '-' is not a label"),
        ("٣", "is not a label"),
    ],
)
def test_wrong_labels(tmp_path, raw, text, message):
    labels = tmp_path / "labels.txt"
    labels.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_raw_images(raw, labels, image_shape=SHAPE)


def test_binary_labels(tmp_path, raw):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(b"\xff\x00\x01")
    with pytest.raises(ValueError, match="is not a label"):
        load_raw_images(raw, labels, image_shape=SHAPE)


def test_wrong_size(tmp_path, raw):
    for size in (359, 0):
        raw.write_bytes(bytes(size))
        with pytest.raises(ValueError, match=f"cells.raw has {size} bytes.*60 bytes"):
            load_raw_images(raw, image_shape=SHAPE)
    with pytest.raises(FileNotFoundError, match="missing.raw"):
        load_raw_images(tmp_path / "missing.raw")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_shape": (5, 4)}, "height, width, channels"),
        ({"image_shape": (5, 4, 0)}, "at least 1"),
        ({"layout": "columns"}, "The 'layout' parameter"),
        ({"return_X_y": True}, "needs a file of labels"),
    ],
)
def test_wrong_parameters(raw, params, message):
    with pytest.raises(ValueError, match=message):
        load_raw_images(raw, **params)


def test_real_files(real_data):
    article = real_data / "article"
    cells = load_raw_images(
        article / "blood_total.raw", article / "blood_total_label.txt"
    )
    assert cells.images.shape == (76, 100, 100, 3)
    assert np.bincount(cells.target).tolist() == [30, 30, 16]
    # Planar, not interleaved: neighbouring pixels of a channel are alike.
    steps = np.abs(np.diff(cells.images.astype(int), axis=2))
    assert steps.mean() < 8
    one = load_raw_images(article / "test" / "blood_01.raw")
    assert one.filenames == [str(article / "test" / "blood_01.raw")]
