"""Compare pages of models with the command: probabilities, speed, memory.

    make browser-test
    .venv/bin/python benchmarks/page.py [FOLDER]

FOLDER has images of cells in one folder per class; without it cells are drawn. A model
of the default recipe, with one view and with four, is trained on 16 images per class,
and written as one file. Chromium opens it from the disk and gets other images. Speed
is that of many images, by the clock and by the processor: on a busy machine the second
tells more. Memory is that of the process of the page.
"""

import argparse
import csv
import os
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import psutil
from _common import describe_machine
from playwright.sync_api import Page, sync_playwright

from skwbc import make_cell_classifier
from skwbc.datasets import make_blood_cells, read_image, save_image_folder
from skwbc.export import OnnxClassifier, to_onnx, to_page

RUNTIME = Path(__file__).parents[1] / ".venv/npm/node_modules/onnxruntime-web"
N_TRAINING, MOST_COMPARED = 16, 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="one folder per class")
    parser.add_argument("--timed", type=int, default=1000, help="images to time")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    print(describe_machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        here = Path(name)
        cells = arguments.folder
        if cells is None:
            cells = here / "cells"
            save_image_folder(*make_blood_cells(60, random_state=0), cells)
        training, new = divide(cells)
        X = np.array([read_image(each, (100, 100)) for each in training])
        y = [each.parent.name for each in training]
        files = prepared(new, here)
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium,
            args=["--no-sandbox"] * (os.geteuid() == 0),
        )
        print(
            "| views | PNG, BMP: largest difference | JPEG | opened in, s | first "
            "answer, s | images per second | processor, ms per image | memory, MB | "
            "after all images |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for n_views in (1, 4):
            clf = make_cell_classifier(random_state=0)
            if n_views == 1:
                ending = ("__views", "__test_time_augmentation")
                params = clf.get_params()
                clf.set_params(**{k: None for k in params if k.endswith(ending)})
            to_onnx(clf.fit(X, y), here / "m.onnx")
            to_page(here / "m.onnx", here / "page.html", runtime=RUNTIME)
            start = time.perf_counter()
            page = browser.new_page(locale="en")
            page.set_default_timeout(300_000)
            page.goto((here / "page.html").as_uri())
            page.wait_for_selector("#status:text-matches('ready')", timeout=300_000)
            seconds = [time.perf_counter() - start]
            values = [differences(page, here / "m.onnx", some) for some in files]
            seconds += timed(page, files[1], arguments.timed)
            rest = "".join(f" {each:.3g} |" for each in (*values, *seconds))
            print(f"| {n_views} |{rest}", flush=True)
            page.close()


def divide(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return files for training and others."""
    training, new = [], []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = sorted(each.iterdir())
        # Classes with a few images are left out.
        if len(images) > 2 * N_TRAINING:
            training += images[:N_TRAINING]
            new += images[N_TRAINING:]
    step = max(1, len(new) // MOST_COMPARED)
    return training, new[::step]


def prepared(new: list[Path], here: Path) -> tuple[list[Path], list[Path]]:
    """Write images as PNG and BMP, and as JPEG unless they are JPEG."""
    lossless, jpeg = [], []
    for k, path in enumerate(new):
        image = cv2.imread(str(path))
        lossless.append(here / f"{k:03}.{('png', 'bmp')[k % 2]}")
        cv2.imwrite(str(lossless[-1]), image)
        if path.suffix.lower() not in (".jpg", ".jpeg"):
            path = here / f"{k:03}.jpg"
            cv2.imwrite(str(path), image)
        jpeg.append(path)
    return lossless, jpeg


def classify(page: Page, files: list[Path]) -> float:
    """Return the seconds until the first answer; wait for the last."""
    page.click("#clear") if page.is_visible("#clear") else None
    start = time.perf_counter()
    page.set_input_files("#file-input", files)
    page.wait_for_selector(".predicted")
    first = time.perf_counter() - start
    page.wait_for_selector("#stop", state="hidden", timeout=3_600_000)
    return first


def differences(page: Page, model: Path, files: list[Path]) -> float:
    """Return the largest difference between probabilities of page and package."""
    classify(page, files)
    with page.expect_download() as download:
        page.click("#download")
    clf = OnnxClassifier(model)
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    proba = [[float(row[name]) for name in clf.classes_] for row in rows]
    images = np.array([read_image(each, (100, 100)) for each in files])
    return float(np.abs(clf.predict_proba(images) - proba).max())


def timed(page: Page, files: list[Path], n: int) -> list[float]:
    """Time images that are classified one after the other, and weigh the page."""
    many = list(islice(cycle(files), n))
    before, memory = usage()
    start = time.perf_counter()
    first = classify(page, many)
    seconds = time.perf_counter() - start
    after, grown = usage()
    return [first, n / seconds, 1000 * (after - before) / n, memory, grown]


def usage() -> tuple[float, float]:
    """Return seconds of the processor and MB of memory of Chromium."""
    seconds = memory = 0.0
    for process in psutil.Process().children(recursive=True):
        if "chrom" in process.name():
            times = process.cpu_times()
            seconds += times.user + times.system
        if "--type=renderer" in process.cmdline():
            memory = max(memory, process.memory_info().rss / 1e6)
    return seconds, memory


if __name__ == "__main__":
    main()
