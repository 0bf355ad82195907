"""What the command loads: labelled images, models, and Keras without its noise."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skwbc._utils.files import distrust, one_spelling

if TYPE_CHECKING:
    from sklearn.utils import Bunch

# Of pickles, and of joblib's compressed ones. For anything else Keras is not loaded.
_FIRST_BYTES = {b"\x80", b"x", b"\x1f", b"B", b"]", b"\xfd", b"\x04"}


def complain(message: str, kind: str = "error") -> None:
    """Write a line to standard error."""
    print(f"skwbc: {kind}: {message}", file=sys.stderr)


def labelled_images(
    data: Path,
    labels: Path | None,
    shape: tuple[int, int, int],
    classes: list[str] | None = None,
    known: Any = None,
    *,
    names: list[str] | None = None,
    max_pixels: int,
) -> "Bunch":
    """Load what `train` and `evaluate` work on, after :func:`check_labels`.

    `known` are the classes of a model: other class folders are left out, aloud.
    `names` are those of the digits of a .raw file.
    """
    from skwbc.datasets import load_image_folder, load_raw_images
    from skwbc.datasets._folder import class_names

    own = {}
    if known is not None:
        own = {one_spelling(str(label)): label for label in known}
    if is_raw(data):
        if classes is not None:
            raise ValueError(
                "--classes chooses class folders; the images of a .raw file have the "
                "digits in --labels as their classes, which --class-names gives names."
            )
        cells = load_raw_images(data, labels, image_shape=shape, target_names=names)
        if known is not None:
            unknown = {*map(one_spelling, cells.target_names)} - own.keys()
            if unknown:
                raise ValueError(
                    f"{labels} has the classes {cells.target_names.tolist()}, but the "
                    f"model knows {[str(label) for label in known]}. "
                    f"{_about_names(names, list(own))}"
                )
            cells.target = _in_words_of(own, cells.target)
        return cells
    if names is not None:
        raise ValueError(
            f"--class-names goes with a .raw file; in {data} the names of the folders "
            "are those of the classes."
        )
    if known is not None:
        found = class_names(data)
        classes = [name for name in found if name in own]
        others = [name for name in found if name not in classes]
        if not classes:
            raise ValueError(
                f"{data} has the class folders {found}, but the model knows "
                f"{[str(label) for label in known]}."
            )
        if others:
            complain(f"left out, unknown to the model: {', '.join(others)}", "note")
    cells = load_image_folder(
        data, image_size=shape[:2], classes=classes, max_pixels=max_pixels
    )
    if known is not None:
        cells.target = _in_words_of(own, cells.target)
    return cells


def _in_words_of(own: dict[str, Any], target: Any) -> Any:
    """Return the labels that a model has for classes of these names."""
    import numpy as np

    return np.array([own[one_spelling(str(label))] for label in target])


def _about_names(names: list[str] | None, known: list[str]) -> str:
    """Say what to do about classes of a .raw file that a model does not know."""
    digits = all(name.isdecimal() for name in known)
    if names is None and digits:
        return "Expected labels out of these."
    if names is None:
        return "Say what the digits mean with --class-names A,B,C, from 0 on."
    if digits:
        return "Leave out --class-names: the model's classes are digits, too."
    return "Give --class-names the names that the model knows, from 0 on."


def is_raw(data: Path) -> bool:
    """Tell a file of raw bytes, by its name, from a folder."""
    return data.suffix.lower() == ".raw" and not data.is_dir()


def check_labels(data: Path, labels: Path | None) -> None:
    """Check that the images are labelled in one of the two ways."""
    from skwbc.datasets._folder import class_names

    if is_raw(data):
        if labels is None:
            raise ValueError(f"{data} needs its labels: add --labels FILE.")
        return
    if labels is not None:
        raise ValueError(
            f"--labels goes with a .raw file; in {data} the names of the folders are "
            "the labels."
        )
    class_names(data)


class Loaded(NamedTuple):
    """A model, and what the command has to know of it.

    Attributes
    ----------
    ensemble : KFoldEnsembleClassifier or OnnxClassifier
        What predicts.
    image_shape : tuple of int
        (height, width, channels) of the images that it takes.
    n_members : int
        How many members vote.
    """

    ensemble: Any
    image_shape: tuple[int, int, int]
    n_members: int


def is_onnx(path: Path) -> bool:
    """Tell ONNX files from joblib files, by the names."""
    return path.suffix.lower() == ".onnx"


def load_model(path: Path, *, trust: bool) -> Loaded:
    """Load a model: one in ONNX without Keras, one of joblib if it can be trusted."""
    return _load_onnx(path) if is_onnx(path) else _load_joblib(path, trust)


def _load_onnx(path: Path) -> Loaded:
    from skwbc.export import OnnxClassifier

    model = OnnxClassifier(path)
    if not hasattr(model, "image_shape_"):
        raise ValueError(f"{path} takes rows of features; expected a model of images.")
    if model.input_dtype_ != "uint8":
        raise ValueError(
            f"{path} takes {model.input_dtype_}, but the command reads images as "
            "uint8. Use it from Python, or export it with input_dtype='uint8'."
        )
    return Loaded(model, model.image_shape_, model.n_members_)


def _load_joblib(path: Path, trust: bool) -> Loaded:
    if path.is_file():
        doubt = distrust(path)
        if doubt and not trust:
            raise ValueError(
                f"{path} {doubt}, and loading a joblib file can run any code that its "
                "author put there. If you know where it comes from, add --trust; a "
                "model in ONNX (skwbc export) runs no code."
            )
        with open(path, "rb") as file:
            if file.read(1) in _FIRST_BYTES:
                load_keras()
    from skwbc import persistence
    from skwbc.ensemble import KFoldEnsembleClassifier
    from skwbc.ensemble._parts import expected_image_shape

    model = persistence.load_model(path)
    if not isinstance(model, KFoldEnsembleClassifier):
        raise ValueError(
            f"{path} holds a {type(model).__name__}; expected an ensemble that "
            "`skwbc train` wrote."
        )
    return Loaded(model, expected_image_shape(model), len(model.estimators_))


def load_keras() -> None:
    """Import Keras without the lines that TensorFlow writes when it is loaded."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_only_on_failure():
        import skwbc.cnn  # noqa: F401


@contextmanager
def _stderr_only_on_failure() -> Iterator[None]:
    """Hold back what the process writes to stderr, below Python, unless it raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
