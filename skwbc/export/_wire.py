"""The bytes of an ONNX file: its checksum, and limits on its graph.

A file is looked at before ONNX Runtime gets it, and without the package onnx, which
takes a while to import.
"""

import zlib
from collections.abc import Iterator

# The last entry of the metadata, as bytes: the CRC-32 of all bytes before it. It finds
# damage in a tenth of the time of SHA-256. Neither stops an attacker.
_HEAD = b"\x72\x17\x0a\x0bskwbc_crc32\x12\x08"
_LENGTH = 8
# ONNX Runtime takes minutes to load many nodes or constants. A member of the default
# recipe has about 450.
_MOST_PARTS = 25_000
# Operators of members. Loops and branches are missing, which could run for ever, and so
# are functions, which could unfold to any size. Distances to neighbours need a scan of
# the rows of an array, but no scan within a scan.
_OPERATORS = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Compress
    Concat Constant ConstantOfShape Conv ConvTranspose CumSum DepthToSpace Div Dropout
    Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND
    Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid
    HardSwish Identity InstanceNormalization IsNaN LSTM LayerNormalization LeakyRelu
    Less LessOrEqual Log MatMul Max MaxPool Mean Min Mod Mul Neg NonZero Not OneHot Or
    PRelu Pad Pow RNN Range Reciprocal ReduceL2 ReduceLogSumExp ReduceMax ReduceMean
    ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round Scan Selu
    Shape Sigmoid Sign Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt
    Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where
"""
_ML_OPERATORS = """
    ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder
    LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor
    Scaler TreeEnsembleClassifier TreeEnsembleRegressor
"""
_ALLOWED = {b"": {*_OPERATORS.split()}, b"ai.onnx.ml": {*_ML_OPERATORS.split()}}
# Numbers of fields in the files.
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25
_NODE, _OPERATOR, _ATTRIBUTE, _DOMAIN, _SUBGRAPHS = 1, 4, 5, 7, (6, 11)


def seal(content: bytes) -> bytes:
    """Append the checksum to a model; it becomes an entry of the metadata."""
    return content + _HEAD + _digest(content)


def is_sealed(content: bytes) -> bool:
    """Tell whether a model ends with its checksum.

    Raises
    ------
    ValueError
        If the checksum is not that of the model.
    """
    start = len(content) - len(_HEAD) - _LENGTH
    if start < 0 or not content.startswith(_HEAD, start):
        return False
    if not content.endswith(_digest(memoryview(content)[:start])):
        raise ValueError(
            "its checksum is wrong, so it was damaged or changed after it was written"
        )
    return True


def _digest(content: bytes | memoryview) -> bytes:
    return b"%08x" % zlib.crc32(content)


def check_graph(content: bytes) -> None:
    """Check that a model can be loaded and run in finite time.

    Raises
    ------
    ValueError
        If it cannot, or is not an ONNX model. The message gives the reason.
    """
    parts = 0
    for number, value in _fields(memoryview(content)):
        if number in (_TRAINING, _FUNCTIONS):
            raise ValueError("it defines functions or training, which are not used")
        if number == _GRAPH:
            parts += _check_nodes(value, _MOST_PARTS - parts, "")


def _check_nodes(graph: memoryview, most: int, scan: str) -> int:
    """Check a graph of at most some parts; return their number."""
    parts = 0
    for number, value in _fields(graph):
        parts += 1
        if number == _NODE:
            operator = domain = b""
            subgraphs: list[memoryview] = []
            for place, each in _fields(value):
                if place == _OPERATOR:
                    operator = bytes(each)
                elif place == _DOMAIN:
                    domain = bytes(each)
                elif place == _ATTRIBUTE:
                    inner = (graph for k, graph in _fields(each) if k in _SUBGRAPHS)
                    subgraphs.extend(inner)
            name = operator.decode(errors="backslashreplace")[:40]
            if name not in _ALLOWED.get(domain, ()) or name == scan:
                raise ValueError(
                    f"it has the operator {name!r}, which no export writes"
                )
            for subgraph in subgraphs:
                if scan or name != "Scan":
                    raise ValueError(f"its operator {name!r} has a graph of its own")
                parts += _check_nodes(subgraph, most - parts, "Scan")
        if parts > most:
            raise ValueError(f"its graph has more than {_MOST_PARTS:,} parts")
    return parts


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the fields of a Protobuf message by their numbers, numbers as nothing."""
    at, end = 0, len(message)
    try:
        while at < end:
            key, at = _number(message, at)
            kind, start = key & 7, at
            if kind == 0:
                _, at = _number(message, at)
                start = at
            elif kind == 2:
                length, start = _number(message, at)
                at = start + length
            elif kind in (1, 5):
                at = start = at + (8 if kind == 1 else 4)
            else:
                raise ValueError("it is not an ONNX model")
            if at > end:
                raise IndexError
            yield key >> 3, message[start:at]
    except IndexError:
        raise ValueError("it is not a whole ONNX model") from None


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length, and the position behind it."""
    byte = message[at]
    if byte < 128:
        return byte, at + 1
    number = shift = 0
    while byte >= 128 and shift < 63:
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        byte = message[at]
    return number | byte << shift, at + 1
