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
# Files name the fingerprints so. Other details have the names of their fields.
_SEEN, _SEALED = "training_images", "has_checksum"
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
    values = details._asdict() | {
        "skwbc_format": FORMAT,
        "skwbc_version": version,
        "classes_dtype": "object" if is_text else classes.dtype.str,
        _SEALED: True,
    }
    if (prints := values.pop("fingerprints")) is not None:
        values[_SEEN] = prints.astype("<u8").tobytes().hex()
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False}
    return {
        key: json.dumps(value, default=lambda array: array.tolist(), **options)
        for key, value in values.items()
        if value is not None
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
    names = {"skwbc_format", "skwbc_version", "classes_dtype", _SEEN, *Details._fields}
    present = names & metadata.keys()
    values = {key: json.loads(metadata[key], parse_constant=_refuse) for key in present}
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
    is_list = isinstance(labels, list) and len(labels) == n_classes
    if not is_list or not all(isinstance(each, str | int | float) for each in labels):
        raise _Damage(f"its class names are not {n_classes} labels")
    classes = np.array(labels, dtype=_dtype(values.get("classes_dtype")))
    if len(np.unique(classes)) < n_classes:
        raise _Damage("its class names are not different labels")
    if (scores := values.get("held_out_true_proba")) is not None:
        scores = [np.array(each, dtype=np.float64) for each in scores]
        if len(scores) != n_members or not all(map(_are_fractions, scores)):
            raise _Damage("its held-out probabilities do not match its members")
    everything = np.full((n_members, n_classes), True)
    mask = np.array(values.get("known_classes", everything))
    if mask.dtype != bool or mask.shape != everything.shape:
        raise _Damage("its known classes do not match its members")
    n_samples = values.get("n_typicality_samples")
    is_count = isinstance(n_samples, int) and 0 < n_samples < 2**53
    if n_samples is not None and not is_count:
        raise _Damage("its number of training samples is not a positive number")
    if (appearance := values.get("appearance")) is not None:
        white, *lists = (appearance[key] for key in ("white", "mean", "std"))
        numbers = np.array([[white] * len(lists[0]), *lists], dtype=float)
        if numbers.ndim != 2 or not np.isfinite(numbers).all() or not white > 0:
            raise _Damage("its description of the training images is damaged")
    if (reading := values.get("reading")) is not None:
        channels, page = reading["channels"], reading["page"]
        chosen = channels if isinstance(channels, list) else []
        right = [k for k in chosen if type(k) is int and 0 <= k < _MOST]
        is_choice = channels in (None, "all") or (chosen and right == chosen)
        if not is_choice or not (page in (None, "max") or type(page) is int):
            raise _Damage("its channels are damaged")
    prints = values.get(_SEEN)
    prints = prints and np.frombuffer(bytes.fromhex(prints), "<u8")
    if (counts := values.get("confusion")) is not None:
        counts = np.array(counts)
        shape = (n_classes, n_classes)
        if counts.dtype != int or counts.shape != shape or counts.min() < 0:
            raise _Damage("its confusion matrix is damaged")
    details = classes, scores, mask, n_samples, appearance, reading, prints, counts
    return Details(*details)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


def _are_fractions(values: np.ndarray) -> bool:
    return values.ndim == 1 and bool(((values >= 0) & (values <= 1)).all())


def _dtype(name: Any) -> np.dtype:
    if name == "object":
        return np.dtype(object)
    # A name could ask for a huge array.
    is_kind = isinstance(name, str) and name.lstrip("<>|=")[:1] in [*_LABEL_KINDS]
    if is_kind and len(name) < 8 and (dtype := np.dtype(name)).itemsize <= 4 * _MOST:
        return dtype
    raise _Damage(f"labels cannot have the type {str(name)[:40]!r}")
