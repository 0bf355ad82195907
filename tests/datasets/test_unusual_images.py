"""Unusual image files: each is read correctly, or named in a one-line error."""

import json
import os
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli
from skwbc.datasets import load_image_folder, read_image
from skwbc.datasets._gather import gather_images
from skwbc.export import to_onnx

# Left half red, right half blue.
PICTURE = np.zeros((16, 24, 3), np.uint8)
PICTURE[:, :12] = (200, 20, 20)
PICTURE[:, 12:] = (20, 20, 200)
RED_AND_BLUE = ((200, 20, 20), (20, 20, 200))


def encoded(image, suffix, *options):
    """Encode an image whose channels are in the order of OpenCV."""
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


def rgb(suffix, *options):
    return encoded(np.ascontiguousarray(PICTURE[..., ::-1]), suffix, *options)


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, colour_type, rows, *chunks, bits=8):
    """Build a PNG by hand, of a kind that OpenCV does not write."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *chunks,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        )
    )


def palette():
    row = b"\0" + bytes(12) + bytes([1] * 12)
    colours = chunk(b"PLTE", bytes((200, 20, 20, 20, 20, 200)))
    return png(24, 16, 3, row * 16, colours)


def alpha():
    opaque = np.dstack([PICTURE[..., ::-1], np.full(PICTURE.shape[:2], 90, np.uint8)])
    return encoded(opaque, ".png")


def two_pages():
    first = np.ascontiguousarray(PICTURE[..., ::-1])
    pages = cv2.imencodemulti(".tiff", [first, np.zeros_like(first)])
    return pages[1].tobytes()


def turned():
    """Make a JPEG whose EXIF entry asks for a turn to the right."""
    upright = np.ascontiguousarray(np.rot90(PICTURE)[..., ::-1])
    jpeg = encoded(upright, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def huge(side=20_000):
    """Make a file of 50 kB whose image takes 1.2 GB."""
    row = b"\0" + bytes((side + 7) // 8)
    return png(side, side, 0, row * side, bits=1)


RIGHT = {
    "a.png": lambda: rgb(".png"),
    "b.jpg": lambda: rgb(".jpg", cv2.IMWRITE_JPEG_QUALITY, 100),
    "c.bmp": lambda: rgb(".bmp"),
    "d.tif": lambda: rgb(".tif"),
    "a_jpeg_in_fact.png": lambda: rgb(".jpg", cv2.IMWRITE_JPEG_QUALITY, 100),
    "16_bits.png": lambda: encoded(PICTURE[..., ::-1].astype(np.uint16) * 257, ".png"),
    "16_bits.tif": lambda: encoded(PICTURE[..., ::-1].astype(np.uint16) * 257, ".tif"),
    "palette.png": palette,
    "alpha.png": alpha,
    "turned.jpg": turned,
    "e.webp": lambda: rgb(".webp"),
    "f.ppm": lambda: rgb(".ppm"),
    "junk_behind.jpg": lambda: rgb(".jpg", cv2.IMWRITE_JPEG_QUALITY, 100) + b"junk",
}
WRONG = {
    "cut.png": (lambda: rgb(".png")[:-40], "could not be decoded"),
    "cut.jpg": (lambda: rgb(".jpg")[:-20], "could not be decoded"),
    "cut.bmp": (lambda: rgb(".bmp")[:-400], "could not be decoded"),
    "cut.tif": (lambda: rgb(".tif")[:60], "could not be decoded"),
    "head.png": (lambda: rgb(".png")[:20], "could not be decoded"),
    "empty.png": (lambda: b"", "could not be decoded as an image (0 bytes)"),
    "text.png": (lambda: b"no image at all", "could not be decoded"),
    # OpenCV reads these, but their size cannot be checked first.
    "size_unknown_a.png": (lambda: rgb(".pam"), "could not be decoded"),
    "size_unknown_b.png": (lambda: rgb(".ras"), "could not be decoded"),
    "size_unknown_c.png": (
        lambda: encoded((PICTURE / 255).astype("f4"), ".hdr"),
        "could not be decoded",
    ),
    "float.tif": (
        lambda: encoded((PICTURE / 255).astype("f4"), ".tif"),
        "values of 32 bits (float32). Whole numbers from 0 of 1 to 16 bits are read",
    ),
    "pages.tif": (two_pages, "holds 2 pages of 24 x 16 pixels with 3 channels"),
    "huge.png": (huge, "20,000 x 20,000 pixels, more than max_pixels=100,000,000"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_read_right(name, tmp_path):
    file = tmp_path / name
    file.write_bytes(RIGHT[name]())
    image = read_image(file, (16, 24))
    assert image.shape == (16, 24, 3)
    for column, colour in zip((4, 20), RED_AND_BLUE, strict=True):
        assert np.abs(image[8, column].astype(int) - colour).max() <= 12


def test_formats_written_by_pillow(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for suffix in (".jp2", ".gif"):
        pillow.fromarray(PICTURE).save(tmp_path / f"a{suffix}")
        image = read_image(tmp_path / f"a{suffix}", (16, 24)).astype(int)
        assert np.abs(image - PICTURE).max() <= 12


def test_cmyk(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for suffix in (".jpg", ".tif"):
        file = tmp_path / f"cmyk{suffix}"
        pillow.fromarray(PICTURE).convert("CMYK").save(file)
        image = read_image(file, (16, 24))
        for column, colour in zip((4, 20), RED_AND_BLUE, strict=True):
            assert np.abs(image[8, column].astype(int) - colour).max() <= 12


def test_one_pixel(tmp_path):
    file = tmp_path / "one.png"
    file.write_bytes(encoded(np.array([[[30, 20, 10]]], np.uint8), ".png"))
    assert (read_image(file, (5, 4)) == (10, 20, 30)).all()


@pytest.mark.parametrize("name", WRONG)
def test_named_in_one_line(name, tmp_path):
    make, message = WRONG[name]
    file = tmp_path / name
    file.write_bytes(make())
    with pytest.raises(ValueError) as caught:
        read_image(file, (16, 24))
    assert str(file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("default:.*16 bits per value")
def test_one_warning_about_12_bits_in_16(model, tmp_path, capsys):
    """They become nearly black."""
    (tmp_path / "cells" / "a").mkdir(parents=True)
    folder = tmp_path / "cells"
    for k, highest in enumerate((4095, 4095, 65535, 0)):
        image = (PICTURE[..., ::-1] / 200 * highest).astype(np.uint16)
        (folder / "a" / f"{k}.tif").write_bytes(encoded(image, ".tif"))
    message = "0.tif and 1 more: 16 bits per value, but none above 4,095"
    for lazy in (False, True):
        with pytest.warns(UserWarning, match=message) as warned:
            data = load_image_folder(folder, lazy=lazy, image_size=(16, 24))
        assert len(warned) == 1
        assert np.asarray(data.images).shape == (4, 16, 24, 3)
    with pytest.warns(UserWarning, match=r"1.tif: 16 bits"):
        read_image(folder / "a" / "1.tif", (16, 24))
    capsys.readouterr()
    assert cli.main(["predict", str(model), str(folder), "--json"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skwbc: warning: ")
    assert message in line


def test_a_limit_that_can_be_raised_and_lowered(tmp_path):
    (tmp_path / "class").mkdir()
    file = tmp_path / "class" / "a.png"
    file.write_bytes(huge(side=2_000))
    assert read_image(file, (4, 4), max_pixels=4_000_000).shape == (4, 4, 3)
    for lazy in (False, True):
        data = load_image_folder(tmp_path, max_pixels=4_000_000, lazy=lazy)
        assert np.asarray(data.images).shape == (1, 100, 100, 3)
        with pytest.raises(ValueError, match="a.png has 2,000 x 2,000 pixels"):
            load_image_folder(tmp_path, max_pixels=3_999_999, lazy=lazy)
    with pytest.raises(ValueError, match="The 'max_pixels' parameter"):
        load_image_folder(tmp_path, max_pixels=0)


def unusual_paths(folder):
    """Make paths that cannot be read; return them with their error messages."""
    (folder / "folder.png").mkdir()
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    paths = {folder / "nowhere.png": "No such file"}
    if os.geteuid():
        (folder / "secret.png").write_bytes(rgb(".png"))
        (folder / "secret.png").chmod(0)
        paths[folder / "secret.png"] = "Permission denied"
        (folder / "secrets").mkdir(mode=0)
        paths[folder / "secrets"] = "Permission denied"
    paths[folder / "folder.png"] = "has no image in it"
    return paths


@pytest.fixture
def model(tmp_path):
    """Return an ONNX model of images of 16 x 24 pixels, in which 0 is blue."""
    shades = np.arange(1, 9, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    images = np.concatenate([PICTURE + shades, 255 - PICTURE - shades])
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2, random_state=0).fit(
        images, np.arange(16) // 8
    )
    to_onnx(clf, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.skipif(sys.platform == "win32", reason="names there are text")
def test_unreadable_files_do_not_stop_predictions(model, tmp_path, capsys):
    folder = tmp_path / "all"
    folder.mkdir()
    for name, make in RIGHT.items():
        (folder / name).write_bytes(make())
    for name, (make, _) in WRONG.items():
        (folder / name).write_bytes(make())
    no_text = os.path.join(os.fsencode(folder), b"no\xfftext.png")
    with open(no_text, "wb") as file:
        file.write(rgb(".png"))
    elsewhere = tmp_path / "paths"
    elsewhere.mkdir()
    paths = unusual_paths(elsewhere)
    data = gather_images([folder, *paths], image_shape=(16, 24, 3))
    names = sorted([*RIGHT, os.fsdecode(b"no\xfftext.png")])
    assert sorted(os.path.basename(file) for file in data.filenames) == names
    assert len(data.images) == len(names)
    assert len(data.errors) == len(WRONG) + len(paths)

    capsys.readouterr()
    code = cli.main(["predict", str(model), str(folder), *map(str, paths), "--json"])
    out, err = capsys.readouterr()
    assert code == 1
    answers = {os.path.basename(row["image"]): row for row in json.loads(out)}
    assert len(answers) == len(names)
    assert {row["predicted"] for row in answers.values()} == {"0"}
    lines = err.splitlines()
    assert len(lines) == len(WRONG) + len(paths)
    expected = {folder / name: message for name, (_, message) in WRONG.items()} | paths
    for path, message in expected.items():
        (line,) = [line for line in lines if f"{path}" in line]
        assert line.startswith("skwbc: error: ")
        assert message in line


def test_pages_that_are_a_ring_do_not_hang(tmp_path):
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), np.zeros((9, 7, 3), np.uint8))
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (n_tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * n_tags, first)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tif could not be decoded: .* a ring"):
        read_image(path, (9, 7))
