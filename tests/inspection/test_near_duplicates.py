"""Search for near-duplicates among copies and among images that only look alike."""

import cv2
import numpy as np
import pytest

from skwbc.datasets import (
    ImageFiles,
    load_image_folder,
    load_raw_images,
    make_blood_cells,
)
from skwbc.inspection import find_near_duplicates


def jpeg(image):
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.imdecode(code, cv2.IMREAD_COLOR)


def smaller(image):
    height, width = image.shape[:2]
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (width, height))


COPIES = {
    "copy": lambda image: image,
    "jpeg": jpeg,
    "half the size": smaller,
    "quarter turn": lambda image: np.rot90(image),
    "half turn": lambda image: np.rot90(image, 2),
    "flipped": lambda image: image[:, ::-1],
    "turned and flipped": lambda image: np.rot90(image, 3)[::-1],
    "brighter": lambda image: (image * 0.8 + 40).astype(np.uint8),
}


@pytest.mark.parametrize("how", COPIES)
def test_finds_copies(how):
    cells, _ = make_blood_cells(6, image_size=(60, 60), random_state=0)
    X = np.concatenate([cells, [COPIES[how](image) for image in cells]])
    n = len(cells)
    pairs = find_near_duplicates(X)
    assert sorted((p["first"], p["second"]) for p in pairs) == [
        (k, k + n) for k in range(n)
    ]
    assert pairs == sorted(pairs, key=lambda p: -p["similarity"])
    assert all(0.85 <= p["similarity"] <= 1 and p["leaks"] is None for p in pairs)


def test_different_cells_on_a_plain_ground_are_no_pair():
    """Dark discs are alike; their textures differ."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:100, :100] - 50
    distance = np.hypot(rows, columns)[..., np.newaxis]
    inside = distance < np.arange(28, 36).reshape(8, 1, 1, 1)
    texture = cv2.GaussianBlur(rng.normal(size=(100, 100, 24)).astype("f4"), None, 2)
    texture = np.moveaxis(texture, 2, 0).reshape(8, 3, 100, 100).transpose(0, 2, 3, 1)
    cells = 230 - inside * (120 + 120 * texture)
    # The last one is the first, cut out differently, by 4 pixels.
    shifted = np.roll(cells[:1], (4, -3), axis=(1, 2))
    X = np.concatenate([cells, shifted]).clip(0, 255).astype(np.uint8)
    (pair,) = find_near_duplicates(X)
    assert (pair["first"], pair["second"]) == (0, 8)


def test_oblong_images_of_other_types(noise):
    X = np.concatenate([noise, noise[2:3, ::-1, ::-1], np.ones_like(noise[:2])])
    for images in (X, X[..., :1], np.concatenate([X, X], axis=-1), (X * 4000).tolist()):
        pairs = find_near_duplicates(images, threshold=1)
        # The two images of uniform colour are not a pair.
        assert [p["images"] for p in pairs] == [("2", "6")]


def test_tells_which_pairs_leak(cells):
    X = np.concatenate([cells.images[:6], cells.images[:3]])
    # The splits separate 0 from 6, keep 1 with 7, and never hold out 2 and 8.
    splits = [([0, 1, 7, 2, 8], [3, 6]), ([0, 6, 2, 8, 3], np.array([1, 7]))]
    pairs = find_near_duplicates(X, splits=splits, names=list("abcdefghi"))
    leaks = {p["images"]: p["leaks"] for p in pairs}
    assert leaks == {("a", "g"): True, ("b", "h"): False, ("c", "i"): False}


def test_files_are_read_lazily_and_named(cells, tmp_path):
    files = [str(tmp_path / f"{k}.png") for k in range(4)]
    for file, image in zip(files, cells.images[[0, 1, 2, 1]], strict=True):
        cv2.imwrite(file, image)
    (pair,) = find_near_duplicates(ImageFiles(files, (30, 20)))
    assert pair["images"] == (files[1], files[3])


def test_real_cells(real_data):
    raw = load_raw_images(
        real_data / "article" / "blood_total.raw",
        real_data / "article" / "blood_total_label.txt",
        image_shape=(100, 100, 3),
    )
    assert find_near_duplicates(raw.images) == []
    folder = load_image_folder(real_data / "bccd")
    pairs = {
        tuple(sorted(name[-11:-6] for name in pair["images"]))
        for pair in find_near_duplicates(folder.images, names=folder.filenames)
    }
    # A look at each pair confirmed that the cell was photographed twice.
    assert pairs == {
        ("00037", "00038"), ("00205", "00276"), ("00226", "00261"), ("00229", "00258"),
        ("00230", "00257"), ("00231", "00256"), ("00237", "00252"), ("00244", "00247"),
        ("00243", "00250"), ("00382", "00395"), ("00384", "00393"), ("00386", "00391"),
            ("00227", "00260"),
    }  # fmt: skip


def test_search_stops_at_too_many_pairs(noise, monkeypatch):
    monkeypatch.setattr("skwbc.inspection._near_duplicates._MOST_PAIRS", 5)
    with pytest.warns(UserWarning, match="More than 5 pairs.*search stopped"):
        assert len(find_near_duplicates(np.repeat(noise[:1], 9, axis=0))) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((3, 4))}, "expected images of shape"),
        ({"X": np.full((2, 4, 4, 1), np.nan)}, "NaN"),
        ({"names": ["a"]}, "1 names for 6 samples"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"splits": [([0, 1], [6])]}, "There are 6 images"),
        ({"splits": [([0, 1],)]}, "splits has to contain pairs"),
        ({"splits": [(["a"], [1])]}, "splits has to contain pairs"),
        ({"splits": [(np.ones(6, bool), [1])]}, "splits has to contain pairs"),
    ],
)
def test_wrong_input(noise, change, message):
    arguments = {"X": noise} | change
    with pytest.raises(ValueError, match=message):
        find_near_duplicates(arguments.pop("X"), **arguments)
