"""Predictions with ONNX files: intact, damaged and invalid ones."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import clone, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.export import OnnxClassifier, to_onnx


@pytest.fixture(scope="module")
def trained(cells):
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    clf = KFoldEnsembleClassifier(member, cv=2)
    return clf.fit(cells.images, cells.target)


@pytest.fixture(scope="module")
def path(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "c.onnx"
    to_onnx(trained, path)
    return path


@pytest.fixture
def clf(path):
    return OnnxClassifier(path)


def test_works_with_scikit_learn(clf, path, cells):
    X, y = cells.images, cells.target
    assert is_classifier(clf)
    check_is_fitted(clf)
    copy = clone(clf.set_params(n_threads=1))
    assert copy.get_params() == {"path": path, "n_threads": 1}
    assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
    accuracy = np.mean(clf.predict(X) == y)
    assert clf.score(X, y) == clf.fit(X, y).score(X, y) == accuracy
    assert get_scorer("neg_log_loss")(clf, X, y) < 0
    assert np.mean(cross_val_score(clf, X, y, cv=4)) == pytest.approx(accuracy)
    voting = VotingClassifier([("a", clf), ("b", copy)], voting="soft").fit(X, y)
    assert np.abs(voting.predict_proba(X) - clf.predict_proba(X)).max() < 1e-7
    log = clf.predict_log_proba(X)
    assert np.abs(np.exp(log) - clf.predict_proba(X)).max() < 1e-12
    weights = np.arange(24.0)
    expected = np.average(clf.predict(X) == y, weights=weights)
    assert clf.score(X, y, weights) == expected
    assert repr(OnnxClassifier("c.onnx", n_threads=2)) == (
        "OnnxClassifier('c.onnx', n_threads=2)"
    )


def test_pickles_are_short_and_find_the_file(clf, cells):
    expected = clf.predict_proba(cells.images)
    content = pickle.dumps(clf)
    assert len(content) < 500
    assert_array_equal(pickle.loads(content).predict_proba(cells.images), expected)


def test_many_images_take_several_passes(clf, cells):
    many = np.concatenate([cells.images] * 4)
    expected = np.concatenate([clf.predict_proba(cells.images)] * 4)
    assert np.abs(clf.predict_proba(many) - expected).max() < 1e-6
    assert clf.predict_proba_members(many).shape == (2, 96, 3)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 24, 24, 4), np.uint8), r"shape \(n_samples, 24, 24, 3\) with"),
        (np.zeros((24, 24, 3), np.uint8), r"got an array of shape \(24, 24, 3\)"),
        (np.zeros((0, 24, 24, 3), np.uint8), "at least one sample"),
        (np.zeros((1, 24, 24, 3)), "of type uint8, on the scale.*of type float64"),
        (np.full((1, 24, 24, 3), 256), "of type uint8.*of type int64"),
        (np.full((1, 24, 24, 3), "a"), "of type uint8.*of type <U1"),
        (7, r"got an array of shape \(\)"),
    ],
)
def test_wrong_samples(clf, X, message):
    with pytest.raises(ValueError, match=message):
        clf.predict(X)


def test_samples_that_are_not_finite(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    rows = KFoldEnsembleClassifier(LogisticRegression(), cv=2).fit(X, y)
    to_onnx(rows, tmp_path / "c.onnx")
    X[1, 1] = np.nan
    with pytest.raises(ValueError, match="NaN, infinity"):
        OnnxClassifier(tmp_path / "c.onnx").predict(X)


def test_wrong_parameters(path, cells, tmp_path):
    for threads in (0, 1.5, "2"):
        with pytest.raises(ValueError, match="n_threads=.*expected a number"):
            OnnxClassifier(path, n_threads=threads).predict(cells.images)
    with pytest.raises(ValueError, match="Invalid parameter 'threads'.*path, n_thr"):
        OnnxClassifier(path).set_params(threads=2)
    with pytest.raises(OSError):
        OnnxClassifier(tmp_path).predict(cells.images)
    with pytest.raises(FileNotFoundError):
        OnnxClassifier(tmp_path / "none.onnx").predict(cells.images)


def changed(path, change):
    """Return a model's bytes after a change to it."""
    model = onnx.load(path)
    change(model)
    # Without its checksum, as files of earlier versions are, and as an attacker who
    # computes one for the changed file could have it.
    kept = [p for p in model.metadata_props if "checksum" not in p.key]
    kept = [p for p in kept if "crc32" not in p.key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model.SerializeToString()


def metadata(name, value):
    def change(model):
        kept = {each.key: each.value for each in model.metadata_props}
        kept[name] = value
        if value is None:
            del kept[name]
        del model.metadata_props[:]
        helper.set_model_props(model, kept)

    return change


def of_another_shape(model):
    for k, size in enumerate((48, 48, 3), start=1):
        model.graph.input[0].type.tensor_type.shape.dim[k].dim_value = size


def of_another_rank(model):
    del model.graph.input[0].type.tensor_type.shape.dim[2:]
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "k"


def renamed(model):
    model.graph.output[0].name = "other"
    (node,) = (n for n in model.graph.node if "probabilities" in n.output)
    node.output[0] = "other"


DAMAGES = {
    "empty": (lambda path: b"", "could not be read as an ONNX model (0 bytes)"),
    "text": (lambda path: b"no model at all", "could not be read as an ONNX model"),
    "pickle": (lambda path: pickle.dumps([1]), "could not be read as an ONNX model"),
    "half": (lambda path: path.read_bytes()[:3000], "could not be read as an ONNX"),
    "no end": (lambda path: path.read_bytes()[:-1], "c.onnx"),
    "other shape": (lambda path: changed(path, of_another_shape), "c.onnx"),
    "other rank": (lambda path: changed(path, of_another_rank), "c.onnx"),
    "other names": (lambda path: changed(path, renamed), "turns samples into other"),
    "no classes": (
        lambda path: changed(path, metadata("classes", None)),
        "it has no class names in its metadata",
    ),
    "too few classes": (
        lambda path: changed(path, metadata("classes", '["a", "b"]')),
        "its class names are not 3 labels",
    ),
    "same classes": (
        lambda path: changed(path, metadata("classes", '["a", "b", "a"]')),
        "its class names are not different labels",
    ),
    "no JSON": (
        lambda path: changed(path, metadata("classes", "['a'")),
        "its metadata are damaged",
    ),
    "nested": (
        lambda path: changed(path, metadata("classes", "[" * 100_000)),
        "its metadata are damaged",
    ),
    "lists": (
        lambda path: changed(path, metadata("classes", "[[1], [2], [3, 4]]")),
        "its class names are not 3 labels",
    ),
    "huge labels": (
        lambda path: changed(path, metadata("classes_dtype", '"<U9999999999"')),
        "labels cannot have the type",
    ),
    "held out": (
        lambda path: changed(path, metadata("held_out_true_proba", "[[1]]")),
        "its held-out probabilities do not match its members",
    ),
    "no format": (
        lambda path: changed(path, metadata("skwbc_format", None)),
        "its metadata do not give the version of the format",
    ),
    "newer format": (
        lambda path: changed(path, metadata("skwbc_format", "2")),
        "has format 2 of skwbc .*; this version reads formats up to 1. Upgrade it",
    ),
}


def test_a_flipped_bit_or_a_lost_end_is_noticed(path, cells, tmp_path):
    content, other = path.read_bytes(), tmp_path / "c.onnx"
    rng = np.random.default_rng(0)
    # The checksum itself is at the end.
    places = [
        *rng.integers(len(content), size=200),
        *range(len(content) - 40, len(content)),
    ]
    damaged = [content[:-k] for k in range(1, 40)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for each in damaged:
        other.write_bytes(each)
        with pytest.raises(ValueError, match="c.onnx"):
            _ = OnnxClassifier(other).classes_


def test_a_file_that_was_saved_again_is_the_same(path, cells, tmp_path):
    onnx.save(onnx.load(path), tmp_path / "c.onnx")
    expected = OnnxClassifier(path).predict_proba(cells.images)
    again = OnnxClassifier(tmp_path / "c.onnx").predict_proba(cells.images)
    assert_array_equal(again, expected)


def loop(model):
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", [a], [b]) for a, b in (("c", "d"), ("x", "y"))],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("c", TensorProto.BOOL, []),
            value("x", TensorProto.DOUBLE, None),
        ],
        [value("d", TensorProto.BOOL, []), value("y", TensorProto.DOUBLE, None)],
    )
    behind(model, "Loop", "trips", "yes", "before", body=body)
    for name, number in (("trips", np.int64(10**12)), ("yes", np.bool_(True))):
        model.graph.initializer.append(numpy_helper.from_array(number, name))


def behind(model, operator, *inputs, output="probabilities", **attributes):
    (node,) = (each for each in model.graph.node if output in each.output)
    node.output[0] = "before"
    model.graph.node.append(helper.make_node(operator, inputs, [output], **attributes))


def nested_functions(model):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("h", 1)]
    for k in range(26):
        name, domain = (f"f{k - 1}", "h") if k else ("Identity", "")
        pairs = ("x", "y"), ("y", "z")
        nodes = [helper.make_node(name, [a], [b], domain=domain) for a, b in pairs]
        model.functions.append(
            helper.make_function("h", f"f{k}", ["x"], ["z"], nodes, opsets)
        )
    model.opset_import.append(opsets[1])
    behind(model, "f25", "before", domain="h")


def many_constants(model):
    number = np.float32(0)
    model.graph.initializer.extend(
        numpy_helper.from_array(number, f"bomb_{k}") for k in range(60_000)
    )


def times(value, output):
    def change(model):
        behind(model, "Mul", "before", "value", output=output)
        constant = numpy_helper.from_array(np.float64(value), "value")
        model.graph.initializer.append(constant)

    return change


HOSTILE = {
    "loop": (loop, "has the operator 'Loop', which no export writes"),
    "functions": (nested_functions, "has the operator 'f25'|defines functions"),
    "constants": (many_constants, "its graph has more than 25,000 parts"),
    "above 1": (times(210, "probabilities"), "not between 0 and 1"),
    "below 0": (times(-1, "probabilities"), "not between 0 and 1"),
    "sum": (times(0.5, "member_probabilities"), "do not add up to 1"),
    "members": (times(np.nan, "member_probabilities"), "NaN|no member"),
    "p-values": (times(np.nan, "typicality"), "p-values that are not between"),
    **{
        f"{key} {value[:20]}": (metadata(key, value), message)
        for key, value, message in [
            ("classes", "null", "its class names are not 3 labels"),
            ("classes", "[null, null, null]", "its class names are not 3 labels"),
            ("classes", "[{}, {}, {}]", "its class names are not 3 labels"),
            ("classes", "[1, 2, NaN]", "its metadata are damaged"),
            ("classes_dtype", '"U99999999"', "labels cannot have the type"),
            ("known_classes", "[[1], [1, 2]]", "its metadata are damaged"),
            ("appearance", "7", "its metadata are damaged"),
            ("reading", '{"channels": 5, "page": null}', "its channels are damaged"),
            ("held_out_true_proba", "[[NaN], [2]]", "its metadata are damaged"),
            ("held_out_true_proba", "[[0.5], [210]]", "held-out probabilities do not"),
            ("n_typicality_samples", "1" + "0" * 400, "its number of training samp"),
        ]
    },
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_in_seconds(case, path, cells, tmp_path, capfd):
    change, message = HOSTILE[case]
    other = tmp_path / "c.onnx"
    other.write_bytes(changed(path, change))
    start = time.monotonic()
    with pytest.raises(ValueError, match=message) as caught:
        OnnxClassifier(other).predict(cells.images)
    assert time.monotonic() - start < 10
    assert "c.onnx" in str(caught.value) or case == "members"
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", DAMAGES)
def test_invalid_files(damage, path, cells, tmp_path, capfd):
    content, message = DAMAGES[damage]
    other = tmp_path / "c.onnx"
    other.write_bytes(content(path))
    message = message.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=message) as caught:
        OnnxClassifier(other).predict(cells.images)
    assert str(other) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_a_model_of_another_package(tmp_path):
    shape = ["n", 2]
    inputs, outputs = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("x", "y")
    )
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "relu", [inputs], [outputs]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    onnx.save(model, tmp_path / "relu.onnx")
    with pytest.raises(ValueError, match="it turns x into y, and not samples into"):
        _ = OnnxClassifier(tmp_path / "relu.onnx").classes_


@pytest.mark.parametrize("place", ["", "sub", "absolute"])
@pytest.mark.parametrize("beside", [False, True])
def test_weights_in_another_file_are_not_read(
    place, beside, path, tmp_path, monkeypatch
):
    """A model could name any file that the user can read."""
    (tmp_path / "here" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    secret = tmp_path / "here" / ("" if place == "absolute" else place) / "secret"
    named = secret if place == "absolute" else secret.relative_to(tmp_path / "here")

    def external(model):
        tensor = next(t for t in model.graph.initializer if t.HasField("raw_data"))
        secret.write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, str(named))
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL

    other = tmp_path / "here" / "c.onnx" if beside else tmp_path / "c.onnx"
    other.write_bytes(changed(path, external))
    with pytest.raises(ValueError, match="could not be read"):
        _ = OnnxClassifier(other).classes_


def test_needs_neither_tensorflow_nor_scikit_learn(path, cells, tmp_path):
    np.save(tmp_path / "x.npy", cells.images)
    code = (
        "import sys, numpy as np; from skwbc.export import OnnxClassifier;"
        f"clf = OnnxClassifier({str(path)!r});"
        "np.save('p.npy', clf.predict_proba(np.load('x.npy')));"
        "clf.predict(np.load('x.npy')); clf.predict_set(np.load('x.npy'));"
        "print(*sys.modules)"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = dict(os.environ)
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env=environment | {"HOME": str(home), "XDG_CACHE_HOME": ""},
    )
    # ONNX Runtime would leave an identifier there, and report to its maker.
    assert list(home.iterdir()) == []
    loaded = set(run.stdout.decode().split())
    assert "onnxruntime" in loaded
    assert not loaded & {"sklearn", "scipy", "keras", "tensorflow", "onnx", "cv2"}
    expected = OnnxClassifier(path).predict_proba(cells.images)
    assert_array_equal(np.load(tmp_path / "p.npy"), expected)


def test_absence_of_the_extra(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"needs onnxruntime.*skwbc\[onnx\]"):
        _ = OnnxClassifier(path).classes_
