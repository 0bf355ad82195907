"""Taking large weights out of an ONNX file while it is read.

ONNX Runtime copies constants when it parses a model, when it sets itself up, and when
it sorts them for its matrix products. With wide dense layers that takes longer than all
the rest of a first answer. So their weights become inputs of the graph, and are handed
over with the samples, in the memory that they were read into. No more has to be known
of protobuf for that than how fields are told apart.
"""

import math
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

# Bytes from which on a constant is taken out.
LARGE = 1 << 21
# Fields of a message at the most: damaged files may seem to have millions.
_MOST = 50_000
# Numbers of fields in onnx.proto, and of its type for float32.
_GRAPH, _CONSTANT, _INPUT = 7, 5, 11
_DIMS, _TYPE, _NAME, _RAW, _DOC = 1, 2, 8, 9, 12
_FLOAT = 1
# Layouts of a field's body: a number, eight bytes, a length and bytes, four bytes.
_NUMBER, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field of a message: its number and layout, where it and its body are."""

    number: int
    layout: int
    start: int
    body: int
    end: int


def take_large_weights(file: BinaryIO) -> tuple[bytes, dict[str, np.ndarray]]:
    """Read a model; turn large matrices of constants into inputs.

    Parameters
    ----------
    file : binary file
        An ONNX model, from its beginning.

    Returns
    -------
    model : bytes
        The model without those matrices; the whole file, whatever it is, if it is
        not understood.
    weights : dict of str to ndarray, float32
        What has to be given to the new inputs.
    """
    size = file.seek(0, 2)
    weights: dict[str, np.ndarray] = {}
    if size >= LARGE:
        try:
            return b"".join(_model(file, size, weights)), weights
        except ValueError:
            # ONNX Runtime will say what is wrong with it.
            pass
    file.seek(0)
    return file.read(), {}


def _model(file: BinaryIO, size: int, weights: dict) -> Iterator[bytes]:
    for field in _fields(file, 0, size):
        if field.number == _GRAPH and field.layout == _BYTES:
            yield _message(_GRAPH, *_graph(file, field, weights))
        else:
            yield _read(file, field.start, field.end)


def _graph(file: BinaryIO, graph: _Field, weights: dict) -> Iterator[bytes]:
    for field in _fields(file, graph.body, graph.end):
        large = field.end - field.body >= LARGE
        taken = _take(file, field) if field.number == _CONSTANT and large else None
        if taken is None:
            yield _read(file, field.start, field.end)
            continue
        name, array = taken
        if name in weights:
            raise ValueError("two constants of one name")
        weights[name] = array
        shape = [_message(1, _number(1, length)) for length in array.shape]
        kind = _message(1, _number(1, _FLOAT), _message(2, *shape))
        yield _message(_INPUT, _message(1, name.encode()), _message(2, kind))


def _take(file: BinaryIO, constant: _Field) -> tuple[str, np.ndarray] | None:
    """Return name and values of a constant; None if it is of another kind."""
    found = list(_fields(file, constant.body, constant.end))
    parts = {field.number: field for field in found}
    shape = [_varint(file, field.body) for field in found if field.number == _DIMS]
    layouts = {_DIMS: _NUMBER, _TYPE: _NUMBER, _NAME: _BYTES, _RAW: _BYTES}
    if (
        any(layouts.get(field.number, field.layout) != field.layout for field in found)
        or not layouts.keys() <= parts.keys() <= layouts.keys() | {_DOC}
        or len(found) - len(shape) + 1 != len(parts)
        or _varint(file, parts[_TYPE].body) != _FLOAT
        # Weights of convolutions are sorted for good, which pays.
        or len(shape) != 2
        or 4 * math.prod(shape) != parts[_RAW].end - parts[_RAW].body
    ):
        return None
    name = _read(file, parts[_NAME].body, parts[_NAME].end).decode()
    array = np.empty(shape, "<f4")
    file.seek(parts[_RAW].body)
    if file.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("the file got shorter")
    return name, array


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    for _ in range(_MOST):
        if start == end:
            return
        number, layout = divmod(_varint(file, start), 8)
        body = file.tell()
        if layout == _BYTES:
            length = _varint(file, body)
            body = file.tell()
        elif layout == _NUMBER:
            _varint(file, body)
            length = file.tell() - body
        elif layout in (_EIGHT, _FOUR):
            length = 8 if layout == _EIGHT else 4
        else:
            raise ValueError("a field of unknown layout")
        if number == 0:
            raise ValueError("a field without a number")
        if body + length > end:
            raise ValueError("a field beyond the end")
        yield _Field(number, layout, start, body, body + length)
        start = body + length
    raise ValueError("more fields than any model of ours has")


def _varint(file: BinaryIO, start: int) -> int:
    file.seek(start)
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number without an end")


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _encoded(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + _encoded(high) if high else bytes([low])


def _number(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _NUMBER) + _encoded(value)


def _message(number: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _encoded(number << 3 | _BYTES) + _encoded(len(body)) + body
