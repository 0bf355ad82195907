"""An ONNX graph that is put together node by node."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import compose, helper, inliner, numpy_helper, version_converter

# The first in which a reduction takes its axes as an input; runtimes of 2023 know it.
OPSET, IR_VERSION = 18, 8


class Value(NamedTuple):
    """What flows between nodes.

    Attributes
    ----------
    name : str
        Of the tensor in the graph.
    dtype : numpy.dtype
        Of its elements.
    """

    name: str
    dtype: np.dtype


class Graph:
    """Nodes and constants, each of which is there once however often it is asked for.

    So what the members of an ensemble have in common, such as the standardisation of
    the images, is computed once for all of them.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple, onnx.TensorProto] = {}
        self._made: dict[tuple, str] = {}
        self._opsets: dict[str, int] = {"": OPSET}
        self._n_embedded = 0

    def constant(self, value: Any, dtype: Any = None) -> Value:
        """Add an array or a number."""
        array = np.asarray(value, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return Value(self._constants[key].name, array.dtype)

    def add(self, operator: str, *inputs: Value, dtype: Any = None, **attributes: Any):
        """Add a node with one output.

        Parameters
        ----------
        operator : str
            Name in ONNX.
        *inputs : Value
            What it takes.
        dtype : dtype-like, default=None
            Of the output; by default that of the first input.
        **attributes : dict
            Of the operator.

        Returns
        -------
        Value
        """
        return self.add_many(operator, *inputs, dtypes=[dtype], **attributes)[0]

    def add_many(
        self, operator: str, *inputs: Value, dtypes: Sequence[Any], **attributes: Any
    ) -> list[Value]:
        """Add a node with several outputs, a type for each of which is given."""
        names = [each.name for each in inputs]
        key = (operator, *names, len(dtypes), repr(sorted(attributes.items())))
        stem = self._made.get(key)
        if stem is None:
            stem = self._made[key] = f"{operator.lower()}_{len(self._made)}"
            outputs = [f"{stem}_{k}" for k in range(len(dtypes))]
            node = helper.make_node(operator, names, outputs, name=stem, **attributes)
            self._nodes.append(node)
        return [
            Value(f"{stem}_{k}", np.dtype(inputs[0].dtype if dtype is None else dtype))
            for k, dtype in enumerate(dtypes)
        ]

    def cast(self, value: Value, dtype: Any) -> Value:
        """Convert to another type of number, if it is another."""
        dtype = np.dtype(dtype)
        if value.dtype == dtype:
            return value
        return self._as(value, dtype)

    def _as(self, value: Value, dtype: np.dtype) -> Value:
        to = helper.np_dtype_to_tensor_dtype(dtype)
        return self.add("Cast", value, dtype=dtype, to=to)

    def mean(self, value: Value, *axes: int, keepdims: bool = False) -> Value:
        """Average over axes, in double precision."""
        return self.add(
            "ReduceMean",
            self.cast(value, np.float64),
            self.constant(axes, np.int64),
            keepdims=int(keepdims),
        )

    def reshape(self, value: Value, *shape: int) -> Value:
        """Change the shape: -1 is what is left, 0 what it was."""
        return self.add("Reshape", value, self.constant(shape, np.int64))

    def embed(self, model: onnx.ModelProto, value: Value, output: int = 0) -> Value:
        """Add all of a model with one input; return an output in double precision."""
        versions = {each.domain: each.version for each in model.opset_import}
        if versions[""] != OPSET:
            # An older Keras does not ask which one is wanted.
            model = version_converter.convert_version(model, OPSET)
        for domain, version in versions.items():
            known = self._opsets.setdefault(domain, version)
            self._opsets[domain] = max(known, version)
        if model.functions:
            model = inliner.inline_local_functions(model)
        prefix = f"part_{self._n_embedded}_"
        self._n_embedded += 1
        part = compose.add_prefix_graph(model.graph, prefix)
        constants = {each.name for each in part.initializer}
        (taken,) = [each.name for each in part.input if each.name not in constants]
        self._nodes.append(helper.make_node("Identity", [value.name], [taken]))
        self._nodes.extend(part.node)
        for tensor in part.initializer:
            self._constants[prefix, tensor.name] = tensor
        # Of which type it is now cannot be told: declarations by skl2onnx may be wrong.
        found = Value(part.output[output].name, np.dtype(object))
        return self._as(found, np.dtype(np.float64))

    def build(
        self,
        inputs: Mapping[Value, Sequence[int | str]],
        outputs: Mapping[str, tuple[Value, Sequence[int | str]]],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Return the checked model.

        Parameters
        ----------
        inputs : mapping of Value to shape
            With a name for an axis of any length.
        outputs : mapping of str to (Value, shape)
            By the names that they are to have.
        metadata : mapping of str to str
            Stored beside the graph.

        Returns
        -------
        onnx.ModelProto
        """
        for name, (value, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        graph = helper.make_graph(
            self._nodes,
            "skwbc",
            [_info(each.name, each.dtype, shape) for each, shape in inputs.items()],
            [_info(name, each.dtype, shape) for name, (each, shape) in outputs.items()],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            producer_name="skwbc",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid(*each) for each in self._opsets.items()],
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def _info(name: str, dtype: np.dtype, shape: Sequence[int | str]):
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, shape)
