"""Ensembles as ONNX files, which predict without Keras and TensorFlow."""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc.export._onnx_classifier import OnnxClassifier
    from skwbc.export._to_onnx import to_onnx

_HOMES = {
    "OnnxClassifier": "skwbc.export._onnx_classifier",
    "to_onnx": "skwbc.export._to_onnx",
}

__all__ = ["OnnxClassifier", "to_onnx"]

__getattr__, __dir__ = lazy_door(__name__, _HOMES)
