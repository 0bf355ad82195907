"""Raw files, labels and folders of images with random or damaged contents."""

import cv2
import numpy as np
import pytest
from damage import FUZZ, damaged
from hypothesis import given, strategies as st

from skwbc.datasets import load_image_folder, load_raw_images, read_image
from skwbc.datasets._gather import gather_images

PICTURE = np.random.default_rng(0).integers(256, size=(9, 7, 3), dtype=np.uint8)
FORMATS = [
    (".png", PICTURE),
    (".png", np.dstack([PICTURE, PICTURE[..., :1]])),
    (".png", PICTURE[..., 0].astype(np.uint16) * 257),
    (".jpg", PICTURE),
    (".bmp", PICTURE),
    (".tif", PICTURE),
    (".tif", PICTURE.astype(np.float32)),
]
IMAGES = [cv2.imencode(suffix, image)[1].tobytes() for suffix, image in FORMATS]
SUFFIXES = st.sampled_from([".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"])
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"),
    min_size=1,
    max_size=40,
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(
    content=st.binary(max_size=4000),
    shape=st.lists(st.integers(-2, 40), min_size=0, max_size=4),
    layout=st.sampled_from(["planar", "interleaved"]),
)
def test_raw_reader(content, shape, layout, folder, within):
    path = folder / "c.raw"
    path.write_bytes(content)
    try:
        with within(10):
            data = load_raw_images(path, image_shape=shape, layout=layout)
    except ValueError as error:
        assert str(path) in str(error) or "image_shape" in str(error)
    else:
        assert data.images.shape[1:] == tuple(shape)
        if layout == "planar":
            data.images = data.images.transpose(0, 3, 1, 2)
        assert data.images.tobytes() == content


@FUZZ
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text("0123456789, \t\r\n\ufeff\x00²٣", max_size=60).map(str.encode),
    )
)
def test_label_parser(content, folder, within, refused):
    images, labels = folder / "c.raw", folder / "labels.txt"
    images.write_bytes(bytes(12 * 3))
    labels.write_bytes(content)
    try:
        with within(10):
            data = load_raw_images(images, labels, image_shape=(2, 2, 3))
    except ValueError as error:
        refused(error, labels)
    else:
        digits = [
            c for c in content.decode().removeprefix("\ufeff") if c in "0123456789"
        ]
        assert data.target.tolist() == [int(digit) for digit in digits]


@FUZZ
@given(content=st.one_of(damaged(IMAGES), st.binary(max_size=100)))
def test_image_reader(content, folder, within, refused):
    path = folder / "a.png"
    path.write_bytes(content)
    try:
        with within(10):
            image = read_image(path, (8, 6), max_pixels=10_000)
    except ValueError as error:
        refused(error, path)
    else:
        assert image.shape == (8, 6, 3)
        assert image.dtype == np.uint8


@FUZZ
@given(
    classes=st.dictionaries(
        NAMES,
        st.dictionaries(
            st.tuples(NAMES, SUFFIXES).map("".join),
            st.one_of(st.sampled_from(IMAGES), damaged(IMAGES)),
            max_size=2,
        ),
        max_size=2,
    ),
    lazy=st.booleans(),
)
def test_folder_reader(classes, lazy, tmp_path_factory, within):
    folder = tmp_path_factory.mktemp("folder")
    written = 0
    for name, files in classes.items():
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
            written += 1
    options = {"image_size": (6, 5), "max_pixels": 10_000}
    try:
        with within(20):
            data = load_image_folder(folder, lazy=lazy, **options)
            images = np.asarray(data.images)
    except (ValueError, OSError) as error:
        assert str(folder) in str(error)
    else:
        assert images.shape == (len(data.target), 6, 5, 3)
    with within(20):
        cells = gather_images([folder], image_shape=(6, 5, 3), max_pixels=10_000)
    assert len(cells.images) == len(cells.filenames) <= written
    for line in cells.errors:
        assert str(folder) in line
