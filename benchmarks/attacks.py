"""Attack the package with other people's files, and print what it withstood.

    python benchmarks/attacks.py [kills] [damage] [names] [bombs] [silence]

Each is a part; without arguments all are run, in some minutes. The kills need strace,
the silence network namespaces; where these are missing a line says so.
"""

import base64
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

os.environ["OPENCV_LOG_LEVEL"] = "SILENT"  # as the command has it
import cv2
import numpy as np
import onnx
import tifffile
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    ColourStatistics,
    KFoldEnsembleClassifier,
    load_model,
    save_model,
)
from skwbc.cli._files import write_table
from skwbc.datasets import make_blood_cells, read_image, save_image_folder
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.report import write_evaluation_report

N_FLIPS, N_CUTS, N_IMAGES = 5_000, 500, 10_000
# Kills of one kind of system call for one kind of file.
MOST_KILLS = 30
CALLS = ("openat", "write", "fsync", "rename", "unlink", "fchmod", "chown", "chmod")
ESCAPES = "\x1b]0;title\x07\r\nskwbc: error: forged"
HOSTILE = [f"=1+1{ESCAPES}", "+cmd\u202e", "@sum(1)\x9b31m", "-<b>&\x00"[:-1]]


def small_ensemble(classes=None, **params):
    X, y = make_blood_cells(6, image_size=(16, 16), random_state=0)
    if classes is not None:
        y = np.array(classes)[np.unique(y, return_inverse=True)[1]]
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    return KFoldEnsembleClassifier(member, cv=2, **params).fit(X, y), X, y


problems = []


def check(holds, what):
    if not holds:
        problems.append(what)


def row(name, *figures):
    print(f"| {name} | {' | '.join(map(str, figures))} |", flush=True)


def title(text, *columns):
    print(
        f"\n{text}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True
    )


# Kills at every system call that touches the folder of a file.


def traced(write, folder, inject=()):
    """Run a function in a process under strace; return its system calls."""
    log = folder.parent / "strace.log"
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGSTOP)
        status = 1
        try:
            write()
            status = 0
        finally:
            os._exit(status)
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-y", "-e", f"trace={','.join(CALLS)}"),
            *(*inject, "-o", log, "-p", str(child)),
        ],
        stderr=subprocess.PIPE,
    )
    tracer.stderr.readline()  # It has attached.
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    tracer.communicate()
    lines = log.read_text(errors="replace").splitlines()
    calls = [line.split(None, 1)[1] for line in lines if "(" in line]
    return os.waitstatus_to_exitcode(status), calls


def kills():
    if not shutil.which("strace"):
        print("\nNo kills: strace is not installed.")
        return
    folder = Path(tempfile.mkdtemp()) / "out"
    folder.mkdir()
    clf, X, y = small_ensemble()
    trees = make_pipeline(ColourStatistics(), RandomForestClassifier(500))
    forest = KFoldEnsembleClassifier(trees, cv=2).fit(X, y)
    write_evaluation_report(folder / "r.html", clf, X, y)  # imports what it needs
    to_onnx(clf, folder / "m.onnx")
    proba = {"a": 0.5, "b": 0.5}
    rows = [
        {"image": f"{k}.png", "predicted": "a", "probabilities": proba, "agreement": 2}
        for k in range(10_000)
    ]
    writers = {
        "t.csv": (
            lambda path: write_table(rows, path),
            lambda path: path.read_text().splitlines()[10_000],
        ),
        "m.joblib": (lambda path: save_model(clf, path), load_model),
        "m.onnx": (
            lambda path: to_onnx(clf, path),
            lambda path: OnnxClassifier(path).classes_,
        ),
        "big.joblib": (lambda path: save_model(forest, path), load_model),
        "r.html": (
            lambda path: write_evaluation_report(path, clf, X, y),
            lambda path: path.read_text().index("</html>"),
        ),
    }
    title(
        "Kills at a system call",
        "file",
        "kills",
        "old file whole",
        "new file whole",
        "damaged",
        "temporary files left",
        "left after the next write",
    )
    total = Counter()
    for name, (write, read) in writers.items():
        path = folder / name
        count = Counter()
        path.write_bytes(b"old")
        code, calls = traced(partial(write, path), folder)
        assert code == 0, name
        for call in CALLS:
            of_kind = [line for line in calls if line.startswith(f"{call}(")]
            places = [k for k, line in enumerate(of_kind, 1) if str(folder) in line]
            step = max(1, -(-len(places) // MOST_KILLS))
            for place in places[::step]:
                path.write_bytes(b"old")
                inject = ["-e", f"inject={call}:signal=SIGKILL:when={place}"]
                code, _ = traced(partial(write, path), folder, inject)
                count["kills"] += code == -signal.SIGKILL
                if path.read_bytes() == b"old":
                    count["old"] += 1
                else:
                    try:
                        read(path)
                        count["new"] += 1
                    except Exception:
                        count["damaged"] += 1
                left = [each for each in folder.iterdir() if each.name[0] == "."]
                count["left"] += len(left)
                write_table(rows[:1], folder / "next.csv")
                count["still"] += sum(each.exists() for each in left)
        total += count
        row(
            name,
            *(count[k] for k in ("kills", "old", "new", "damaged", "left", "still")),
        )
    check(total["kills"] >= 100, "fewer than 100 kills")
    check(not total["damaged"] + total["still"], "files after a kill")
    row("all", *(total[k] for k in ("kills", "old", "new", "damaged", "left", "still")))
    shutil.rmtree(folder.parent)


# Damage.


def damage():
    title(
        "Damaged files",
        "kind",
        "files",
        "refused in one line",
        "same answer or image",
        "other answer",
        "several lines or other errors",
        "longest",
    )
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        onnx_damage(Path(folder), rng)
        image_damage(Path(folder), rng)


def onnx_damage(folder, rng):
    clf, X, _ = small_ensemble()
    path = folder / "m.onnx"
    to_onnx(clf, path)
    content = path.read_bytes()
    expected = OnnxClassifier(path).predict_proba(X)
    flips = []
    for at, bit in zip(
        rng.integers(len(content), size=N_FLIPS),
        rng.integers(8, size=N_FLIPS),
        strict=True,
    ):
        changed = bytearray(content)
        changed[at] ^= 1 << bit
        flips.append(bytes(changed))
    # The last bytes are the checksum, and are all tried.
    cuts = [
        *range(len(content) - 100, len(content)),
        *rng.integers(len(content), size=N_CUTS - 100),
    ]
    for name, files in (
        ("ONNX, a flipped bit", flips),
        ("ONNX, cut", [content[:at] for at in cuts]),
    ):
        count = Counter()
        for each in files:
            path.write_bytes(each)
            attempt(
                count,
                path,
                lambda: np.array_equal(
                    OnnxClassifier(path, n_threads=1).predict_proba(X), expected
                ),
            )
        report(name, count)


def image_damage(folder, rng):
    picture = rng.integers(256, size=(40, 30, 3), dtype=np.uint8)
    picture[5:30] = picture[:1]
    originals = {}
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".gif", ".jp2", ".ppm"):
        works, encoded = cv2.imencode(suffix, picture)
        if works:  # OpenCV may be built without a format.
            originals[suffix] = encoded.tobytes()
    for name, options in (
        ("plain", {}),
        ("LZW", {"compression": "lzw"}),
        ("tiles", {"tile": (16, 16), "compression": "zlib"}),
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, picture, photometric="rgb", **options)
        originals[f"{name}.tif"] = file.getvalue()
    for name, content in originals.items():
        count = Counter()
        path = folder / f"a{Path(f'x{name}').suffix}"
        path.write_bytes(content)
        # A damaged head may claim up to 100 million pixels, which takes seconds each.
        read = partial(read_image, path, (16, 16), max_pixels=1_000_000)
        whole = read()
        for _ in range(-(-N_IMAGES // len(originals))):
            changed = bytearray(content)
            for _ in range(rng.integers(1, 4)):
                at = int(rng.integers(len(changed)))
                kind = rng.integers(4)
                if kind == 0:
                    changed[at] ^= 1 << int(rng.integers(8))
                elif kind == 1:
                    changed[at : at + 4] = rng.bytes(4)
                elif kind == 2 and at:
                    del changed[at:]
                else:
                    changed[at:at] = rng.bytes(int(rng.integers(1, 30)))
            path.write_bytes(changed)
            attempt(count, path, partial(is_equal, read, whole))
        report(name, count)


def is_equal(read, expected):
    return np.array_equal(read(), expected)


def attempt(count, path, call):
    start = time.perf_counter()
    out, err = io.StringIO(), io.StringIO()
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            warnings.catch_warnings(action="ignore"),
        ):
            count["same" if call() else "other"] += 1
    except (ValueError, OSError) as error:
        message = str(error)
        count["refused" if path.name in message and "\n" not in message else "bad"] += 1
    except Exception as error:
        count["bad"] += 1
        print(f"{type(error).__name__}: {error}"[:200], file=sys.stderr)
    count["bad"] += bool(out.getvalue() or err.getvalue())
    count["files"] += 1
    count["longest"] = max(count["longest"], time.perf_counter() - start)


def report(name, count):
    check(not count["bad"], f"damaged files: {name}")
    # Most formats of images have no checksums.
    check(not (count["other"] and "ONNX" in name), f"answers of {name}")
    figures = [count[k] for k in ("files", "refused", "same", "other", "bad")]
    row(name, *figures, f"{count['longest']:.2f} s")


# Names.


def names():
    title(
        "Hostile names in each output",
        "output",
        "control characters",
        "formulas",
        "found again",
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        clf, X, y = small_ensemble(HOSTILE[:3])
        # A file system takes all but NUL and the slash.
        for label in y:
            (folder / "cells" / str(label)).mkdir(parents=True, exist_ok=True)
        for k, (label, image) in enumerate(zip(y, X, strict=True)):
            name = f"{HOSTILE[k % 4]}{k}.png".replace("/", "")
            cv2.imwrite(str(folder / "image.png"), image[..., ::-1])
            os.rename(folder / "image.png", folder / "cells" / str(label) / name)
        (folder / "cells" / str(y[0]) / f"broken{ESCAPES}.png").write_bytes(b"no image")
        to_onnx(clf, folder / "m.onnx")
        os.chdir(folder)
        run = [sys.executable, "-m", "skwbc.cli"]
        for output, arguments in {
            "terminal, predict": ["predict", "m.onnx", "cells", "--csv", "t.csv"],
            "JSON, predict": ["predict", "m.onnx", "cells", "--json"],
        }.items():
            ran = subprocess.run([*run, *arguments], capture_output=True, text=True)
            assert ran.returncode == 1, ran.stderr
            row(output, unsafe(ran.stdout), "-", "-")
            row(f"{output}: errors", unsafe(ran.stderr, lines=1), "-", "-")
        os.remove(folder / "cells" / str(y[0]) / f"broken{ESCAPES}.png")
        ran = subprocess.run(
            [*run, "evaluate", "m.onnx", "cells", "--report", "r.html"],
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        row("terminal, evaluate", unsafe(ran.stdout + ran.stderr), "-", "-")
        ran = subprocess.run(
            [*run, "evaluate", "m.onnx", f"no{ESCAPES}"], capture_output=True, text=True
        )
        row("terminal, wrong use", unsafe(ran.stderr, lines=1), "-", "-")
        page = Path("r.html").read_text(encoding="utf-8")
        row(
            "HTML, evaluate",
            unsafe(page),
            "-",
            f"{page.count('Not shown')} figures missing",
        )
        figures = [
            base64.b64decode(each)
            for each in re.findall(r"svg\+xml;base64,([^\"]*)", page)
        ]
        for figure in figures:
            ElementTree.fromstring(figure)
        count = sum(unsafe(each.decode()) for each in figures)
        row("SVG, evaluate", count, "-", f"{len(figures)} figures are XML")
        text = Path("t.csv").read_bytes().decode()
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        formulas = sum(cell[:1] in "=+-@" for cell in cells if cell)
        ran = subprocess.run(
            [
                *run,
                "evaluate",
                "m.onnx",
                "cells",
                "--labels",
                "t.csv",
                "--image-column",
                "image",
                "--label-column",
                "predicted",
                "--json",
            ],
            capture_output=True,
            text=True,
        )
        n_images = (
            f"{json.loads(ran.stdout)['n_samples']} of {len(y)}"
            if ran.stdout
            else ran.stderr
        )
        row("CSV, predict", unsafe(text), formulas, n_images)
        check(not formulas and n_images == f"{len(y)} of {len(y)}", "names in tables")
        os.chdir("/")


def unsafe(text, lines=None):
    """Count characters that control a terminal, and lines that should not be there."""
    count = sum(
        not (each.isprintable() or each in "\n\r\t\u200c\u200d\xa0") for each in text
    )
    count += text.replace("\r\n", "").count("\r") + ("\x9b" in text)
    if lines is not None:
        count += abs(len(text.splitlines()) - lines)
    check(not count, f"a name in {text[:60]!r}")
    return count


# Bombs.


def bombs():
    title(
        "Bombs", "file", "size", "exit code", "lines of error", "seconds", "peak memory"
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        clf, X, y = small_ensemble()
        to_onnx(clf, folder / "m.onnx")
        save_image_folder(X[:1], y[:1], folder / "cells")
        image = next((folder / "cells").rglob("*.png"))
        measure(
            folder / "m.onnx", image, "none: a whole model and image", folder / "m.onnx"
        )
        for name, model in onnx_bombs(folder / "m.onnx"):
            path = folder / "bomb.onnx"
            path.write_bytes(model.SerializeToString())
            measure(path, image, name, path)
        for name, suffix, content in image_bombs():
            path = folder / f"bomb{suffix}"
            path.write_bytes(content)
            measure(folder / "m.onnx", path, name, path)


def measure(model, image, name, path):
    code = (
        "import resource, subprocess, sys\n"
        "ran = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10\n"
        "print(ran.returncode, len(ran.stderr.splitlines()), used, len(ran.stdout))"
    )
    start = time.perf_counter()
    command = [sys.executable, "-m", "skwbc.cli", "predict", str(model), str(image)]
    try:
        ran = subprocess.run(
            [sys.executable, "-c", code, *command],
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        check(False, name)
        row(name, f"{path.stat().st_size / 1e6:.2f} MB", "none", "-", "> 120", "-")
        return
    status, lines, used, _ = ran.stdout.split()
    check(int(status) in (0, 2) and int(lines) <= 1, name)
    seconds = time.perf_counter() - start
    row(
        name,
        f"{path.stat().st_size / 1e6:.2f} MB",
        status,
        lines,
        f"{seconds:.1f}",
        f"{used} MB",
    )


def onnx_bombs(path):
    def original():
        model = onnx.load(path)
        kept = [
            p
            for p in model.metadata_props
            if "checksum" not in p.key and "crc32" not in p.key
        ]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        return model

    def behind(operator, *inputs, of="probabilities", **attributes):
        """Put an operator behind an output."""
        model = original()
        for node in model.graph.node:
            if of in node.output:
                node.output[0] = "before"
        model.graph.node.append(
            helper.make_node(
                operator,
                ["before", *inputs] if operator != "Loop" else [*inputs, "before"],
                [of],
                **attributes,
            )
        )
        return model

    def constant(model, name, value):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))

    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", [a], [b]) for a, b in (("c", "d"), ("x", "y"))],
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("c", TensorProto.BOOL, []),
            info("x", TensorProto.DOUBLE, None),
        ],
        [info("d", TensorProto.BOOL, []), info("y", TensorProto.DOUBLE, None)],
    )
    model = behind("Loop", "trips", "yes", body=body)
    constant(model, "trips", np.int64(10**12))
    constant(model, "yes", np.bool_(True))
    yield "a loop of 10^12", model
    model = behind("f25", domain="h")
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("h", 1)]
    for k in range(26):
        operator, domain = (f"f{k - 1}", "h") if k else ("Identity", "")
        nodes = [
            helper.make_node(operator, [a], [b], domain=domain)
            for a, b in (("x", "y"), ("y", "z"))
        ]
        model.functions.append(
            helper.make_function("h", f"f{k}", ["x"], ["z"], nodes, opsets)
        )
    model.opset_import.append(opsets[1])
    yield "functions nested to 2^26 calls", model
    for n in (24_000, 60_000):
        model = original()
        for k in range(n):
            constant(model, f"bomb_{k}", np.float32(k))
        yield f"{n:,} constants", model
    model = original()
    for k in range(60_000):
        model.graph.node.append(
            helper.make_node("Identity", ["samples"], [f"bomb_{k}"])
        )
    yield "60,000 nodes", model
    for value in (210.0, np.nan, -1.0):
        for output in ("probabilities", "member_probabilities", "typicality"):
            model = behind("Mul" if value == value else "Add", "value", of=output)
            constant(model, "value", np.float64(value))
            yield f"{output} times or plus {value:g}", model
    for key, value in {
        "classes": [
            "null",
            "[null, null, null]",
            "[{}, {}, {}]",
            "[NaN, 1, 2]",
            "[1e999, 1, 2]",
            "[" * 10**6,
        ],
        "classes_dtype": ['"U99999999"', '"<U9999999"', "[]", '"V8"'],
        "known_classes": ["null", "[[1], [1, 2]]", '{"a": 1}'],
        "appearance": [
            '{"white": 1e999}',
            "[]",
            '{"white": {}, "mean": [], "std": []}',
            "7",
        ],
        "reading": [
            "7",
            '{"channels": 5, "page": null}',
            '{"channels": [1e9], "page": []}',
        ],
        "held_out_true_proba": ["[[NaN], [2]]", "[[{}], []]", "7"],
        "training_images": ["7", '"zz"', "[]"],
        "n_typicality_samples": ["1" + "0" * 400, "-1", '"a"'],
        "skwbc_format": ["{}", "1e999", "-1"],
    }.items():
        for each in value:
            model = original()
            for entry in model.metadata_props:
                if entry.key == key:
                    entry.value = each
                    break
            else:
                helper.set_model_props(
                    model, {p.key: p.value for p in model.metadata_props} | {key: each}
                )
            yield f"{key} of `{each[:24]}`", model


def image_bombs():
    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    def png(width, height, data):
        head = (
            width.to_bytes(4, "big")
            + height.to_bytes(4, "big")
            + bytes([8, 2, 0, 0, 0])
        )
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", head)
            + chunk(b"IDAT", data)
            + chunk(b"IEND", b"")
        )

    yield "PNG that claims 2^31 x 2^31", ".png", png(2**31 - 1, 2**31 - 1, b"")
    yield (
        "PNG of 9,999 x 9,999 zeros",
        ".png",
        png(9999, 9999, zlib.compress(bytes(9999 * (1 + 3 * 9999)), 9)),
    )
    yield (
        "PNG of 4 x 4 with 1 GB of data",
        ".png",
        png(4, 4, zlib.compress(bytes(2**30), 9)),
    )
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.zeros((9999, 9999, 3), np.uint8), compression="zlib", photometric="rgb"
    )
    yield "TIFF of 9,999 x 9,999 zeros", ".tif", file.getvalue()
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.zeros((20000, 20000), np.uint8),
        compression="zlib",
        photometric="minisblack",
    )
    yield "TIFF of 20,000 x 20,000 zeros", ".tif", file.getvalue()
    yield "PPM that claims 10^9 pixels", ".ppm", b"P6 100000 10000 255\n" + bytes(1000)


# Silence.


def silence():
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import offline
    import test_silence

    if not offline.is_possible():
        print("\nNo silence: there are no network namespaces here.")
        return
    title(
        "In a network namespace with a name server",
        "run",
        "queries",
        "connections",
        "new files",
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        X, y = make_blood_cells(6, image_size=(16, 16), random_state=0)
        save_image_folder(X, y, folder / "cells")
        for name, recipe in (("compact", "compact"), ("features", "features")):
            program = "\n".join(line[4:] for line in test_silence.PROGRAM.splitlines())
            program = program.replace("train cells", f"train cells --recipe {recipe}")
            if recipe == "features":
                program = program.replace(" --epochs 1", "")
            ran = offline.run(folder, sys.executable, "-c", program)
            assert ran["code"] == 0, ran["stderr"]
            queries = [each for each in ran["queries"] if each != "control.example"]
            check(not queries + ran["files"] and not ran["connections"], "silence")
            row(
                f"train, export, predict, evaluate, report ({name})",
                len(queries),
                ran["connections"],
                len(ran["files"]),
            )


if __name__ == "__main__":
    parts = {each.__name__: each for each in (kills, damage, names, bombs, silence)}
    for name in sys.argv[1:] or parts:
        parts[name]()
    sys.exit("\n".join(problems))
