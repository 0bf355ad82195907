"""Writing a model as a web page, which classifies images in a browser."""

import base64
import gzip
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from skwbc._utils.files import MAX_PIXELS, replacing
from skwbc._utils.version import __version__
from skwbc.datasets._image_files import OF_SYSTEMS, OTHER_SUFFIXES, SUFFIXES
from skwbc.ensemble import KFoldEnsembleClassifier
from skwbc.export._onnx_classifier import OnnxClassifier
from skwbc.export._to_onnx import input_dtype_of, to_onnx

# Modules in the order in which they need each other.
_PAGE = ("text", "results", "files", "page")
_WORKER = ("refusals", "resizing", "png", "reading", "worker")
# Further files of a page. The first two are parts of the npm package.
_FILES = {
    "runtime": "ort.wasm.bundle.min.mjs",
    "wasm": "ort-wasm-simd-threaded.wasm",
    "onnx": "model.onnx",
}
_INDEX = "index.html"
# Pages with `runtime="cdn"` load this version, and check these hashes.
_VERSION = "1.30.0"
_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{_VERSION}/dist/"
_HASHES = {
    "runtime": "sha256-EeZL2P/hG9GiovDWJ1/fu7pyYvC3a5m1PSKKiiLvPZA=",
    "wasm": "sha256-M5jBDQfSKb2Rs2RUjhMODlGo5XBLiMfAg+u+t4hC3uI=",
}


def to_page(
    model: KFoldEnsembleClassifier | str | os.PathLike,
    path: str | os.PathLike,
    *,
    runtime: str | os.PathLike = "node_modules/onnxruntime-web",
) -> None:
    """Write a model as a web page, which classifies images without Python.

    Images that are dropped onto the page are read and classified by the browser. None
    leaves the computer: the page forbids itself every connection once it has loaded.

    Parameters
    ----------
    model : KFoldEnsembleClassifier, str or path-like
        A fitted ensemble of images, or an ONNX file written by :func:`to_onnx`.
    path : str or path-like
        With the suffix .html, one file that contains everything, and opens in any
        browser from a disk. Otherwise a folder for a web server, new, empty or with an
        earlier page, which is replaced.
    runtime : str or path-like, default="node_modules/onnxruntime-web"
        The folder of the npm package onnxruntime-web, which runs the model and becomes
        part of the page. With "cdn" the page loads it from cdn.jsdelivr.net when it is
        opened, and checks its hash.

    Raises
    ------
    ValueError
        If the model does not take images as the command reads them, or cannot be
        written as ONNX, or there is something else at `path`.
    OSError
        If a file cannot be read or written, or the runtime is missing.

    See Also
    --------
    to_onnx : Write the model that the page runs.

    Notes
    -----
    The page reads PNG, JPEG, BMP, WebP and GIF files, and resizes them as
    :func:`skwbc.datasets.read_image` does. Probabilities differ by at most 0.001 from
    those of `skwbc predict`; of JPEG files by at most 0.01, because browsers decode
    them differently.

    Examples
    --------
    >>> from skwbc.export import to_page
    >>> to_page("cells.onnx", "cells.html")  # doctest: +SKIP
    """
    path = Path(path)
    is_file = path.suffix.lower() == ".html"
    with (replacing if is_file else _replacing_folder)(path) as temporary:
        parts, version = _runtime(runtime)
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(model, KFoldEnsembleClassifier):
                onnx = Path(folder, _FILES["onnx"])
                to_onnx(model, onnx, input_dtype=input_dtype_of(model))
            else:
                onnx = Path(model)
            settings = _settings(OnnxClassifier(onnx))
            parts["onnx"] = onnx.read_bytes()
        settings["versions"] = {"version": __version__, "runtime": version}
        page = _html(settings, parts, is_beside=not is_file).encode()
        if is_file:
            temporary.write_bytes(page)
        else:
            for key, content in parts.items():
                (temporary / _FILES[key]).write_bytes(content)
            (temporary / _INDEX).write_bytes(page)


@contextmanager
def _replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block succeeds."""
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise ValueError(f"{path}: expected a folder in a folder that exists.")
    own = {*_FILES.values(), _INDEX}
    if path.exists() and not (
        path.is_dir() and {each.name for each in path.iterdir()} <= own
    ):
        raise ValueError(
            f"{path} exists, and is not a folder with nothing but an earlier page; "
            "give a new one."
        )
    with tempfile.TemporaryDirectory(prefix=".skwbc-", dir=path.parent) as work:
        new = Path(work, "new")
        new.mkdir()
        yield new
        if path.exists():
            path.rename(Path(work, "old"))
        new.rename(path)


def _runtime(runtime: str | os.PathLike) -> tuple[dict[str, bytes], str]:
    """Return the files of the runtime, none if a server has them, and its version."""
    if runtime == "cdn":
        return {}, _VERSION
    folder = Path(runtime)
    try:
        version = json.loads((folder / "package.json").read_bytes())["version"]
        names = {key: folder / "dist" / _FILES[key] for key in ("runtime", "wasm")}
        return {key: name.read_bytes() for key, name in names.items()}, str(version)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError) as error:
        raise FileNotFoundError(
            f"{folder} is not the npm package onnxruntime-web, which runs the model in "
            "the page. Install it with `npm install onnxruntime-web`, and name its "
            "folder (--runtime node_modules/onnxruntime-web), or let the page load it "
            "from a public server (--runtime cdn)."
        ) from error


def _settings(model: OnnxClassifier) -> dict[str, Any]:
    """Return what the page has to know of a model besides its graph."""
    if not hasattr(model, "image_shape_"):
        raise ValueError(f"{model.path} takes rows of features, not images.")
    *size, n_channels = model.image_shape_
    details = model._session.details
    pixels = (details.appearance or {}).get("dtype", "uint8")
    if pixels not in ("uint8", "uint16"):
        raise ValueError(
            f"{model.path} was trained on images of {pixels}; pages read images of "
            "uint8 or uint16. Train it on image files."
        )
    reading = details.reading or {"channels": None if n_channels == 3 else "all"}
    scores = details.held_out_true_proba
    prints = details.fingerprints
    return {
        "classes": [str(label) for label in details.classes],
        "known": details.known_classes.tolist(),
        "held_out": scores and [each.tolist() for each in scores],
        "n_typicality": details.n_typicality_samples,
        "n_training": None if prints is None else len(prints),
        "size": size,
        "n_channels": n_channels,
        "channels": reading["channels"],
        "pixels": pixels,
        "input": model.input_dtype_,
        "max_pixels": MAX_PIXELS,
        "names": {
            "suffixes": SUFFIXES,
            "others": sorted(OTHER_SUFFIXES),
            "of_systems": sorted(OF_SYSTEMS),
        },
    }


def _html(
    settings: dict[str, Any], parts: Mapping[str, bytes], *, is_beside: bool
) -> str:
    """Return the page; what is not beside it, or on a server, becomes part of it."""
    files: dict[str, dict[str, str]] = {}
    payloads = []
    for key, name in _FILES.items():
        files[key] = {}
        if key not in parts:
            files[key] = {"url": _CDN + name, "integrity": _HASHES[key]}
        elif is_beside:
            files[key] = {"url": name, "integrity": _digest(parts[key])}
        else:
            packed = base64.b64encode(gzip.compress(parts[key], 6, mtime=0)).decode()
            payloads.append(f'<script type="text/plain" id="{key}">{packed}</script>')
    place = "beside" if is_beside else "inside"
    settings = settings | {
        "files": files,
        "place": place if "wasm" in parts else "fromCdn",
    }
    described = json.dumps(settings).replace("<", "\\u003c")
    payloads += [
        f'<script type="application/json" id="model">{described}</script>',
        f'<script type="text/plain" id="worker">{_joined(_WORKER)}</script>',
    ]
    style, script = _source("page.css"), _joined(_PAGE)
    hosts = ["'self'"] * is_beside + [_CDN] * ("wasm" not in parts)
    connect = " ".join(hosts) or "'none'"
    policy = (
        f"default-src 'none'; script-src '{_digest(script.encode())}' "
        f"'wasm-unsafe-eval'; style-src '{_digest(style.encode())}'; img-src blob: "
        f"data:; worker-src blob:; connect-src {connect}; "
        "base-uri 'none'; form-action 'none'"
    )
    filled = {"policy": policy, "style": style, "script": script}
    filled["payloads"] = "\n".join(payloads)
    return re.sub(r"\{(\w+)\}", lambda match: filled[match[1]], _source("page.html"))


def _source(name: str) -> str:
    return (resources.files("skwbc.export") / "page" / name).read_text("utf-8")


def _joined(modules: tuple[str, ...]) -> str:
    """Return modules as one script, because pages of a disk cannot load modules."""
    scripts = (_source(f"{name}.js") for name in modules)
    text = "\n".join(scripts)
    return re.sub(r"^import [^;]*;\n|^export (?=\w)", "", text, flags=re.MULTILINE)


def _digest(content: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"
