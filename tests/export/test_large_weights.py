"""Files with large weights, which are handed over apart from the model."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from skwbc.export import OnnxClassifier
from skwbc.export._format import MEMBERS, PROBA, SAMPLES, Details, encode
from skwbc.export._large_weights import LARGE, take_large_weights

SHAPE, WIDTH = (24, 24, 3), 400
RNG = np.random.default_rng(0)
WIDE = RNG.normal(size=(1728, WIDTH), scale=1e-4).astype(np.float32)
LAST = RNG.normal(size=(WIDTH, 3)).astype(np.float32)
NEW = RNG.integers(256, size=(70, *SHAPE), dtype=np.uint8)


@pytest.fixture
def model():
    """Return a model of one wide layer, as this package names things."""
    constants = {
        "flat": np.array([0, -1]),
        "wide": WIDE,
        "last": LAST,
        "first": np.array([0]),
    }
    steps = [
        ("Cast", [SAMPLES], "floats", {"to": TensorProto.FLOAT}),
        ("Reshape", ["floats", "flat"], "rows", {}),
        ("MatMul", ["rows", "wide"], "hidden", {}),
        ("MatMul", ["hidden", "last"], "logits", {}),
        ("Softmax", ["logits"], "single", {}),
        ("Cast", ["single"], PROBA, {"to": TensorProto.DOUBLE}),
        ("Unsqueeze", [PROBA, "first"], MEMBERS, {}),
    ]
    taken = helper.make_tensor_value_info(SAMPLES, TensorProto.UINT8, ("n", *SHAPE))
    given = {PROBA: ("n", 3), MEMBERS: (1, "n", 3)}
    graph = helper.make_graph(
        [helper.make_node(op, ins, [out], **how) for op, ins, out, how in steps],
        "wide",
        [taken],
        [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)
            for name, shape in given.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    helper.set_model_props(made, encode(Details(np.array(["a", "b", "c"]), None), "1"))
    return made


def constant(model, name):
    return next(each for each in model.graph.initializer if each.name == name)


def says_the_same(content, tmp_path):
    """Compare with ONNX Runtime, to which the whole file is given."""
    (tmp_path / "c.onnx").write_bytes(content)
    found = OnnxClassifier(tmp_path / "c.onnx").predict_proba(NEW)
    assert found.std(axis=0).min() > 0.01
    alone = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (expected,) = alone.run([PROBA], {SAMPLES: NEW})
    assert np.abs(found - expected).max() < 1e-5


def test_the_runtime_gets_a_small_model(model, tmp_path):
    content = model.SerializeToString()
    small, weights = take_large_weights(io.BytesIO(content))
    assert len(small) < len(content) - WIDE.nbytes + 100
    assert list(weights) == ["wide"]
    assert_array_equal(weights["wide"], WIDE)
    assert weights["wide"].flags.aligned
    rest = onnx.load_from_string(small)
    assert {each.name for each in rest.graph.input} == {SAMPLES, "wide"}
    assert rest.graph.node == model.graph.node
    assert rest.metadata_props == model.metadata_props
    says_the_same(content, tmp_path)


def as_numbers(model):
    tensor = constant(model, "wide")
    tensor.ClearField("raw_data")
    tensor.float_data.extend(WIDE.ravel().tolist())


def of_rank_three(model):
    tensor = numpy_helper.from_array(WIDE.reshape(1, *WIDE.shape), "cube")
    constant(model, "wide").CopyFrom(tensor)
    constant(model, "first").name = "zero"
    model.graph.initializer.add().CopyFrom(
        numpy_helper.from_array(np.array([0]), "first")
    )
    squeeze = helper.make_node("Squeeze", ["cube", "zero"], ["wide"])
    model.graph.node.insert(0, squeeze)


def twice(model):
    model.graph.initializer.append(constant(model, "wide"))


@pytest.mark.parametrize("change", [as_numbers, of_rank_three, twice])
def test_other_large_constants_stay(change, model, tmp_path):
    change(model)
    content = model.SerializeToString()
    assert len(content) > LARGE
    small, weights = take_large_weights(io.BytesIO(content))
    assert not weights
    assert small == content
    says_the_same(content, tmp_path)


def of_another_size(model):
    constant(model, "wide").dims[0] += 1


def of_another_shape(model):
    constant(model, "wide").dims[:] = [864, 2 * WIDTH]


def of_another_type(model):
    constant(model, "wide").data_type = TensorProto.INT32


def called_as_the_samples(model):
    constant(model, "wide").name = SAMPLES


@pytest.mark.parametrize(
    "change",
    [of_another_size, of_another_shape, of_another_type, called_as_the_samples],
)
def test_strange_weights(change, model, tmp_path):
    change(model)
    refused(model.SerializeToString(), tmp_path)


def refused(content, tmp_path):
    path = tmp_path / "c.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"c\.onnx (could not be read|is no)") as error:
        OnnxClassifier(path).predict_proba(NEW)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("length", [LARGE, -100, -1])
def test_a_file_that_ends_too_early(length, model, tmp_path):
    refused(model.SerializeToString()[:length], tmp_path)


@pytest.mark.parametrize("byte", [0, 1, 2, 10, 58, 128, 255])
def test_large_files_of_one_byte(byte, tmp_path):
    refused(bytes([byte]) * (LARGE + 1), tmp_path)
