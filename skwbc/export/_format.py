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
_SEEN, _SEALED, _CONFUSION = "training_images", "has_checksum", "confusion"
# No class has a longer name, and no image more channels.
_MOST = 10_000


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
    confusion : ndarray of shape (n_classes, n_classes), int, or None
        Held-out samples by true and predicted class.
    """

    classes: np.ndarray
    held_out_true_proba: list[np.ndarray] | None
    known_classes: np.ndarray
    n_typicality_samples: int | None = None
    appearance: dict[str, Any] | None = None
    reading: dict[str, Any] | None = None
    fingerprints: np.ndarray | None = None
    confusion: np.ndarray | None = None


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
    metadata[_SEALED] = True
    metadata[_KNOWN] = details.known_classes.tolist()
    if details.n_typicality_samples is not None:
        metadata[_N] = details.n_typicality_samples
    if details.appearance is not None:
        metadata[_LOOK] = details.appearance
    if details.reading is not None:
        metadata[_READING] = details.reading
    if details.fingerprints is not None:
        metadata[_SEEN] = details.fingerprints.astype("<u8").tobytes().hex()
    if details.confusion is not None:
        metadata[_CONFUSION] = details.confusion.tolist()
    return {
        key: json.dumps(value, ensure_ascii=False, allow_nan=False)
        for key, value in metadata.items()
    }


def decode(
    metadata: Mapping[str, str], n_classes: int, n_members: int, is_sealed: bool
) -> Details:
    """Read metadata.

    Parameters
    ----------
    metadata : mapping of str to str
        Metadata from :func:`encode`.
    n_classes, n_members : int
        Numbers of classes and members in the graph.
    is_sealed : bool
        Whether the file ends with its checksum, which is right.

    Raises
    ------
    ValueError
        If the metadata do not belong to such a graph. The message gives the reason.
    """
    if "classes" not in metadata:
        raise ValueError("it has no class names in its metadata")
    if _SEALED in metadata and not is_sealed:
        raise ValueError("its checksum is missing, so it was damaged or changed")
    try:
        return _decoded(metadata, n_classes, n_members)
    except _Damage as error:
        raise ValueError(str(error)) from error
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"its metadata are damaged: {error!r}"[:300]) from error


class _Damage(ValueError):
    """An error whose message says what is wrong with the metadata."""


def _decoded(metadata: Mapping[str, str], n_classes: int, n_members: int) -> Details:
    names = (*_KEYS, _SCORES, _KNOWN, _N, _LOOK, _READING, _SEEN, _CONFUSION)
    values = {
        key: json.loads(metadata[key], parse_constant=_refuse)
        for key in names
        if key in metadata
    }
    version = values.get("skwbc_format")
    if not isinstance(version, int):
        raise _Damage("its metadata do not give the version of the format")
    if version > FORMAT:
        raise _Damage(
            f"it has format {version} of skwbc "
            f"{values.get('skwbc_version', '(a later version)')}; this version reads "
            f"formats up to {FORMAT}. Upgrade it: pip install --upgrade skwbc"
        )
    labels = values["classes"]
    if (
        not isinstance(labels, list)
        or len(labels) != n_classes
        or not all(isinstance(each, str | int | float) for each in labels)
    ):
        raise _Damage(f"its class names are not {n_classes} labels")
    classes = np.array(labels, dtype=_dtype(values.get("classes_dtype")))
    if len(np.unique(classes)) < n_classes:
        raise _Damage("its class names are not different labels")
    scores = values.get(_SCORES)
    if scores is not None:
        scores = [np.array(each, dtype=np.float64) for each in scores]
        if len(scores) != n_members or not all(map(_are_fractions, scores)):
            raise _Damage("its held-out probabilities do not match its members")
    mask = np.array(values.get(_KNOWN, np.full((n_members, n_classes), True)))
    if mask.dtype != bool or mask.shape != (n_members, n_classes):
        raise _Damage("its known classes do not match its members")
    n_samples = values.get(_N)
    if not (
        n_samples is None or (isinstance(n_samples, int) and 0 < n_samples < 2**53)
    ):
        raise _Damage("its number of training samples is not a positive number")
    appearance = values.get(_LOOK)
    if appearance is not None:
        white, *lists = (appearance[key] for key in ("white", "mean", "std"))
        numbers = np.array([[white] * len(lists[0]), *lists], dtype=float)
        if numbers.ndim != 2 or not np.isfinite(numbers).all() or not white > 0:
            raise _Damage("its description of the training images is damaged")
    reading = values.get(_READING)
    if reading is not None:
        channels, page = reading["channels"], reading["page"]
        chosen = channels if isinstance(channels, list) else []
        if (
            not (channels in (None, "all") or chosen)
            or not all(type(each) is int and 0 <= each < _MOST for each in chosen)
            or not (page in (None, "max") or type(page) is int)
        ):
            raise _Damage("its channels are damaged")
    prints = values.get(_SEEN)
    prints = prints and np.frombuffer(bytes.fromhex(prints), "<u8")
    counts = values.get(_CONFUSION)
    if counts is not None:
        counts = np.array(counts)
        shape = (n_classes, n_classes)
        if counts.dtype != int or counts.shape != shape or counts.min() < 0:
            raise _Damage("its confusion matrix is damaged")
    return Details(
        classes, scores, mask, n_samples, appearance, reading, prints, counts
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _are_fractions(values: np.ndarray) -> bool:
    return values.ndim == 1 and bool(((values >= 0) & (values <= 1)).all())


def _dtype(name: Any) -> np.dtype:
    if name == "object":
        return np.dtype(object)
    # A name could ask for a huge array.
    if (
        isinstance(name, str)
        and name.lstrip("<>|=")[:1] in tuple(_LABEL_KINDS)
        and len(name) < 8
        and (dtype := np.dtype(name)).itemsize <= 4 * _MOST
    ):
        return dtype
    raise _Damage(f"labels cannot have the type {str(name)[:40]!r}")
