"""A model of this package in ONNX Runtime."""

import os
from typing import Any, BinaryIO

import numpy as np

from skwbc._utils.optional_imports import import_optional
from skwbc.export._format import MEMBERS, PROBA, SAMPLES, decode
from skwbc.export._large_weights import take_large_weights

_DTYPES: dict[str, np.dtype] = {
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
# Only what the runtime cannot go on with; that is raised and said again here.
_FATAL = 4
_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"
_EXPECTED = "Expected a whole file written by `skwbc export`."


class Session:
    """Runs an ONNX model of this package.

    Parameters
    ----------
    file : binary file
        The model; it may be closed afterwards.
    name : str
        What messages call it.
    n_threads : int, default=0
        For the arithmetic; 0 is one for each core.

    Attributes
    ----------
    shape : tuple of int
        Of a sample.
    dtype : numpy.dtype
        Of samples.
    n_members : int
        How many members the ensemble has.
    details : Details
        What is stored beside the graph.

    Raises
    ------
    ValueError
        If the file is no such model; says what is wrong with it.
    ImportError
        If ONNX Runtime is not installed.
    """

    def __init__(self, file: BinaryIO, name: str, n_threads: int = 0) -> None:
        runtime = import_optional("onnxruntime", "onnx", "Reading ONNX files")
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = n_threads
        # Or files would be read that a model names, if they are in the working folder.
        options.add_session_config_entry(_FOLDER_OF_WEIGHTS, os.devnull)
        self._name = name
        model, self._weights = take_large_weights(file)
        try:
            self._session = runtime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except MemoryError:
            raise
        except Exception as error:
            # Of classes of its own, which have nothing in common.
            size = file.seek(0, 2)
            raise ValueError(
                f"{name} could not be read as an ONNX model ({size:,} bytes): "
                f"{_first_line(error)}. {_EXPECTED}"
            ) from error
        try:
            self._understand()
        except ValueError as error:
            raise ValueError(
                f"{name} is no ONNX model that this skwbc can use: {error}. {_EXPECTED}"
            ) from error

    def _understand(self) -> None:
        found = {each.name: each for each in self._session.get_inputs()}
        inputs = {name: found[name] for name in found if name not in self._weights}
        outputs = {each.name: each for each in self._session.get_outputs()}
        if list(inputs) != [SAMPLES] or not {PROBA, MEMBERS} <= set(outputs):
            raise ValueError(
                f"it turns {', '.join(inputs)} into {', '.join(outputs)}, and not "
                f"{SAMPLES} into {PROBA} and {MEMBERS}"
            )
        taken = inputs[SAMPLES]
        sizes = taken.shape[1:]
        if (
            taken.type not in _DTYPES
            or len(sizes) not in (1, 3)
            or not all(isinstance(each, int) and each > 0 for each in sizes)
        ):
            raise ValueError(
                f"it takes {taken.type} of shape {taken.shape}, which are neither "
                "images nor rows of features"
            )
        self.shape: tuple[int, ...] = tuple(sizes)
        self.dtype: np.dtype = _DTYPES[taken.type]
        members, single = outputs[MEMBERS].shape, outputs[PROBA].shape
        if not (
            len(single) == 2
            and len(members) == 3
            and isinstance(members[0], int)
            and isinstance(members[2], int)
            and members[2] == single[1]
            and members[0] > 0
            and members[2] > 1
        ):
            raise ValueError(
                f"it gives probabilities of shapes {single} and {members}, which are "
                "not (n, classes) and (members, n, classes)"
            )
        self.n_members = members[0]
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.details = decode(metadata, members[2], members[0])

    def run(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities, and those of the members, for checked samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
        of_members : ndarray of shape (n_members, n_samples, n_classes), float64
        """
        try:
            found: list[Any] = self._session.run(
                [PROBA, MEMBERS], {SAMPLES: np.ascontiguousarray(X), **self._weights}
            )
        except Exception as error:
            raise ValueError(
                f"{self._name} failed while it predicted: {_first_line(error)}. "
                f"{_EXPECTED}"
            ) from error
        proba, of_members = (np.asarray(each, np.float64) for each in found)
        n_classes = len(self.details.classes)
        expected = (self.n_members, len(X), n_classes)
        if proba.shape != expected[1:] or of_members.shape != expected:
            raise ValueError(
                f"{self._name} gave probabilities of shape {proba.shape} for {len(X)} "
                f"samples and {n_classes} classes. Its file is damaged."
            )
        return proba, of_members


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300]
