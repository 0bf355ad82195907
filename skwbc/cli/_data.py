"""Load labelled images and models, and import Keras without its messages."""

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skwbc._utils.files import distrust, one_spelling
from skwbc._utils.names import from_table, shown
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.silence import silent_stderr

if TYPE_CHECKING:
    from sklearn.utils import Bunch

Loaded = tuple[Any, tuple[int, int, int], int]
# Images for which preparing an ONNX model takes longer than it saves.
_FEW = 8

# First bytes of pickles and of joblib's compressed pickles. For other files there is no
# need to import Keras.
_FIRST_BYTES = {b"\x80", b"x", b"\x1f", b"B", b"]", b"\xfd", b"\x04"}


def complain(message: str, kind: str = "error") -> None:
    """Write a line to standard error; lists in it go on in indented lines."""
    lines = "\n  ".join(map(shown, message.split("\n  ")))
    print(f"skwbc: {kind}: {lines}", file=sys.stderr)


def is_raw(data: Path) -> bool:
    """Tell a .raw file from a folder."""
    return data.suffix.lower() == ".raw" and not data.is_dir()


def is_onnx(path: Path) -> bool:
    """Tell ONNX files from joblib files by their names."""
    return path.suffix.lower() == ".onnx"


def check_labels(
    data: Path,
    labels: Path | None,
    class_names: str | None,
    classes: str | None = None,
) -> None:
    """Check that the options about classes fit the kind of data."""
    from skwbc.datasets._folder import class_names as folder_names

    if is_raw(data):
        if labels is None:
            raise ValueError(f"{data} needs its labels: add --labels FILE.")
        if classes is not None:
            raise ValueError(
                f"--classes selects subfolders, but {data} is a .raw file. To name its "
                "classes use --class-names."
            )
        return
    if class_names is not None:
        raise ValueError(
            f"--class-names is for .raw files; in {data} the subfolders are the "
            "classes, or the labels of --labels."
        )
    if labels is None:
        folder_names(data)


def labelled_images(
    data: Path,
    labels: Path | None,
    shape: tuple[int, int, int],
    *,
    classes: str | None = None,
    names: str | None = None,
    model_classes: Sequence[Any] = (),
    columns: tuple[str, str] = ("file", "label"),
    **reading: Any,
) -> "Bunch":
    """Load labelled images, after :func:`check_labels`.

    `classes` and `names`, those of the digits of a .raw file, are listed as A,B,C.
    With the classes of a model, labels become those of the model, and other class
    folders are left out with a note. `columns` are those of files and labels in a
    table.
    """
    import numpy as np

    from skwbc.datasets import load_image_folder, load_image_table, load_raw_images
    from skwbc.datasets._folder import class_names
    from skwbc.datasets._table import read_table

    as_key = _key_of(model_classes)
    label_of = {as_key(str(label)): label for label in model_classes}
    if is_raw(data):
        cells = load_raw_images(
            data, labels, image_shape=shape, target_names=_listed(names)
        )
        if label_of and not {*map(as_key, cells.target_names)} <= label_of.keys():
            raise ValueError(
                f"{labels} has the classes {cells.target_names.tolist()}, but the "
                f"model has {[*map(str, model_classes)]}. --class-names A,B,C gives "
                "the digits 0, 1, 2 names; without it the digits are the classes."
            )
    else:
        reading |= {"image_size": shape[:2], "classes": _listed(classes)}
        if label_of:
            if labels is None:
                there = class_names(data)
            else:
                column = read_table(labels).get(columns[1], [])
                there = sorted({*map(from_table, column)} - {""})
            # Without such a column, the error of the loader names those that exist.
            if there:
                reading["classes"] = _classes_of_model(
                    there, labels or data, label_of, as_key
                )
        if labels is None:
            cells = load_image_folder(data, **reading)
        else:
            image, label = columns
            cells = load_image_table(
                labels, image=image, label=label, root=data, **reading
            )
    if label_of:
        cells.target = np.array([label_of[as_key(str(each))] for each in cells.target])
    return cells


def _listed(words: str | None) -> list[str] | None:
    return None if words is None else [word.strip() for word in words.split(",")]


def _key_of(labels: Sequence[Any]) -> Callable[[str], str]:
    """Return how to compare names: without case, unless labels differ only in it."""

    def without_case(name: str) -> str:
        return one_spelling(name).casefold()

    is_unique = len({without_case(str(each)) for each in labels}) == len(labels)
    return without_case if is_unique else one_spelling


def _classes_of_model(
    there: list[str],
    data: Path,
    label_of: dict[str, Any],
    as_key: Callable[[str], str],
) -> list[str]:
    """Return the class folders, or labels, that belong to classes of a model."""
    classes: list[str] = []
    others: list[str] = []
    respelled: list[str] = []
    for name in there:
        label = str(label_of.get(as_key(name), ""))
        (classes if label else others).append(name)
        if label and one_spelling(name) != one_spelling(label):
            respelled.append(f"{name} as {label}")
        if not label and (
            close := get_close_matches(as_key(name), label_of, n=1, cutoff=0.8)
        ):
            others[-1] += f" (rename it if it is {label_of[close[0]]})"
    if not classes:
        kind = "class folders" if data.is_dir() else "labels"
        raise ValueError(
            f"{data} has the {kind} {', '.join(others)}, but the model has the classes "
            f"{', '.join(map(str, label_of.values()))}."
        )
    if respelled:
        complain(f"read as classes of the model: {', '.join(respelled)}", "note")
    if others:
        complain(f"left out, not classes of the model: {', '.join(others)}", "note")
    return classes


def as_reading(channels: str | None, page: str | None) -> dict[str, Any]:
    """Return --channels and --page as parameters of readers."""
    try:
        return {
            "channels": channels if channels in (None, "all") else _numbers(channels),
            "page": page if page in (None, "max") else int(page),
        }
    except ValueError:
        raise ValueError(
            f"--channels {channels} --page {page}: expected numbers from 0, as in "
            "--channels 0,2,3 or --page 0, or --channels all or --page max."
        ) from None


def _numbers(words: str) -> list[int]:
    return [int(word) for word in words.split(",")]


def reading_of(model: Any, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Return how the images of a model are read, as it was told in its training."""
    reading = getattr(model, "_reading", None)
    if reading is not None:
        return reading
    # It was trained from Python.
    return {"channels": None if shape[2] == 3 else "all", "page": None}


def load_model(path: Path, *, trust: bool, few_images: bool = False) -> Loaded:
    """Load an ONNX model without Keras, or a trusted joblib file.

    `few_images` says that preparing an ONNX model for many would not pay.

    Returns
    -------
    ensemble : KFoldEnsembleClassifier or OnnxClassifier
    image_shape : tuple of int
        (height, width, channels) of the images that it takes.
    n_members : int
    """
    return _load_onnx(path, few_images) if is_onnx(path) else _load_joblib(path, trust)


def start_loading(
    path: Path, images: Sequence[Path], *, trust: bool
) -> Callable[[], Loaded]:
    """Begin to load a model for images, and return a function that waits for it.

    Modules can be imported meanwhile. Only ONNX Runtime works beside that.
    """
    if not is_onnx(path):
        return partial(load_model, path, trust=trust)
    from concurrent.futures import ThreadPoolExecutor

    # Importing is no faster in another thread.
    with suppress(ImportError):
        import_optional("onnxruntime", "onnx", "Reading ONNX files")
        import skwbc.export._onnx_classifier  # noqa: F401
    pool = ThreadPoolExecutor(1)
    few = len(images) <= _FEW and not any(p.is_dir() or is_raw(p) for p in images)
    loading = pool.submit(load_model, path, trust=trust, few_images=few)
    pool.shutdown(wait=False)
    return loading.result


def _load_onnx(path: Path, few_images: bool) -> Loaded:
    from skwbc.export import OnnxClassifier

    model = OnnxClassifier(path)
    model._few_images = few_images
    if not hasattr(model, "image_shape_"):
        raise ValueError(f"{path} takes rows of features; expected a model of images.")
    trained_on = (model._appearance or {}).get("dtype")
    if model.input_dtype_ != "uint8" and not (
        model._reading or trained_on in ("uint8", "uint16")
    ):
        raise ValueError(
            f"{path} takes {model.input_dtype_}, but the command reads images as "
            "uint8. Use it from Python, or export it with input_dtype='uint8'."
        )
    return model, model.image_shape_, model.n_members_


def _load_joblib(path: Path, trust: bool) -> Loaded:
    # Opened once: another file may have the name by the time Keras is imported.
    with open(path, "rb") as file:
        doubt = distrust(path, file)
        if doubt and not trust:
            raise ValueError(
                f"{path} {doubt}, and loading a joblib file can run any code of its "
                "author. If you trust the author, add --trust. A model in ONNX (skwbc "
                "export) runs no code."
            )
        if file.peek(1)[:1] in _FIRST_BYTES:
            load_keras()
        from skwbc import persistence
        from skwbc.ensemble import KFoldEnsembleClassifier
        from skwbc.ensemble._parts import expected_image_shape

        model = persistence.load_opened(file, path)
    if not isinstance(model, KFoldEnsembleClassifier):
        raise ValueError(
            f"{path} contains a {type(model).__name__}; expected an ensemble from "
            "`skwbc train`."
        )
    return model, expected_image_shape(model), len(model.estimators_)


def load_keras() -> None:
    """Import Keras without the messages that TensorFlow writes on import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    modules: dict[str, Any] = sys.modules
    # Keras would import it, which takes a while and writes a list of fonts.
    hidden = modules.setdefault("matplotlib", None) is None
    before = tempfile.tempdir
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        # TensorFlow asks for its name, but predicts without it.
        tempfile.tempdir = os.sep
    try:
        with silent_stderr():
            import skwbc.cnn  # noqa: F401
    finally:
        tempfile.tempdir = before
        if hidden:
            del modules["matplotlib"]
