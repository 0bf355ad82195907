"""The contents of an ONNX file of this package besides its graph."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# Names of inputs and outputs.
SAMPLES, PROBA, MEMBERS = "samples", "probabilities", "member_probabilities"
TYPICALITY = "typicality"
# Increased when an older OnnxClassifier could not read the files.
FORMAT = 1
_LABEL_KINDS = "Uiubf"
_KEYS = ("skwbc_format", "skwbc_version", "classes", "classes_dtype")
_SCORES, _KNOWN = "held_out_true_proba", "known_classes"
_N, _LOOK, _READING = "n_typicality_samples", "appearance", "reading"
_SEEN = "training_images"


class Details(NamedTuple):
    """Data stored beside the graph.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the probabilities.
    held_out_true_proba : list of ndarray or None
        ``KFoldEnsembleClassifier._held_out_true_proba``; None if the ensemble has none.
    known_classes : ndarray of shape (n_members, n_classes), bool
        Mask of the classes that each member was trained on.
    n_typicality_samples : int or None
        Number of training samples behind the p-values; None if there are no p-values.
    appearance : dict or None
        How the training images look.
    reading : dict or None
        The parameters ``channels`` and ``page`` by which their files were read.
    fingerprints : ndarray of uint64, or None
        Those of the training images.
    """

    classes: np.ndarray
    held_out_true_proba: list[np.ndarray] | None
    known_classes: np.ndarray
    n_typicality_samples: int | None = None
    appearance: dict[str, Any] | None = None
    reading: dict[str, Any] | None = None
    fingerprints: np.ndarray | None = None


def encode(details: Details, version: str) -> dict[str, str]:
    """Return metadata whose values are JSON.

    Raises
    ------
    ValueError
        If labels are neither strings nor numbers.
    """
    classes = details.classes
    is_text = classes.dtype == object and all(isinstance(c, str) for c in classes)
    if classes.dtype.kind not in _LABEL_KINDS and not is_text:
        raise ValueError(
            f"class labels of type {type(classes[0]).__name__} cannot be written; "
            "expected strings or numbers."
        )
    dtype = "object" if is_text else classes.dtype.str
    values: list[Any] = [FORMAT, version, classes.tolist(), dtype]
    metadata = dict(zip(_KEYS, values, strict=True))
    if details.held_out_true_proba is not None:
        metadata[_SCORES] = [each.tolist() for each in details.held_out_true_proba]
    metadata[_KNOWN] = details.known_classes.tolist()
    if details.n_typicality_samples is not None:
        metadata[_N] = details.n_typicality_samples
    if details.appearance is not None:
        metadata[_LOOK] = details.appearance
    if details.reading is not None:
        metadata[_READING] = details.reading
    if details.fingerprints is not None:
        metadata[_SEEN] = details.fingerprints.astype("<u8").tobytes().hex()
    return {
        key: json.dumps(value, ensure_ascii=False, allow_nan=False)
        for key, value in metadata.items()
    }


def decode(metadata: Mapping[str, str], n_classes: int, n_members: int) -> Details:
    """Read metadata.

    Parameters
    ----------
    metadata : mapping of str to str
        Metadata from :func:`encode`.
    n_classes, n_members : int
        Numbers of classes and members in the graph.

    Raises
    ------
    ValueError
        If the metadata do not belong to such a graph. The message gives the reason.
    """
    if "classes" not in metadata:
        raise ValueError("it has no class names in its metadata")
    names = (*_KEYS, _SCORES, _KNOWN, _N, _LOOK, _READING, _SEEN)
    keys = [key for key in names if key in metadata]
    try:
        values = {key: json.loads(metadata[key]) for key in keys}
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata are damaged: {error}") from error
    version = values.get("skwbc_format")
    if not isinstance(version, int):
        raise ValueError("its metadata do not give the version of the format")
    if version > FORMAT:
        raise ValueError(
            f"it has format {version} of skwbc "
            f"{values.get('skwbc_version', '(a later version)')}; this version reads "
            f"formats up to {FORMAT}. Upgrade it: pip install --upgrade skwbc"
        )
    labels = values["classes"]
    if not isinstance(labels, list) or len(labels) != n_classes:
        raise ValueError(f"its class names are not {n_classes} labels")
    scores: Any = values.get(_SCORES)
    try:
        classes = np.array(labels, dtype=_dtype(values.get("classes_dtype")))
        if scores is not None:
            scores = [np.array(each, dtype=np.float64) for each in scores]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its metadata are damaged: {error}") from error
    if classes.ndim != 1 or len(np.unique(classes)) < n_classes:
        raise ValueError("its class names are not different labels")
    if scores is not None and (
        len(scores) != n_members or any(each.ndim != 1 for each in scores)
    ):
        raise ValueError("its held-out probabilities do not match its members")
    mask = np.array(values.get(_KNOWN, np.full((n_members, n_classes), True)))
    if mask.dtype != bool or mask.shape != (n_members, n_classes):
        raise ValueError("its known classes do not match its members")
    n_samples = values.get(_N)
    if n_samples is not None and not (isinstance(n_samples, int) and n_samples > 0):
        raise ValueError("its number of training samples is not a positive number")
    appearance = values.get(_LOOK)
    if appearance is not None:
        try:
            white, *lists = (appearance[key] for key in ("white", "mean", "std"))
            numbers = np.array([[white] * len(lists[0]), *lists], dtype=float)
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"its metadata are damaged: {error!r}") from error
        if numbers.ndim != 2 or not white > 0:
            raise ValueError("its description of the training images is damaged")
    reading = values.get(_READING)
    if reading is not None and (
        not isinstance(reading, dict) or reading.keys() != {"channels", "page"}
    ):
        raise ValueError("its channels are damaged")
    try:
        prints = values.get(_SEEN)
        prints = prints and np.frombuffer(bytes.fromhex(prints), "<u8")
    except (TypeError, ValueError) as error:
        raise ValueError(f"its training images are damaged: {error}") from error
    return Details(classes, scores, mask, n_samples, appearance, reading, prints)


def _dtype(name: Any) -> np.dtype:
    if name == "object":
        return np.dtype(object)
    # A long name could ask for a huge array.
    if (
        isinstance(name, str)
        and len(name) < 12
        and name.lstrip("<>|=")[:1] in tuple(_LABEL_KINDS)
    ):
        return np.dtype(name)
    raise ValueError(f"labels cannot have the type {name!r}")
