"""Damaged ONNX files, damaged metadata and changed graphs."""

import json
import math

import numpy as np
import onnx
import pytest
from damage import FUZZ, damaged
from hypothesis import given, strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import CNNClassifier, ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.export import OnnxClassifier, to_onnx

# Failing inputs are printed in full, however long they are.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
CELLS, LABELS = make_blood_cells(4, image_size=(16, 16), random_state=0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Return a model that uses colours, and one that consists of networks."""
    folder = tmp_path_factory.mktemp("originals")
    colours = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    network = CNNClassifier(epochs=1, model__filters=(2, 2), random_state=0)
    contents = []
    for name, member in {"colours": colours, "network": network}.items():
        clf = KFoldEnsembleClassifier(member, cv=2).fit(CELLS, LABELS)
        to_onnx(clf, folder / name)
        model = onnx.load(folder / name)
        # Without the checksum, which would stop all of them at once.
        kept = [p for p in model.metadata_props if "checksum" not in p.key]
        kept = [p for p in kept if "crc32" not in p.key]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        contents.append(model.SerializeToString())
    return contents


def predict_or_refuse(content, path, within, refused):
    path.write_bytes(content)
    try:
        with within(20):
            clf = OnnxClassifier(path, n_threads=1)
            shape = (3, *clf.image_shape_)
            # A model may take images of any size.
            X = CELLS[:3] if math.prod(shape) > 10**6 else np.zeros(shape, "u1")
            proba = clf.predict_proba(X)
            clf.predict(X)
    except (ValueError, AttributeError) as error:
        refused(error, path)
    else:
        assert proba.shape == (3, len(clf.classes_))


@FUZZ
@given(data=st.data())
def test_bytes(data, originals, tmp_path_factory, within, refused):
    path = tmp_path_factory.mktemp("onnx") / "c.onnx"
    predict_or_refuse(data.draw(damaged(originals)), path, within, refused)


@FUZZ
@given(
    which=st.integers(0, 1),
    name=st.sampled_from(
        [
            *("classes", "classes_dtype", "skwbc_format", "held_out_true_proba"),
            *("known_classes", "n_typicality_samples", "appearance", "training_images"),
        ]
    ),
    value=st.one_of(JSON.map(json.dumps), st.text(max_size=20)),
)
def test_metadata(which, name, value, originals, tmp_path_factory, within, refused):
    model = onnx.load_from_string(originals[which])
    for entry in model.metadata_props:
        if entry.key == name:
            entry.value = value
    path = tmp_path_factory.mktemp("onnx") / "c.onnx"
    predict_or_refuse(model.SerializeToString(), path, within, refused)


@FUZZ
@given(
    which=st.integers(0, 1),
    kind=st.sampled_from(["operator", "input", "drop", "shape", "weights"]),
    places=st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
    dims=st.lists(st.sampled_from([-1, 0, 1, 2, 3, 9, 2**40]), max_size=4),
)
def test_graph(which, kind, places, dims, originals, tmp_path_factory, within, refused):
    model = onnx.load_from_string(originals[which])
    graph = model.graph
    first, second, third = places

    def pick(items, place):
        return items[place % len(items)]

    node = pick(graph.node, first)
    if kind == "operator":
        node.op_type = pick(graph.node, second).op_type
    elif kind == "input" and node.input:
        name = pick(graph.node, second).output[0]
        node.input[third % len(node.input)] = name
    elif kind == "drop":
        graph.node.remove(node)
    elif kind == "shape":
        value = pick([*graph.input, *graph.output], first).type.tensor_type
        for dim, size in zip(value.shape.dim, dims, strict=False):
            dim.dim_value = size
    elif kind == "weights":
        tensor = pick(graph.initializer, first)
        del tensor.dims[:]
        tensor.dims.extend(dims)
    path = tmp_path_factory.mktemp("onnx") / "c.onnx"
    predict_or_refuse(model.SerializeToString(), path, within, refused)
