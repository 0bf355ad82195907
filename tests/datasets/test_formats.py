"""Every kind of image file is read right or refused by name, whole or damaged."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal

from skwbc.datasets import ImageFiles, load_image_folder, read_image
from skwbc.datasets._gather import gather_images

HEIGHT, WIDTH = 40, 56
rows, columns = np.mgrid[:HEIGHT, :WIDTH]
# Smooth, so that lossy formats keep it; no two channels or sides are alike.
RGB = np.stack([columns * 3 + 40, rows * 4 + 30, 200 - rows - columns], -1)
RGB = RGB.astype(np.uint8)
STACK = np.stack([RGB.astype(np.uint16)[..., k % 3] * (200 - 30 * k) for k in range(6)])
PLACES = np.linspace(0.08, 0.97, 10)


def tiff(image, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, **options)
    return stream.getvalue()


def opencv(suffix, image=RGB, *options):
    bgr = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr, list(options))[1].tobytes()


def pnm(image, most, text=False):
    kind = {2: b"P5", 3: b"P6"}[image.ndim]
    if text:
        kind = {b"P5": b"P2", b"P6": b"P3"}[kind]
        body = b"".join(b"%d\n" % value for value in image.ravel())
    else:
        body = image.astype(">u2" if most > 255 else np.uint8).tobytes()
    return b"%s\n# made by hand\n%d %d\n%d\n" % (kind, WIDTH, HEIGHT, most) + body


def grey(image):
    return np.repeat(image[..., np.newaxis], 3, axis=2)


def edited(content, tag, value):
    """Change the value of an entry of a small-endian TIFF."""
    data = bytearray(content)
    (start,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, start)
    places = range(start + 2, start + 2 + 12 * n, 12)
    (place,) = (k for k in places if struct.unpack_from("<H", data, k)[0] == tag)
    struct.pack_into("<I", data, place + 8, value)
    return bytes(data)


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def twelve_bits():
    """Make a TIFF with two values in three bytes."""
    first, second = (GREY.astype(int)[:, k::2] << 4 for k in (0, 1))
    middle = (first & 15) << 4 | second >> 8
    packed = np.stack([first >> 4, middle, second & 255], -1).reshape(HEIGHT, -1)
    content = tiff(packed.astype(np.uint8), metadata=None)
    return edited(edited(content, 256, WIDTH), 258, 12)


GREY = RGB[..., 0]
COMPRESSIONS = {
    # compression: types, whether a changed bit is noticed, difference that is allowed
    None: ("u1 u2", False, 0),
    "lzw": ("u1 u2", False, 0),
    "zlib": ("u1 u2", True, 0),
    "packbits": ("u1 u2", False, 0),
    "lzma": ("u1 u2", True, 0),
    "zstd": ("u1 u2", False, 0),
    "png": ("u1 u2", True, 0),
    "jpeg": ("u1", False, 45),
    "jpeg2000": ("u1 u2", False, 2),
    "webp": ("u1", False, 8),
    "jpegxl": ("u1 u2", False, 1),
    "jpegxr": ("u1 u2", False, 8),
}


def tiffs():
    for compression, (types, noticed, tolerance) in COMPRESSIONS.items():
        for dtype in types.split():
            wide = 257 if dtype == "u2" else 1
            for name, image in (("grey", GREY), ("rgb", RGB)):
                if compression == "webp" and name == "grey":
                    continue
                options = {
                    "photometric": {"grey": "minisblack"}.get(name, name),
                    "compression": compression,
                }
                data = image.astype(dtype) * np.array(wide, dtype)
                expected = grey(image) if name == "grey" else image
                images_inside = compression in (
                    "png",
                    "jpeg2000",
                    "webp",
                    "jpegxl",
                    "jpegxr",
                )
                for layout in ("strips", "tiles", "big")[: 3 - images_inside]:
                    kind = {
                        "strips": {"rowsperstrip": 16},
                        "tiles": {"tile": (16, 16)},
                        "big": {"bigtiff": True, "byteorder": ">"},
                    }[layout]
                    label = f"{compression}-{name}-{dtype}-{layout}.tif"
                    content = tiff(data, **options, **kind)
                    yield label, content, expected, tolerance, noticed


def others():
    """Yield name, content, image, allowed difference, and whether damage is noticed."""
    wide = RGB.astype(np.uint16) * 257
    yield "rgb.png", opencv(".png"), RGB, 0, True
    yield "grey.png", opencv(".png", GREY), grey(GREY), 0, True
    yield "rgb16.png", opencv(".png", wide), RGB, 0, True
    yield "rgb.jpg", opencv(".jpg", RGB, 1, 98), RGB, 6, False
    yield "rgb.bmp", opencv(".bmp"), RGB, 0, False
    yield "rgb.webp", opencv(".webp", RGB, 64, 101), RGB, 0, False
    yield "rgb.jp2", opencv(".jp2"), RGB, 2, False
    yield "rgb.gif", opencv(".gif"), RGB, 100, False
    yield "rgb.ppm", opencv(".ppm"), RGB, 0, False
    yield "grey.pgm", opencv(".pgm", GREY), grey(GREY), 0, False
    # White is at any value.
    hundred = (GREY.astype(int) * 100 + 127) // 255
    for text in (False, True):
        yield f"p100{text}.pgm", pnm(hundred, 100, text), grey(GREY), 3, False
        yield f"p4095{text}.pgm", pnm(GREY * 16.0 // 1, 4095, text), grey(GREY), 1, 0
    yield "p100.ppm", pnm((RGB.astype(int) * 100 + 127) // 255, 100), RGB, 3, False
    planar = {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}
    yield "planar.tif", tiff(np.moveaxis(RGB, 2, 0), **planar), RGB, 0, True
    yield "white_is_0.tif", tiff(255 - GREY, photometric="miniswhite"), grey(GREY), 0, 0
    yield "bits12.tif", twelve_bits(), grey(GREY), 0, False
    # Compressed by libtiff: a black edge, and ten rows the other way round.
    fax = np.repeat([[False] * 20 + [True] * 36], HEIGHT, axis=0)
    fax[10:20] ^= True
    code = bytes.fromhex("220353ffff26a1a3ffffffc880d4fffffffffc004004")
    uncompressed = tiff(np.zeros((HEIGHT, WIDTH), bool), photometric="minisblack")
    content = edited(edited(uncompressed, 259, 4), 279, len(code))
    content = edited(content, 273, len(content)) + code
    yield "fax.tif", content, grey(fax.astype(np.uint8) * 255), 0, False
    frame = chunk(b"fcTL", bytes(7) + b"\x10" + bytes(18))
    # Readers of no animations take the image of the file, which is none of its frames.
    png = opencv(".png")
    start = png.index(b"IDAT") - 4
    animation = chunk(b"acTL", bytes(3) + b"\1" + bytes(4))
    first = chunk(b"fdAT", bytes(4) + zlib.compress(bytes(HEIGHT * (1 + 3 * WIDTH))))
    yield (
        "animated.png",
        png[:start] + animation + png[start:-12] + frame + first + png[-12:],
        RGB,
        0,
        True,
    )
    bits = GREY > 100
    yield (
        "bits1.tif",
        tiff(bits, photometric="minisblack"),
        grey(bits.astype(np.uint8) * 255),
        0,
        False,
    )
    colours = np.arange(256, dtype=np.uint16) * 257
    table = np.stack([colours, colours[::-1], colours])
    shown = np.stack([GREY, 255 - GREY, GREY], -1)
    palette = {"photometric": "palette", "colormap": table}
    yield "palette.tif", tiff(GREY, **palette), shown, 0, False
    for kind in ("assocalpha", "unassalpha"):
        four = np.dstack([RGB, np.full_like(GREY, 90)])
        alpha = {"photometric": "rgb", "extrasamples": [kind]}
        yield f"{kind}.tif", tiff(four, **alpha), RGB, 0, False


FILES = {name: rest for name, *rest in (*tiffs(), *others())}


@pytest.mark.parametrize("name", FILES)
def test_right_or_refused(name, tmp_path, capfd):
    content, expected, tolerance, noticed = FILES[name]
    file = tmp_path / name

    def read(data):
        file.write_bytes(data)
        try:
            image = read_image(file, (HEIGHT, WIDTH))
        except ValueError as error:
            message = str(error)
        else:
            assert image.shape == (HEIGHT, WIDTH, 3)
            return bool(np.abs(image.astype(int) - expected).max() <= tolerance)
        assert str(file) in message
        assert "\n" not in message
        return None

    assert read(content) is True
    # The head of a TIFF file has no checksum.
    guarded = len(content) if not noticed else 0
    if noticed and name.endswith(".tif"):
        with tifffile.TiffFile(file) as opened:
            guarded = min(opened.pages[0].dataoffsets)
    for place in PLACES:
        start = int(place * len(content))
        assert read(content[:start]) in (None, True), "cut off"
        for damage in (bytes(len(content) // 20 + 1), bytes([content[start] ^ 4])):
            damaged = content[:start] + damage + content[start + len(damage) :]
            assert read(damaged) in (None, True) or start < guarded


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation, tmp_path):
    turned = {5: 0, 6: -1, 7: 0, 8: 1}.get(orientation, 0)
    tag = [(274, "H", 1, orientation, True)]
    (tmp_path / "a.tif").write_bytes(tiff(RGB, photometric="rgb", extratags=tag))
    (tmp_path / "a.png").write_bytes(opencv(".png"))
    expected = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, turned),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB, turned),
    }[orientation]
    assert_array_equal(read_image(tmp_path / "a.tif", expected.shape[:2]), expected)


def without_strip():
    """Make a TIFF whose second strip has a size of 0."""
    content = tiff(RGB, photometric="rgb", rowsperstrip=16)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag = file.pages[0].tags[279]
    data = bytearray(content)
    place = tag.valueoffset + tag.valuebytecount // 3
    struct.pack_into("<H" if tag.dtype == 3 else "<I", data, place, 0)
    return bytes(data)


def png_that_claims(n_bytes):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + struct.pack(">I", n_bytes) + b"IDAT" + b"x" * 8


JPEG_TILE = tiff(RGB, photometric="rgb", compression="jpeg", tile=(16, 16))
FLOATS = tiff(GREY.astype(np.float16) / np.float16(255), predictor=False)
REFUSED = {
    "strip_of_0_bytes.tif": (without_strip(), "strip or tile should be at bytes"),
    "few_strips.tif": (
        edited(tiff(RGB, photometric="rgb", rowsperstrip=16), 278, 8),
        "it has 3 strips or tiles, expected 5",
    ),
    "compression.tif": (edited(tiff(RGB, photometric="rgb"), 259, 60123), "60123"),
    "aperio.tif": (
        edited(tiff(RGB, photometric="rgb"), 259, 33003),
        "is compressed by Aperio's JPEG 2000 of YCbCr, which is not read. Save it as",
    ),
    "image_of_another_size.tif": (
        edited(tiff(RGB, photometric="rgb", compression="jpegxl"), 256, 40),
        "could not be decoded: invalid out.shape",
    ),
    "lab.tif": (edited(tiff(RGB, photometric="rgb"), 262, 8), "CIELAB"),
    "huge_tile.tif": (
        edited(tiff(RGB, photometric="rgb", tile=(16, 16)), 322, 2**24),
        "could not be decoded",
    ),
    "huge_jpeg.tif": (
        JPEG_TILE.replace(b"\0\x10\0\x10\x03", b"\xff\xdc\xff\xdc\x03"),
        "claims 65500 x 65500 pixels",
    ),
    "jpeg_of_another_size.tif": (
        edited(tiff(RGB, photometric="rgb", compression="jpeg"), 256, 9000),
        "could not be decoded",
    ),
    "only_opacity.tif": (
        edited(
            tiff(
                np.dstack([RGB, GREY]), photometric="rgb", extrasamples=["assocalpha"]
            ),
            277,
            1,
        ),
        "could not be decoded",
    ),
    "half_floats.tif": (FLOATS, "16 bits (float16)"),
    "five.tif": (
        tiff(STACK[:5], photometric="minisblack", planarconfig="separate"),
        "56 x 40 pixels with 5 channels of 16 bits. Grey and RGB are read; choose",
    ),
    "claims_4_gb.png": (png_that_claims(0xFFFFFFFF), "could not be decoded"),
    "no_rows.png": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(25)))
        + chunk(b"IEND", b""),
        "could not be decoded",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name, tmp_path):
    content, message = REFUSED[name]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_image(file, (32, 32))
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


def unusual_bmp(masks):
    """Make a BMP of 32 bits whose colours are where masks say."""
    body = np.dstack([RGB, GREY])[::-1].tobytes()
    head = (40, WIDTH, HEIGHT, 1, 32, 3, len(body), 0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", *head) + struct.pack("<3I", *masks)
    return b"BM" + struct.pack("<IHHI", len(body) + 66, 0, 0, 66) + head + body


def progressive_jpeg(side, n_scans):
    """Make a small JPEG that takes minutes: each scan goes over all pixels."""

    def segment(kind, content):
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(content) + 2) + content

    symbol = bytes([1, *[0] * 15])
    n_blocks = (side // 8) ** 2
    runs = n_blocks // 32767 + 1
    return b"".join(
        [
            b"\xff\xd8" + segment(0xDB, b"\0" + bytes([1] * 64)),
            segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"),
            segment(0xC4, b"\0" + symbol + b"\0"),
            segment(0xC4, b"\x10" + symbol + b"\xe0"),
            segment(0xDA, b"\1\1\0\0\0\0") + bytes(n_blocks // 8 + 1),
            n_scans * (segment(0xDA, b"\1\1\0\1\x3f\0") + b"\x7f\xfe" * runs),
            b"\xff\xd9",
        ]
    )


TEXT = chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(7_900_000), 9))
HOSTILE_PNG = opencv(".png")[:33] + TEXT * 200 + opencv(".png")[33:]
REFUSED |= {
    "unusual.bmp": (
        unusual_bmp([0xFF, 0xFF00, 0xFF0000]),
        "its colours are in an unusual order",
    ),
    "scans.jpg": (progressive_jpeg(8000, 200), "it has 201 scans"),
    "no_white.pgm": (b"P5 8 8 \x00" + bytes(64), "the value of white"),
    "float.ppm": (b"PF\n8 8\n-1.0\n" + bytes(768), "of another format"),
}
HOSTILE = """
import resource, sys
import numpy as np
from skwbc.datasets import ImageFiles, load_image_folder, read_image
read_image(sys.argv[1], (8, 8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        read_image(path, (8, 8))
        print(path, "READ")
    except ValueError as error:
        assert str(error).startswith(path), error
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are files there")
def test_hostile_files_take_neither_time_nor_memory(tmp_path):
    for name, (content, _) in REFUSED.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name, head in (
        ("sparse.png", b"\x89PNG\r\n\x1a\n"),
        ("sparse.tif", b"II*\0\x08"),
        # The first is a tag of 2 GB.
        ("tag.tif", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 270, 2, 2**31, 99)),
    ):
        with open(tmp_path / name, "wb") as file:
            file.write(head)
            file.truncate(100 * 2**30)
    files = sorted(str(each) for each in tmp_path.iterdir())
    (tmp_path / "right.tif").write_bytes(JPEG_TILE)
    # Its texts take 1.6 GB.
    (tmp_path / "texts.png").write_bytes(HOSTILE_PNG)
    files.append(str(tmp_path / "texts.png"))
    command = [sys.executable, "-c", HOSTILE, str(tmp_path / "right.tif"), *files]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:-1] == [f"{files[-1]} READ"]
    assert int(result.stdout.splitlines()[-1]) < 40  # MB


def test_a_raw_file_of_100_gb(tmp_path):
    with open(tmp_path / "a.raw", "wb") as file:
        file.truncate(100 * 2**30)
    (tmp_path / "b.png").write_bytes(opencv(".png"))
    images = gather_images([tmp_path], image_shape=(8, 8, 3))
    assert len(images.filenames) == 1
    (error,) = images.errors
    assert "a.raw has 107,374,182,400 bytes; expected 2 GB at most. Divide it" in error


CHANNELS = {
    "pages": (STACK, {"photometric": "minisblack"}),
    "ImageJ": (STACK, {"imagej": True, "metadata": {"axes": "CYX"}}),
    "OME": (STACK, {"ome": True, "metadata": {"axes": "CYX"}}),
    "planar": (STACK, {"planarconfig": "separate"}),
    "interleaved": (np.moveaxis(STACK, 0, -1), {"planarconfig": "contig"}),
}


@pytest.mark.parametrize("layout", CHANNELS)
def test_channels(layout, tmp_path):
    stack, options = CHANNELS[layout]
    file = tmp_path / "a.tif"
    file.write_bytes(tiff(stack, **{"photometric": "minisblack"} | options))
    size, expected = (HEIGHT, WIDTH), np.moveaxis(STACK, 0, -1)
    for channels in ("all", [0], [5, 2, 3]):
        image = read_image(file, size, channels=channels)
        assert image.dtype == np.uint16
        assert_array_equal(
            image, expected[..., slice(None) if channels == "all" else channels]
        )
    with pytest.raises(ValueError, match="channel"):
        read_image(file, size)
    with pytest.raises(ValueError, match="6 channel.*no channel 6"):
        read_image(file, size, channels=[6])
    small = read_image(file, (20, 28), channels="all")
    blocks = expected.reshape(20, 2, 28, 2, 6).mean((1, 3))
    assert np.abs(small - blocks).max() <= 1
    lazy = ImageFiles([file, file], size, channels=[1, 0])
    assert (lazy.shape, lazy.dtype) == ((2, HEIGHT, WIDTH, 2), np.uint16)
    assert_array_equal(np.asarray(lazy)[1], expected[..., [1, 0]])


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_pages(kind, tmp_path):
    """Three planes of two channels."""
    planes = STACK.reshape(3, 2, HEIGHT, WIDTH)
    file, size = tmp_path / "a.tif", (HEIGHT, WIDTH)
    content = tiff(planes, metadata={"axes": "ZCYX"}, **{kind: True})
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"holds 3 pages \(3 Z\) of .*2 channel"):
        read_image(file, size, channels="all")
    one = read_image(file, size, channels="all", page=1)
    assert_array_equal(one, np.moveaxis(planes[1], 0, -1))
    brightest = read_image(file, size, channels=[1], page="max")
    assert_array_equal(brightest[..., 0], planes[:, 1].max(axis=0))
    with pytest.raises(ValueError, match="there is no page 3"):
        read_image(file, size, channels="all", page=3)
    # A grey stack that becomes RGB.
    file.write_bytes(tiff(planes[:, 0], photometric="minisblack"))
    grey_page = read_image(file, size, page=2)
    assert_array_equal(grey_page, grey((planes[2, 0] >> 8).astype(np.uint8)))


@pytest.mark.parametrize("value", [[], [0, 0], [-1], "some", [1.5]])
def test_wrong_channels(value, tmp_path):
    with pytest.raises(ValueError, match="channels="):
        read_image(tmp_path / "a.png", (8, 8), channels=value)
    with pytest.raises(ValueError, match="page="):
        read_image(tmp_path / "a.png", (8, 8), page=-1)


def test_files_of_several_kinds(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(opencv(".png"))
    (tmp_path / "a" / "2.png").write_bytes(opencv(".png", GREY))
    data = load_image_folder(tmp_path, channels=[0], image_size=(HEIGHT, WIDTH))
    assert data.images.shape == (2, HEIGHT, WIDTH, 1)
    with pytest.raises(ValueError, match="2.png has 1 channel.*the first image 3"):
        load_image_folder(tmp_path, channels="all")
