"""Models as web pages, tried in Chromium."""

import contextlib
import csv
import functools
import http.server
import os
import re
import shutil
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
from code_blocks import ROOT
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier, cli
from skwbc.datasets import make_blood_cells, read_image
from skwbc.export import to_onnx, to_page

# `make browser-test` installs them there.
NPM = ROOT / ".venv" / "npm" / "node_modules"
RUNTIME = NPM / "onnxruntime-web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
# Names of classes that would hurt as markup, or in a spreadsheet.
HOSTILE = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "=1+1")
KINDS = "PNG, JPEG, BMP, TIFF, WebP, GIF, JPEG 2000, PGM or PPM"


@pytest.fixture(scope="module")
def runtime():
    if not RUNTIME.is_dir():
        pytest.skip(f"{RUNTIME} is missing; `make browser-test` installs it")
    return RUNTIME


@pytest.fixture(scope="module")
def browser(runtime):
    module = pytest.importorskip(
        "playwright.sync_api",
        reason="needs Playwright; `make browser-test` installs it",
    )
    if CHROMIUM is None:
        pytest.skip("needs Chromium, for instance the package chromium of Debian")
    switches = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        *["--no-sandbox"] * (os.geteuid() == 0),
    ]
    with module.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=switches)


@pytest.fixture(scope="module")
def trained():
    """Return an ensemble whose classes have hostile names."""
    images, target = make_blood_cells(8, image_size=(24, 24), random_state=0)
    names = dict(zip(np.unique(target), HOSTILE, strict=True))
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2, random_state=0)
    return clf.fit(images, np.array([names[each] for each in target]))


@pytest.fixture(scope="module")
def onnx(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    to_onnx(trained, path)
    return path


@pytest.fixture(scope="module")
def file(onnx, runtime):
    path = onnx.with_name("page.html")
    to_page(onnx, path, runtime=runtime)
    return path


@contextlib.contextmanager
def opened(browser, url, **settings):
    """Open a page; check in the end that it had no error and loaded only its files."""
    context = browser.new_context(**{"locale": "en"} | settings)
    context.set_default_timeout(180_000)  # for busy machines
    page = context.new_page()
    page.errors, page.requests = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("dialog", lambda dialog: page.errors.append(dialog.message))
    page.on("console", lambda line: page.errors.append(line.text))
    context.on("request", lambda request: page.requests.append(request.url))
    page.goto(url)
    page.wait_for_selector("#status:text-matches('.*(ready|準備).*')")
    yield page
    outside = [
        each for each in page.requests if not each.startswith(("blob:", "data:"))
    ]
    assert page.errors == []
    context.close()
    assert outside == [url] or all(each.startswith(url) for each in outside)


@pytest.fixture
def page(browser, file):
    with opened(browser, file.as_uri()) as page:
        yield page


def classify(page, files):
    page.set_input_files("#file-input", files)
    page.wait_for_selector("#stop", state="hidden")


def downloaded(page):
    with page.expect_download() as download:
        page.click("#download")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def predicted(model, files, path, capsys):
    """Return the table of the command, and what it says of files that it refuses."""
    arguments = ["predict", model, *files, "--coverage", "0.9", "--csv", path]
    cli.main([*map(str, arguments)])
    errors = re.findall("skwbc: error: .*/(.*)", capsys.readouterr().err)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)), errors


def check_rows(rows, expected, tolerance):
    """Compare tables: names, agreement and sets exactly, probabilities nearly."""
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, other in zip(rows, expected, strict=True):
        for name, value in other.items():
            if name == "image":
                assert row[name] == os.path.basename(value)
            elif re.fullmatch(r"[\d.e-]+", value) and name != "agreement":
                assert float(row[name]) == pytest.approx(float(value), abs=tolerance)
            else:
                assert row[name] == value


def png(path, image, colour, *, interlaced=False):
    """Write a PNG of 16 bits, or an interlaced one, which OpenCV does not write."""
    passes = [(slice(None), slice(None))]
    if interlaced:
        starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)]
        starts += [(0, 1, 2, 2), (1, 0, 2, 1)]
        passes = [(slice(y, None, dy), slice(x, None, dx)) for y, x, dy, dx in starts]
    big = image.astype(image.dtype.newbyteorder(">"))
    lines = b"".join(b"\0" + line.tobytes() for part in passes for line in big[part])
    height, width = image.shape[:2]
    head = (width, height, 8 * image.itemsize, colour, 0, 0, int(interlaced))
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", *head)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ):
        crc = zlib.crc32(name + data)
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return image files of all kinds, whole and damaged."""
    folder = tmp_path_factory.mktemp("images")
    cell = make_blood_cells(1, image_size=(53, 61), random_state=1)[0][0]
    wide, bgr = cell.astype(np.uint16) * 257, cell[..., ::-1]
    for name in ("a.png", "b.bmp", "c.jpg"):
        cv2.imwrite(str(folder / name), bgr)
    cv2.imwrite(str(folder / "d.webp"), bgr, [cv2.IMWRITE_WEBP_QUALITY, 101])
    cv2.imwrite(str(folder / "grey.png"), cell[..., 0])
    cv2.imwrite(str(folder / "grey.jpg"), cell[..., 0])
    alpha = np.arange(53 * 61, dtype=np.uint16).astype(np.uint8).reshape(53, 61)
    cv2.imwrite(str(folder / "transparent.png"), np.dstack([bgr, alpha]))
    for side in (10, 24, 48):
        cv2.imwrite(str(folder / f"{side}.png"), cv2.resize(bgr, (side, side)))
    cv2.imwrite(str(folder / "tall.png"), cv2.resize(bgr, (9, 120)))
    png(folder / "16.png", wide, 2)
    png(folder / "16_grey.png", wide[..., 0], 0)
    png(folder / "16_dim.png", wide // 16, 2)
    png(folder / "interlaced.png", cell, 2, interlaced=True)
    for name in ("a.png", "b.bmp", "c.jpg", "d.webp"):
        content = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(content[: len(content) * 2 // 3])
    content = bytearray((folder / "a.png").read_bytes())
    content[200] ^= 1
    (folder / "flipped.png").write_bytes(content)
    (folder / "text.png").write_bytes(b"no image")
    (folder / "empty.jpg").write_bytes(b"")
    huge = struct.pack(">II", 2**15, 2**15)
    (folder / "huge.png").write_bytes(content[:16] + huge + content[24:])
    # Turned as told.
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    jpeg = (folder / "c.jpg").read_bytes()
    part = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    (folder / "turned.jpg").write_bytes(jpeg[:2] + part + jpeg[2:])
    whole = (folder / "a.png").read_bytes()
    crc = struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    part = struct.pack(">I", len(exif)) + b"eXIf" + exif + crc
    (folder / "turned.png").write_bytes(whole[:33] + part + whole[33:])
    return sorted(folder.iterdir())


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:.*16 bits per value")
def test_predicts_and_refuses_as_the_command(page, onnx, files, tmp_path, capsys):
    expected, errors = predicted(onnx, files, tmp_path / "t.csv", capsys)
    assert len(expected) == 17
    assert len(errors) == 8
    classify(page, files)
    check_rows(downloaded(page), expected, 1e-5)
    page.select_option("#filter", "refusedOnes")
    refused = page.locator("#cards .warning").all_inner_texts()
    read = KINDS.replace(" TIFF,", "").replace("WebP, GIF, JPEG 2000, PGM or PPM", "")
    advice = " Raise max_pixels if you trust the file and have the memory."
    in_browsers = [
        each.replace(KINDS, f"{read}WebP or GIF").replace(advice, "") for each in errors
    ]
    assert refused == in_browsers
    page.select_option("#filter", "all")
    assert page.locator("#cards .warning:has-text('16 bits per value')").count() == 1


@pytest.mark.browser
def test_formats_that_browsers_do_not_read_as_the_package(page, tmp_path):
    cell = np.full((30, 30, 3), 200, np.uint8)
    cell[:15] = 90
    glass = np.dstack([cell, np.full((30, 30), 90, np.uint8)])
    for name, image in (("a.tif", cell), ("b.jp2", cell), ("c.ppm", cell)):
        cv2.imwrite(str(tmp_path / name), image)
    cv2.imwrite(str(tmp_path / "d.webp"), glass)
    classify(page, sorted(tmp_path.iterdir()))
    page.wait_for_selector("#cards .warning")
    *others, transparent = page.locator("#cards .warning").all_inner_texts()
    formats = [re.search("is a (.*) file, which browsers", each)[1] for each in others]
    assert formats == ["TIFF", "JPEG 2000", "PGM / PPM"]
    assert "partly transparent" in transparent


@pytest.mark.browser
def test_models_of_chosen_channels_and_16_bits(browser, runtime, tmp_path, capsys):
    images, target = make_blood_cells(8, image_size=(24, 24), random_state=0)
    wide = images[..., [2, 0]].astype(np.uint16) * 257
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2, random_state=0).fit(wide, target)
    clf._reading = {"channels": [2, 0], "page": None}
    to_page(clf, tmp_path / "p.html", runtime=runtime)
    to_onnx(clf, tmp_path / "m.onnx", input_dtype="float32")
    (tmp_path / "new").mkdir()
    for k, image in enumerate(images[:3]):
        png(tmp_path / "new" / f"{k}.png", image.astype(np.uint16) * 257, 2)
    cv2.imwrite(str(tmp_path / "new" / "3.png"), images[0])
    png(tmp_path / "new" / "4.png", wide[0, ..., 0], 0)
    files = sorted((tmp_path / "new").iterdir())
    table = tmp_path / "t.csv"
    expected, errors = predicted(tmp_path / "m.onnx", files, table, capsys)
    assert len(errors) == 2
    with opened(browser, (tmp_path / "p.html").as_uri()) as page:
        classify(page, files)
        check_rows(downloaded(page), expected, 1e-3)
        page.select_option("#filter", "refusedOnes")
        assert page.locator("#cards .warning").all_inner_texts() == errors


@pytest.mark.browser
def test_real_cells(browser, runtime, real_data, tmp_path, capsys):
    jpeg = sorted(real_data.glob("bccd/[!B]*/*.jpg"))[::5]
    images = [read_image(each, (100, 100)) for each in jpeg[::2]]
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2, random_state=0)
    clf.fit(np.array(images), [each.parent.name for each in jpeg[::2]])
    to_onnx(clf, tmp_path / "m.onnx")
    to_page(clf, tmp_path / "p.html", runtime=runtime)
    for k, each in enumerate(jpeg[1::2]):
        name = f"{k:03}.{('png', 'bmp')[k % 2]}"
        cv2.imwrite(str(tmp_path / name), cv2.imread(str(each)))
    lossless = sorted(p for p in tmp_path.iterdir() if p.suffix in (".png", ".bmp"))
    with opened(browser, (tmp_path / "p.html").as_uri()) as page:
        for some, tolerance in ((lossless, 1e-5), (jpeg, 1e-2)):
            table = tmp_path / "t.csv"
            expected, _ = predicted(tmp_path / "m.onnx", some, table, capsys)
            classify(page, some)
            check_rows(downloaded(page), expected, tolerance)
            page.click("#clear")


@pytest.mark.browser
def test_nothing_can_leave_the_page(browser, onnx, runtime, files, tmp_path):
    folder = tmp_path / "page"
    arguments = ["export", onnx, folder, "--runtime", runtime]
    for _ in range(2):  # An earlier page is replaced.
        assert cli.main([*map(str, arguments)]) == 0
    requests = []

    class Server(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form, *values):
            requests.append(values[0].split()[:2])

        def end_headers(self):
            # Threads of the runtime need them.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

    handler = functools.partial(Server, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with opened(browser, url) as page:
            classify(page, files)
            assert len(downloaded(page)) == 17
            page.errors.clear()
            assert sorted(requests) == [
                ["GET", f"/{name}"]
                for name in sorted(
                    ["", *(p.name for p in folder.iterdir() if p.name != "index.html")]
                )
            ]
            # A script of an attacker would fail in all of these.
            tries = """async (url) => {
                const reasons = [];
                for (const attempt of [
                    () => fetch(url), () => fetch("https://example.org"),
                    () => new Promise((done, fail) => {
                        const request = new XMLHttpRequest();
                        request.onload = done;
                        request.onerror = () => fail(Error("xhr"));
                        request.open("POST", url);
                        request.send("an image");
                    }),
                    () => new Promise((done, fail) => {
                        const image = new Image();
                        image.onload = done;
                        image.onerror = () => fail(Error("image"));
                        image.src = `${url}?an-image`;
                    }),
                    () => new Promise((done, fail) => {
                        const socket = new WebSocket(url.replace("http", "ws"));
                        socket.onopen = done;
                        socket.onerror = () => fail(Error("socket"));
                    }),
                    () => navigator.sendBeacon(url, "an image"),
                ]) {
                    try { await attempt(); reasons.push("sent"); }
                    catch (error) { reasons.push("refused"); }
                }
                const script = document.createElement("script");
                script.textContent = "window.isHurt = true";
                document.body.append(script);
                const html = "<img src=x onerror='window.isHurt = true'>";
                document.body.insertAdjacentHTML("beforeend", html);
                return [...reasons, window.isHurt];
            }"""
            sent = page.evaluate(tries, url)
            assert sent[:5] == ["refused"] * 5
            assert sent[-1] is None
            page.errors.clear()
        server.shutdown()
    assert {tuple(each) for each in requests if each[0] != "GET"} == set()


@pytest.mark.browser
def test_names_are_text_and_no_formulas(page, tmp_path):
    cell = make_blood_cells(1, image_size=(24, 24), random_state=1)[0][0]
    names = ["=2+3.png", "<img src=x onerror=alert(1)>.png", "a\u202eb\n\x1b[31m.png"]
    for name in names:
        (tmp_path / name.replace("/", "")).write_bytes(cv2.imencode(".png", cell)[1])
    classify(page, sorted(tmp_path.iterdir()))
    page.wait_for_selector(".predicted >> nth=2")
    shown = page.locator("#cards h3").all_inner_texts()
    escaped = "a\\u202eb\\x0a\\x1b[31m.png"
    assert sorted(shown) == sorted([*names[:2], escaped])
    assert {*page.locator("#cards .predicted").all_inner_texts()} <= {*HOSTILE}
    assert page.locator("#cards dt").all_inner_texts()[:3] != []
    rows = downloaded(page)
    assert sorted(row["image"] for row in rows) == sorted(
        ["'=2+3.png", names[1], escaped]
    )
    assert "'=1+1" in rows[0]


@pytest.mark.browser
def test_ten_thousand_files(page, tmp_path):
    cell = make_blood_cells(1, image_size=(24, 24), random_state=1)[0][0]
    folder = tmp_path / "many"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "within").mkdir()
    content = cv2.imencode(".png", cell)[1].tobytes()
    for k in range(10_000):
        name = ("0", "within/0", ".hidden/0")[0 if k % 10 else 1]
        (folder / f"{name}{k:05}.png").write_bytes(content)
    (folder / ".hidden" / "h.png").write_bytes(content)
    (folder / "notes.txt").write_bytes(b"")
    (folder / "field.czi").write_bytes(b"")
    page.set_input_files("#folder-input", folder)
    page.wait_for_selector(".predicted")
    assert "of 10,000 images" in page.inner_text("#count")
    assert page.inner_text("#range") == "1–48 of 10,000"
    assert "field.czi. Save them as PNG." in page.inner_text("#notes")
    # It answers at once.
    page.click("#next", timeout=2_000)
    assert page.inner_text("#range") == "49–96 of 10,000"
    assert page.locator("#cards li").count() == 48
    page.wait_for_timeout(1000)
    page.click("#stop", timeout=2_000)
    page.wait_for_selector("#stop", state="hidden")
    (left,) = re.findall("([0-9,]+) images were not", page.inner_text("#status"))
    n_rows = len(downloaded(page))
    assert n_rows + int(left.replace(",", "")) == 10_000
    assert n_rows > 50
    page.click("#clear")
    assert page.locator("#results").is_hidden()


@pytest.mark.browser
def test_a_dropped_folder_and_the_camera(page, files, tmp_path):
    (tmp_path / "cells" / "empty").mkdir(parents=True)
    shutil.copy(files[0], tmp_path / "cells")
    shutil.copy(files[0], tmp_path / "single.png")
    session = page.context.new_cdp_session(page)
    for paths in (["cells", "single.png"], ["cells/empty"]):
        dragged = [str(tmp_path / each) for each in paths]
        data = {"items": [], "files": dragged, "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send(
                "Input.dispatchDragEvent",
                {"type": kind, "x": 100, "y": 100, "data": data},
            )
    page.wait_for_selector("#notes li")
    page.click("#camera")
    page.click("#take")
    page.wait_for_selector(".predicted >> nth=2")
    names = page.locator("#cards h3").all_inner_texts()
    assert names == [f"cells/{files[0].name}", "single.png", "camera-1.png"]
    note = "The folder empty has no image in it or in its sub-folders."
    assert page.inner_text("#notes") == note


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "ja"])
def test_accessible_in_two_languages(browser, file, files, language):
    axe = NPM / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip(f"{axe} is missing; `make browser-test` installs it")
    settings = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}
    settings = settings if language == "ja" else {}
    with opened(browser, file.as_uri(), locale=language, **settings) as page:
        # By keyboard: the language, then the images.
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "language"
        page.keyboard.press("Tab")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(files)
        page.wait_for_selector("#stop", state="hidden")
        page.wait_for_selector(".predicted")
        page.click("footer summary")
        page.evaluate(f"{axe.read_text(encoding='utf-8')};0")
        violations = page.evaluate("axe.run()")["violations"]
        assert [each["id"] for each in violations] == []
        assert page.evaluate("document.documentElement.lang") == language
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.viewport_size["width"]
        texts = [page.inner_text("body")]
        page.click("#language")
        texts.append(page.inner_text("body"))
        japanese = [bool(re.search("[ぁ-ん]", each)) for each in texts]
        assert japanese == [language == "ja", language == "en"]


@pytest.mark.browser
@pytest.mark.parametrize("change", [b"", b" "])
def test_a_runtime_from_a_server_has_to_be_the_right_one(
    browser, runtime, onnx, tmp_path, change
):
    to_page(onnx, tmp_path / "p.html", runtime="cdn")
    context = browser.new_context(locale="en")

    def answer(route):
        content = (runtime / "dist" / route.request.url.split("/")[-1]).read_bytes()
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(body=content + change, headers=headers)

    context.route("https://cdn.jsdelivr.net/npm/onnxruntime-web@*/dist/*", answer)
    page = context.new_page()
    page.goto((tmp_path / "p.html").as_uri())
    message = "could not be started" if change else "is ready"
    page.wait_for_selector(f"#status:text-matches('{message}')")
    about = page.inner_text("#about")
    assert about.endswith("loads from cdn.jsdelivr.net and checks by its hash.")
    context.close()


def policy_of(path):
    return re.search('Content-Security-Policy" content="(.*?)"', path.read_text())[1]


def test_policy(trained, tmp_path):
    (tmp_path / "ort" / "dist").mkdir(parents=True)
    (tmp_path / "ort" / "package.json").write_text('{"version": "1.2.3"}')
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (tmp_path / "ort" / "dist" / name).write_bytes(b"")
    kinds = {"file.html": "'none'", "folder": "'self'"}
    for name, connect in kinds.items():
        to_page(trained, tmp_path / name, runtime=tmp_path / "ort")
        path = tmp_path / name
        policy = policy_of(path if path.is_file() else path / "index.html")
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert f"connect-src {connect};" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
    to_page(trained, tmp_path / "cdn.html", runtime="cdn")
    (source,) = re.findall("connect-src (.*?);", policy_of(tmp_path / "cdn.html"))
    assert source.startswith("https://cdn.jsdelivr.net/npm/onnxruntime-web@1.")
    text = (tmp_path / "cdn.html").read_text(encoding="utf-8")
    urls = re.findall(f'"{source}([^"]*)", "integrity": "sha256-.{{44}}"', text)
    assert urls == ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"]


def test_hashes_are_those_of_the_runtime(runtime, tmp_path, trained):
    """A page of a folder has the hashes of its files; the constants are the same."""
    to_page(trained, tmp_path / "folder", runtime=runtime)
    to_page(trained, tmp_path / "cdn.html", runtime="cdn")
    pages = [tmp_path / "folder" / "index.html", tmp_path / "cdn.html"]
    folder, cdn = (
        re.findall('"integrity": "(.*?)"', each.read_text(encoding="utf-8"))
        for each in pages
    )
    assert folder[:2] == cdn


def test_wrong_use(trained, onnx, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("")
    for arguments, message in (
        (["p.html"], "is not the npm package onnxruntime-web"),
        (["page"], "is not the npm package onnxruntime-web"),
        (["other", "--runtime", "cdn"], "is not a folder with nothing but an earlier"),
        (["p.txt", "--runtime", "cdn"], "expected a .onnx or .html file"),
        (["no/p.html", "--runtime", "cdn"], "in a folder that exists"),
        (["no/page", "--runtime", "cdn"], "expected a folder in a folder that exists"),
    ):
        target, *options = arguments
        code = cli.main(["export", str(onnx), str(tmp_path / target), *options])
        assert code == 2
        assert re.search(message, capsys.readouterr().err)
    assert [p.name for p in tmp_path.rglob("*")] == ["other", "mine.txt"]
    rows = KFoldEnsembleClassifier(LogisticRegression(), cv=2)
    rows.fit(np.eye(6), [0, 1] * 3)
    with pytest.raises(ValueError, match="takes rows of features, not images"):
        to_page(rows, tmp_path / "p.html", runtime="cdn")
    images, target = make_blood_cells(4, image_size=(24, 24), random_state=0)
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    floats = KFoldEnsembleClassifier(member, cv=2).fit(images / 255.0, target)
    with pytest.raises(ValueError, match="was trained on images of float64"):
        to_page(floats, tmp_path / "p.html", runtime="cdn")
