from ._onnx_classifier import OnnxClassifier as OnnxClassifier
from ._page import to_page as to_page
from ._to_onnx import to_onnx as to_onnx
