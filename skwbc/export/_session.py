"""A model of this package in ONNX Runtime."""

from typing import Any

import numpy as np

from skwbc._utils.onnx_sessions import first_line, open_session
from skwbc.export._format import MEMBERS, PROBA, SAMPLES, TYPICALITY, decode
from skwbc.export._wire import check_graph, is_sealed

_NAMES = {"uint8": "uint8", "float": "float32", "double": "float64"}
_DTYPES = {f"tensor({name})": np.dtype(dtype) for name, dtype in _NAMES.items()}
# Networks compute in single precision.
_ROUNDING = 1e-3
_EXPECTED = "Expected a complete file written by `skwbc export`."


class Session:
    """An ONNX model of this package, ready to run.

    Parameters
    ----------
    content : bytes
        The model.
    name : str
        Name of the model in error messages.
    n_threads : int, default=0
        Number of threads; 0 means one per core.

    Attributes
    ----------
    shape : tuple of int
        Shape of a sample.
    dtype : numpy.dtype
        Type of the samples.
    n_members : int
        Number of members of the ensemble.
    details : Details
        Data stored beside the graph.

    Raises
    ------
    ValueError
        If the content is not such a model. The message gives the reason.
    ImportError
        If ONNX Runtime is not installed.
    """

    def __init__(
        self, content: bytes, name: str, n_threads: int = 0, *, quickly: bool = False
    ) -> None:
        self._name = name
        try:
            self._is_sealed = is_sealed(content)
            check_graph(content)
            self._session: Any = open_session(content, n_threads, quickly=quickly)
        except ValueError as error:
            raise ValueError(
                f"{name} could not be read as an ONNX model ({len(content):,} bytes): "
                f"{error}. {_EXPECTED}"
            ) from error
        try:
            self._check_signature()
        except ValueError as error:
            raise ValueError(
                f"{name} is not an ONNX model that this skwbc can use: {error}. "
                f"{_EXPECTED}"
            ) from error

    def _check_signature(self) -> None:
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        if list(inputs) != [SAMPLES] or not {PROBA, MEMBERS} <= set(outputs):
            raise ValueError(
                f"it turns {', '.join(inputs)} into {', '.join(outputs)}, and not "
                f"{SAMPLES} into {PROBA} and {MEMBERS}"
            )
        samples = inputs[SAMPLES]
        self.shape: tuple[int, ...] = tuple(samples.shape[1:])
        is_fixed = all(isinstance(each, int) and each > 0 for each in self.shape)
        if samples.type not in _DTYPES or len(self.shape) not in (1, 3) or not is_fixed:
            raise ValueError(
                f"it takes {samples.type} of shape {samples.shape}, which is neither "
                "images nor rows of features"
            )
        self.dtype: np.dtype = _DTYPES[samples.type]
        match outputs[PROBA].shape, outputs[MEMBERS].shape:
            case [_, int(n_classes)], [int(n_members), _, int(n_columns)] if (
                n_members > 0 and n_columns == n_classes > 1
            ):
                self.n_members = n_members
            case shapes:
                raise ValueError(
                    f"it returns probabilities of shapes {shapes}; expected "
                    "(n, classes) and (members, n, classes)"
                )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.details = decode(metadata, n_classes, n_members, self._is_sealed)
        has_typicality = self.details.n_typicality_samples is not None
        if has_typicality and TYPICALITY not in outputs:
            raise ValueError(f"it does not return {TYPICALITY}")
        self._outputs = [PROBA, MEMBERS, TYPICALITY][: 2 + has_typicality]

    def run(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return mean probabilities and those of the members for checked samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float64
        member_proba : ndarray of shape (n_members, n_samples, n_classes), float64
        typicality : ndarray of shape (n_samples,), float64, or None
        """
        try:
            samples = {SAMPLES: np.ascontiguousarray(X)}
            outputs = self._session.run(self._outputs, samples)
        except Exception as error:
            raise ValueError(
                f"{self._name} failed during prediction: {first_line(error)}. "
                f"{_EXPECTED}"
            ) from error
        results = [np.asarray(each, np.float64) for each in outputs]
        proba, member_proba, p, *_ = [*results, None]
        shape = len(X), len(self.details.classes)
        are_p = p is None or (p.shape == (len(X),) and (abs(p - 0.5) <= 0.5).all())
        problem = ""
        if proba.shape != shape or member_proba.shape != (self.n_members, *shape):
            problem = f"probabilities of shape {proba.shape} for {len(X)} samples"
        elif any(map(_has_impossible, (proba, member_proba))):
            problem = "probabilities not between 0 and 1, or that do not add up to 1"
        elif not are_p:
            problem = "p-values that are not between 0 and 1, one for each sample"
        if problem:
            raise ValueError(f"{self._name} returned {problem}. Its file is damaged.")
        return proba, member_proba, p


def _has_impossible(proba: np.ndarray) -> bool:
    """Tell whether rows cannot be probabilities. The mean over members handles NaN."""
    outside = (proba < -_ROUNDING) | (proba > 1 + _ROUNDING)
    return bool(outside.any() or (abs(proba.sum(axis=-1) - 1) > _ROUNDING).any())
