from ._onnx_classifier import OnnxClassifier as OnnxClassifier
from ._to_onnx import to_onnx as to_onnx
