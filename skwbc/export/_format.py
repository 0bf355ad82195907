"""What is in the ONNX files of this package, apart from the graph."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

# Inputs and outputs.
SAMPLES, PROBA, MEMBERS = "samples", "probabilities", "member_probabilities"
# Counts up when an older OnnxClassifier could not read the files.
FORMAT = 1
_LABEL_KINDS = "Uiubf"


class Details(NamedTuple):
    """What is stored beside the graph.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the probabilities.
    held_out_true_proba : list of ndarray or None
        As in ``KFoldEnsembleClassifier``; None if it has none.
    """

    classes: np.ndarray
    held_out_true_proba: list[np.ndarray] | None


def encode(details: Details, version: str) -> dict[str, str]:
    """Return metadata, values of which are JSON.

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
    metadata = {
        "skwbc_format": json.dumps(FORMAT),
        "skwbc_version": json.dumps(version),
        "classes": json.dumps(classes.tolist(), ensure_ascii=False),
        "classes_dtype": json.dumps("object" if is_text else classes.dtype.str),
    }
    if details.held_out_true_proba is not None:
        scores = [each.tolist() for each in details.held_out_true_proba]
        metadata["held_out_true_proba"] = json.dumps(scores)
    return metadata


def decode(metadata: Mapping[str, str], n_classes: int, n_members: int) -> Details:
    """Read metadata.

    Parameters
    ----------
    metadata : mapping of str to str
        As from :func:`encode`.
    n_classes, n_members : int
        According to the graph.

    Raises
    ------
    ValueError
        If it is not what belongs to such a graph; says what is wrong.
    """
    if "classes" not in metadata:
        raise ValueError("it has no class names in its metadata")
    found = {name: _from_json(name, metadata) for name in metadata if name in _KNOWN}
    version = found.get("skwbc_format")
    if not isinstance(version, int):
        raise ValueError("it does not say of which format it is (skwbc_format)")
    if version > FORMAT:
        raise ValueError(
            f"it is of format {version}, written by skwbc "
            f"{found.get('skwbc_version', 'of a later version')}; this one reads up to "
            f"format {FORMAT}. Upgrade it: pip install --upgrade skwbc"
        )
    labels = found["classes"]
    if not isinstance(labels, list) or len(labels) != n_classes:
        raise ValueError(f"its class names are not {n_classes} labels")
    try:
        classes = np.array(labels, dtype=_dtype(found.get("classes_dtype")))
        scores: Any = found.get("held_out_true_proba")
        if scores is not None:
            scores = [np.array(each, dtype=np.float64) for each in scores]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its metadata are damaged: {error}") from error
    if classes.ndim != 1 or len(np.unique(classes)) < n_classes:
        raise ValueError("its class names are not different labels")
    if scores is not None and (
        len(scores) != n_members or any(each.ndim != 1 for each in scores)
    ):
        raise ValueError("its held-out probabilities are not those of its members")
    return Details(classes, scores)


_KNOWN = {
    *("skwbc_format", "skwbc_version", "classes", "classes_dtype"),
    "held_out_true_proba",
}


def _from_json(name: str, metadata: Mapping[str, str]) -> Any:
    try:
        return json.loads(metadata[name])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata {name!r} are damaged: {error}") from error


def _dtype(name: Any) -> np.dtype:
    if name == "object":
        return np.dtype(object)
    if isinstance(name, str) and len(name) < 12 and name.lstrip("<>|=")[:1] in "Uiubf":
        return np.dtype(name)
    raise ValueError(f"no type of labels: {name!r}")
