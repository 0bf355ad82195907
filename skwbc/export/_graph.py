"""An ONNX graph that is built node by node."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import compose, helper, inliner, numpy_helper, version_converter

# Opset 18 is the first whose reductions take their axes as an input. Runtimes have read
# these versions since 2023.
OPSET, IR_VERSION = 18, 8


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a graph. Arithmetic with it adds nodes to the graph.

    Attributes
    ----------
    graph : Graph
        The graph.
    name : str
        Name of the tensor in the graph.
    dtype : numpy.dtype
        Type of its elements.
    """

    graph: "Graph"
    name: str
    dtype: np.dtype

    def apply(
        self,
        operator: str,
        *others: Any,
        dtype: Any = None,
        n_outputs: int = 1,
        **attributes: Any,
    ) -> "Value":
        """Add a node whose first input is this tensor.

        A node that the graph already has is not added again. So what the members of an
        ensemble have in common, such as the standardisation of the images, is computed
        once for all of them.

        Parameters
        ----------
        operator : str
            Its name in ONNX.
        *others : Value or array-like
            Further inputs. Arrays become constants of the graph.
        dtype : dtype-like, default=None
            Type of the output; by default the type of this tensor.
        n_outputs : int, default=1
            Number of outputs that the operator has.
        **attributes : dict
            Attributes of the operator.

        Returns
        -------
        Value
            The first output.
        """
        inputs = [self, *map(self.graph.constant, others)]
        names = [each.name for each in inputs]
        name = self.graph.add_node(operator, names, n_outputs, attributes)
        return Value(self.graph, name, np.dtype(self.dtype if dtype is None else dtype))

    def _combine(self, operator: str, other: Any) -> "Value":
        return self.apply(operator, self.graph.constant(other, self.dtype))

    def __add__(self, other: Any) -> "Value":
        return self._combine("Add", other)

    def __sub__(self, other: Any) -> "Value":
        return self._combine("Sub", other)

    def __mul__(self, other: Any) -> "Value":
        return self._combine("Mul", other)

    def __truediv__(self, other: Any) -> "Value":
        return self._combine("Div", other)

    def __matmul__(self, other: Any) -> "Value":
        return self._combine("MatMul", other)

    def cast(self, dtype: Any) -> "Value":
        """Convert to another type, if it differs."""
        dtype = np.dtype(dtype)
        if self.dtype == dtype:
            return self
        to = helper.np_dtype_to_tensor_dtype(dtype)
        return self.apply("Cast", dtype=dtype, to=to)

    def mean(self, *axes: int, keepdims: bool = False) -> "Value":
        """Average over axes, in double precision."""
        wide = self.cast(np.float64)
        return wide.apply("ReduceMean", axes, keepdims=int(keepdims))

    def sum(self, axis: int) -> "Value":
        """Add up along an axis, which is kept."""
        return self.apply("ReduceSum", [axis], keepdims=1)

    def reshape(self, *shape: int) -> "Value":
        """Change the shape; 0 keeps a length, and -1 stands for the rest."""
        return self.apply("Reshape", shape)


def join(operator: str, values: Iterable[Value], **attributes: Any) -> Value:
    """Add a node that takes any number of tensors."""
    first, *others = values
    return first.apply(operator, *others, **attributes)


class Graph:
    """Nodes and constants. Equal nodes and equal constants are stored once."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple, onnx.TensorProto] = {}
        self._stems: dict[tuple, str] = {}
        self._opsets: dict[str, int] = {"": OPSET}
        self._n_embedded = 0
        self._parts: dict[Hashable, Value] = {}

    def constant(self, value: Any, dtype: Any = None) -> Value:
        """Add an array or a number; a tensor of the graph is returned as it is."""
        if isinstance(value, Value):
            return value
        array = np.asarray(value, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return Value(self, self._constants[key].name, array.dtype)

    def add_node(
        self,
        operator: str,
        inputs: Sequence[str],
        n_outputs: int,
        attributes: Mapping[str, Any],
    ) -> str:
        """Add a node unless there is an equal one; return its first output's name."""
        key = (operator, *inputs, n_outputs, repr(sorted(attributes.items())))
        if key not in self._stems:
            stem = self._stems[key] = f"{operator.lower()}_{len(self._stems)}"
            outputs = [f"{stem}_{k}" for k in range(n_outputs)]
            node = helper.make_node(operator, inputs, outputs, name=stem, **attributes)
            self._nodes.append(node)
        return f"{self._stems[key]}_0"

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value with a key; add it to the graph if there is none."""
        if key not in self._parts:
            self._parts[key] = make()
        return self._parts[key]

    def embed(self, model: onnx.ModelProto, value: Value, output: int = 0) -> Value:
        """Add a whole model with one input; return one output in double precision."""
        versions = {each.domain: each.version for each in model.opset_import}
        if versions[""] != OPSET:
            # Older versions of Keras have no option for the opset.
            model = version_converter.convert_version(model, OPSET)
        for domain, version in versions.items():
            self._opsets[domain] = max(version, self._opsets.get(domain, version))
        if model.functions:
            model = inliner.inline_local_functions(model)
        prefix = f"part_{self._n_embedded}_"
        self._n_embedded += 1
        part = compose.add_prefix_graph(model.graph, prefix)
        constants = {each.name for each in part.initializer}
        (entry,) = [each.name for each in part.input if each.name not in constants]
        self._nodes.append(helper.make_node("Identity", [value.name], [entry]))
        self._nodes.extend(part.node)
        for tensor in part.initializer:
            self._constants[prefix, tensor.name] = tensor
        # The types that skl2onnx declares may be wrong, so this one counts as unknown.
        result = Value(self, part.output[output].name, np.dtype(object))
        return result.cast(np.float64)

    def build(
        self,
        inputs: Mapping[Value, Sequence[int | str]],
        outputs: Mapping[str, tuple[Value, Sequence[int | str]]],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Return the model after ONNX has checked it.

        Parameters
        ----------
        inputs : mapping of Value to shape
            A shape has a name for an axis of any length.
        outputs : mapping of str to (Value, shape)
            The outputs by the names that they get.
        metadata : mapping of str to str
            Stored beside the graph.

        Returns
        -------
        onnx.ModelProto
        """
        for name, (value, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        ins = [_info(each.name, each.dtype, shape) for each, shape in inputs.items()]
        outs = [_info(name, each.dtype, of) for name, (each, of) in outputs.items()]
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "skwbc", ins, outs, constants)
        opsets = [helper.make_opsetid(*each) for each in self._opsets.items()]
        versions = {"ir_version": IR_VERSION, "opset_imports": opsets}
        model = helper.make_model(graph, producer_name="skwbc", **versions)
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def _info(
    name: str, dtype: np.dtype, shape: Sequence[int | str]
) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, shape)
