"""Folders of image files, for training and to predict."""

import sys

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skwbc.datasets import (
    load_image_folder,
    make_blood_cells,
    read_image,
    save_image_folder,
)
from skwbc.datasets._folder import class_names
from skwbc.datasets._gather import gather_images


@pytest.fixture
def folder(tmp_path):
    images, target = make_blood_cells(2, image_size=(20, 20), random_state=0)
    save_image_folder(images, target, tmp_path / "cells")
    return tmp_path / "cells"


def test_saved_images_are_loaded(folder):
    images, target = make_blood_cells(2, image_size=(20, 20), random_state=0)
    data = load_image_folder(folder, image_size=(20, 20))
    assert data.target_names.tolist() == ["eosinophil", "monocyte", "neutrophil"]
    order = np.argsort(target, kind="stable")
    assert_array_equal(data.images, images[order])
    assert_array_equal(data.target, target[order])
    assert len(data.filenames) == 6
    assert "monocyte: 2" in data.DESCR
    X, y = load_image_folder(folder, image_size=(20, 20), return_X_y=True)
    assert_array_equal(X, data.images)
    assert_array_equal(y, data.target)


def test_chosen_classes_and_size(folder):
    data = load_image_folder(
        folder, image_size=(8, 12), classes=["neutrophil", "eosinophil"]
    )
    assert data.images.shape == (4, 8, 12, 3)
    assert data.images.dtype == np.uint8
    assert set(data.target) == {"neutrophil", "eosinophil"}


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".bmp", ".tif", ".tiff"])
def test_file_formats(tmp_path, suffix):
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    path = tmp_path / f"ü{suffix}"
    path.write_bytes(cv2.imencode(suffix.lower(), red[..., ::-1])[1].tobytes())
    image = read_image(path, (16, 16))
    assert np.abs(image.astype(int) - red).max() <= 3
    assert read_image(path, (4, 6)).shape == (4, 6, 3)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((5, 5), 100, np.uint8),
        np.full((5, 5, 4), 100, np.uint8),
        np.full((5, 5, 3), 100 * 257, np.uint16),
    ],
    ids=["grey", "alpha", "16 bit"],
)
def test_other_pixels_become_rgb(tmp_path, pixels):
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    assert_array_equal(read_image(path, (5, 5)), np.full((5, 5, 3), 100))


def test_other_files_are_ignored(folder):
    (folder / "notes.txt").write_text("-")
    (folder / "monocyte" / "Thumbs.db").write_text("-")
    (folder / "monocyte" / ".hidden.png").write_text("-")
    (folder / ".cache").mkdir()
    for path in (folder / "__MACOSX", folder / "monocyte" / "__MACOSX"):
        path.mkdir()
        (path / "a.png").write_bytes(b"-")
    assert class_names(folder) == ["eosinophil", "monocyte", "neutrophil"]
    assert len(load_image_folder(folder).images) == 6
    assert not gather_images([folder], image_shape=(20, 20, 3)).errors


def test_a_warning_lists_images_that_are_left_out(folder):
    cells = folder / "monocyte"
    for name in ("a.CZI", "b.svs", "c.svs"):
        (cells / name).write_bytes(b"-")
    for path in (cells / "p1", cells / "p2" / "slide", cells / "empty"):
        path.mkdir(parents=True)
    for path in (cells / "p1", cells / "p2" / "slide"):
        (path / "a.png").write_bytes(b"-")
    message = (
        r"files in other formats \(3: .czi, .svs\) and sub-folders with images \(2\)"
    )
    with pytest.warns(UserWarning, match=message) as warned:
        assert len(load_image_folder(folder).images) == 6
    assert len(warned) == 1
    for file in cells.glob("*.png"):
        file.unlink()
    with pytest.raises(ValueError, match=f"has no image, only {message}"):
        load_image_folder(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_are_followed(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (folder / "monocyte").rename(elsewhere)
    (folder / "monocyte").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "round").symlink_to(folder, target_is_directory=True)
    data = gather_images([folder], image_shape=(20, 20, 3))
    assert len(data.images) == 6
    (elsewhere / "round").unlink()
    assert data.filenames == load_image_folder(folder).filenames


def test_accents_are_the_same_however_they_are_written(folder):
    """macOS returns an e and an accent, other systems one letter."""
    (folder / "monocyte").rename(folder / "me\u0301gacaryocyte")
    name = "m\u00e9gacaryocyte"
    assert name in class_names(folder)
    data = load_image_folder(folder, classes=[name, "neutrophil"])
    assert data.target_names.tolist() == [name, "neutrophil"]
    data = load_image_folder(folder, classes=["me\u0301gacaryocyte"])
    assert set(data.target) == {name}
    try:
        (folder / name).mkdir()
    except FileExistsError:
        return  # This file system treats both spellings as one.
    with pytest.raises(ValueError, match="has two folders"):
        class_names(folder)


def test_files_that_cannot_be_decoded_are_all_named(folder):
    (folder / "monocyte" / "broken.png").write_bytes(b"\x89PNG\r\n not at all")
    (folder / "neutrophil" / "empty.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="2 of 8 images") as caught:
        load_image_folder(folder)
    assert "broken.png" in str(caught.value)
    assert "empty.jpg" in str(caught.value)
    with pytest.warns(UserWarning, match="(?s)left out.*broken.png.*empty.jpg"):
        data = load_image_folder(folder, on_error="warn")
    assert len(data.images) == len(data.target) == len(data.filenames) == 6


def test_wrong_folders(folder, tmp_path):
    with pytest.raises(NotADirectoryError, match="does not exist"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        load_image_folder(folder / "monocyte" / next((folder / "monocyte").iterdir()))
    with pytest.raises(ValueError, match="has no sub-folders"):
        load_image_folder(folder / "monocyte")
    with pytest.raises(ValueError, match=r"no folder for \['Monocyte'\]"):
        load_image_folder(folder, classes=["Monocyte", "neutrophil"])
    with pytest.raises(ValueError, match="at least one name and none twice"):
        load_image_folder(folder, classes=["monocyte", "monocyte"])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no image"):
        load_image_folder(folder)
    with pytest.raises(ValueError, match="image_size"):
        load_image_folder(folder, image_size=(100, 0))


def test_unreadable_files_do_not_stop_gathering(folder, tmp_path):
    images = np.zeros((2, 3, 20, 20), np.uint8)
    (tmp_path / "two.raw").write_bytes(images.tobytes())
    (tmp_path / "odd.raw").write_bytes(b"123")
    (tmp_path / "empty").mkdir()
    paths = [
        folder,
        tmp_path / "two.raw",
        tmp_path / "nowhere.png",
        tmp_path / "odd.raw",
        tmp_path / "empty",
    ]
    data = gather_images(paths, image_shape=(20, 20, 3))
    assert data.images.shape == (8, 20, 20, 3)
    (tmp_path / "empty" / "two.raw").write_bytes(images.tobytes())
    gathered = gather_images([tmp_path / "empty"], image_shape=(20, 20, 3))
    assert gathered.filenames == [
        f"{tmp_path / 'empty' / 'two.raw'}[{k}]" for k in range(2)
    ]
    assert data.filenames[-1] == f"{tmp_path / 'two.raw'}[1]"
    assert len(data.errors) == 3
    for name, error in zip(
        ("nowhere.png", "odd.raw", "empty"), data.errors, strict=True
    ):
        assert name in error


def test_real_cells(real_data):
    cells = load_image_folder(real_data / "bccd", image_size=(32, 32))
    names, counts = np.unique(cells.target, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "Basophil": 3,
        "Eosinophil": 88,
        "Lymphocyte": 33,
        "Monocyte": 20,
        "Neutrophil": 207,
    }


@pytest.mark.parametrize("label", ["../x", "/x", "..", ".x", "", "a/b", "a\\b", "a:b"])
def test_files_are_written_below_the_folder(tmp_path, label):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        save_image_folder(images, ["a", label], tmp_path / "cells")
    assert not list(tmp_path.iterdir())


def test_only_rgb_of_bytes_is_written(tmp_path):
    for images in (np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8, 1), np.uint8)):
        with pytest.raises(ValueError, match="takes uint8 RGB images"):
            save_image_folder(images, ["a"], tmp_path)
    assert save_image_folder(images[:0], [], tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_above_are_not_followed(folder):
    for name, target in (("machine", "/"), ("above", folder.parent)):
        (folder / "monocyte" / name).symlink_to(target, target_is_directory=True)
    (folder / "a.png").write_bytes((folder / "monocyte" / "cell_3.png").read_bytes())
    data = gather_images([folder], image_shape=(20, 20, 3))
    assert len(data.images) == 7
    (folder / "a.czi").write_bytes(b"-")
    data = gather_images([folder], image_shape=(20, 20, 3))
    assert len(data.images) == 7
    assert "1 images in formats that are not read (.czi)" in data.errors[0]
