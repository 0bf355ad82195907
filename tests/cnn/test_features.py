"""Frozen networks describe images; they are held once, and run once per image."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import joblib
import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils import estimator_checks

from skwbc import (
    NetworkFeatures,
    build_compact_cnn,
    build_residual_cnn,
    load_model,
    make_cell_classifier,
    save_model,
)
from skwbc.cnn import _frozen

TOLERANCE = 1e-5


def small(end="maps", side=None, channels=3):
    """Build a network with four maps and random weights."""
    x = inputs = layers.Input((side, side, channels))
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    if end == "rows":
        x = layers.GlobalAveragePooling2D()(x)
    elif end == "tokens":
        x = layers.Reshape((-1, 4))(x)
    return keras.Model(inputs, x)


def build_rows_from_rows():
    inputs = layers.Input((5,))
    return keras.Model(inputs, layers.Dense(2)(inputs))


def small_with_meta(meta):
    return small(channels=meta["image_shape_"][2])


def halved(images):
    return images / 2


def write_onnx(path, *, first=True, batch="n", side="s", end="maps", weights=None):
    """Write a network with four maps of a convolution, as PyTorch would."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    if weights is None:
        weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    kernel = onnx.numpy_helper.from_array(weights.astype(np.float32), "kernel")
    nodes, name = [], "images"
    if not first:
        nodes.append(helper.make_node("Transpose", [name], ["t"], perm=[0, 3, 1, 2]))
        name = "t"
    nodes.append(helper.make_node("Conv", [name, "kernel"], ["c"], strides=[2, 2]))
    nodes.append(helper.make_node("Relu", ["c"], ["maps"]))
    out, shape = "maps", [batch, 4, "a", "b"]
    if end == "tokens":
        shape_of = onnx.numpy_helper.from_array(np.array([0, 4, -1]), "shape")
        nodes.append(helper.make_node("Reshape", ["maps", "shape"], ["r"]))
        nodes.append(helper.make_node("Transpose", ["r"], ["tokens"], perm=[0, 2, 1]))
        out, shape = "tokens", [batch, "t", 4]
    elif not first:
        nodes.append(helper.make_node("Transpose", ["maps"], ["x"], perm=[0, 2, 3, 1]))
        out, shape = "x", [batch, "a", "b", 4]
    float32 = onnx.TensorProto.FLOAT
    sides = [batch, 3, side, side] if first else [batch, side, side, 3]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("images", float32, sides)],
        [helper.make_tensor_value_info(out, float32, shape)],
        [kernel] + ([shape_of] if end == "tokens" else []),
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_conventions(check):
    check("NetworkFeatures", NetworkFeatures())


def test_it_sees_what_the_pretrained_network_sees(cells):
    """The maps are those of the network that recipes begin with, over eight views."""
    X = np.stack([cv2.resize(image, (100, 100)) for image in cells.images[:5]])
    images = X.astype(np.float32) / 255
    images -= images.mean(axis=(1, 2, 3), keepdims=True)
    views = [
        np.rot90(each, k, axes=(1, 2))
        for each in (images, images[:, :, ::-1])
        for k in range(4)
    ]
    expected = []
    for builder in (build_compact_cnn, build_residual_cnn):
        meta = {"image_shape_": (100, 100, 3), "n_classes_": 3}
        network = builder(meta, weights="blood_cells")
        pooled = keras.Model(network.inputs[0], network.layers[-3].output)
        rows = [pooled(view.copy()).numpy() for view in views]
        expected.append(np.mean(rows, axis=0))
    expected = np.hstack(expected)
    features = NetworkFeatures(views="dihedral").fit(X)
    F = features.transform(X)
    assert F.dtype == np.float32
    assert_allclose(F, expected, atol=TOLERANCE)
    # The cell may be turned and mirrored.
    assert_allclose(features.transform(X[:, ::-1]), expected, atol=TOLERANCE)
    one = NetworkFeatures(views=None).fit_transform(X)
    assert_allclose(one[:, -128:], pooled(images).numpy(), atol=TOLERANCE)
    names = features.get_feature_names_out()
    assert len(names) == 384
    assert names[0] == "networkfeatures0"


@pytest.mark.parametrize(
    ("change", "dtype"), [(257, np.uint16), (1 / 255, np.float32), (1.0, np.float64)]
)
def test_types_of_images(cells, change, dtype):
    X = cells.images[:4].copy()
    X[0, 0, 0] = 255
    other = (X * np.float64(change)).astype(dtype)
    expected = NetworkFeatures().fit_transform(X)
    features = NetworkFeatures().fit(other)
    assert_allclose(features.transform(other), expected, atol=1e-4)


def test_grey_images(cells):
    grey = cells.images[:4, ..., :1]
    expected = NetworkFeatures().fit_transform(np.repeat(grey, 3, axis=-1))
    assert_allclose(NetworkFeatures().fit_transform(grey), expected, atol=TOLERANCE)


def test_each_of_other_channels_is_seen_by_itself(cells):
    X = cells.images[:4][..., [0, 1, 2, 0]]
    F = NetworkFeatures().fit_transform(X)
    assert F.shape == (4, 4 * 384)
    second = NetworkFeatures().fit_transform(X[..., [1]])
    assert_allclose(F[:, 384 : 2 * 384], second, atol=TOLERANCE)
    with pytest.raises(ValueError, match="with 5 channels, but X has 4"):
        NetworkFeatures(small(channels=5)).fit(X)


@pytest.mark.parametrize("end", ["maps", "tokens", "rows"])
def test_any_keras_network(cells, end):
    X = cells.images[:4]
    network = small(end)
    maps = network(X.astype(np.float32)).numpy()
    expected = maps if end == "rows" else maps.reshape(4, -1, 4).mean(axis=1)
    features = NetworkFeatures(network, views=None).fit(X)
    assert_allclose(features.transform(X), expected, rtol=1e-4)
    assert features.network is network
    # Training it later changes nothing.
    network.set_weights([2 * each for each in network.get_weights()])
    assert_allclose(features.transform(X + 0), expected, rtol=1e-4)
    half = NetworkFeatures(network, views=None, preprocessing=halved)
    assert_allclose(half.fit_transform(X), expected, rtol=1e-4)


@pytest.mark.parametrize("build", [partial(small, "rows"), small_with_meta])
def test_functions_and_their_import_paths(cells, build):
    features = NetworkFeatures(build)
    F = features.fit_transform(cells.images)
    assert F.shape == (24, 4)
    # Random weights are equal in all folds.
    assert_array_equal(clone(features).fit_transform(cells.images), F)
    path = NetworkFeatures(f"{__name__}:small").fit_transform(cells.images)
    assert path.shape == (24, 4)


def test_sizes(cells):
    X = cells.images[:3]
    fixed = NetworkFeatures(partial(small, side=16)).fit(X)
    resized = NetworkFeatures(partial(small), image_size=16).fit(X)
    assert_allclose(fixed.transform(X), resized.transform(X), rtol=1e-4)
    flat = np.full_like(X, 77)
    unchanged = NetworkFeatures(small).fit(X).transform(flat)
    assert_allclose(resized.transform(flat), unchanged, rtol=1e-4)
    NetworkFeatures(image_size=(30, 20)).fit_transform(X)
    with pytest.raises(ValueError, match="the network takes images of 16 x 16"):
        NetworkFeatures(partial(small, side=16), image_size=(16, 20)).fit(X)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"batch": 3}, {"side": 16}, {"end": "tokens"}], ids=str
)
def test_onnx_files(cells, tmp_path, first, options):
    pytest.importorskip("onnxruntime")
    X = cells.images[:5]
    weights = np.random.default_rng(1).normal(size=(4, 3, 3, 3))
    path = write_onnx(tmp_path / "e.onnx", first=first, weights=weights, **options)
    twin = small(side=options.get("side"))
    twin.set_weights([weights.transpose(2, 3, 1, 0), np.zeros(4)])
    expected = NetworkFeatures(twin).fit_transform(X)
    features = NetworkFeatures(path).fit(X)
    assert_allclose(features.transform(X), expected, rtol=1e-4)
    # The file is needed by fit only.
    path.unlink()
    again = pickle.loads(pickle.dumps(features))
    assert_allclose(again.transform(X + 0), expected, rtol=1e-4)


def test_onnx_without_the_extra(cells, tmp_path, monkeypatch):
    path = write_onnx(tmp_path / "e.onnx", weights=np.ones((4, 3, 3, 3)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"skwbc\[onnx\]"):
        NetworkFeatures(path).fit(cells.images)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"network": "imagenet"}, ValueError, "expected one of .'blood_cells'."),
        ({"network": "nowhere:build"}, ValueError, "network='nowhere:build'"),
        ({"network": "missing.onnx"}, FileNotFoundError, "there is no such file"),
        ({"network": lambda: 1}, TypeError, "it returned int"),
        ({"network": 3}, ValueError, "The 'network' parameter"),
        ({"views": "all"}, ValueError, "The 'views' parameter"),
        ({"image_size": (3, 0)}, ValueError, "expected a positive integer, or a pair"),
        ({"image_size": (3, 4, 5)}, ValueError, "expected a positive integer"),
        ({"preprocessing": np.mean}, ValueError, "preprocessing must return images"),
        (
            {"network": build_rows_from_rows},
            ValueError,
            "one input, a batch of images",
        ),
    ],
)
def test_wrong_parameters(cells, params, error, message):
    with pytest.raises(error, match=message):
        NetworkFeatures(**params).fit(cells.images)


def test_files_that_are_not_encoders(cells, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "e.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ValueError, match="is no ONNX network for images"):
        NetworkFeatures(path).fit(cells.images)


def test_nan_is_refused(X):
    features = NetworkFeatures().fit(X)
    X = X.copy()
    X[3, 0, 0, 0] = np.nan
    for method in (features.transform, NetworkFeatures().fit):
        with pytest.raises(ValueError, match="NaN or infinity .* at position 3"):
            method(X)


def test_lazy_images_and_threads(cells, tmp_path):
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=cells.images.shape)
    mapped[:] = cells.images
    features = NetworkFeatures(small, views="rotations").fit(mapped)
    expected = features.transform(cells.images)
    assert_array_equal(features.transform(mapped), expected)
    with ThreadPoolExecutor(2) as pool:
        for F in pool.map(features.transform, [cells.images] * 2):
            assert_array_equal(F, expected)


def test_copies_hold_the_same_network(cells):
    network = small()
    network.compile("adam", "mse")
    features = NetworkFeatures(network).fit(cells.images)
    expected = features.transform(cells.images)
    for twin in (copy.deepcopy(features), pickle.loads(pickle.dumps(features))):
        assert twin._encoder is features._encoder
        assert_array_equal(twin.transform(cells.images), expected)
    assert clone(features).network is network
    content = pickle.dumps(features)
    assert b"adam" not in content.lower()
    assert content.count(network.get_weights()[0].tobytes()) == 1


@pytest.fixture(scope="module")
def fitted(cells):
    clf = make_cell_classifier("features", cv=3, random_state=0)
    return clf.fit(cells.images, cells.target)


def test_a_file_has_the_network_once(fitted, cells, tmp_path, monkeypatch):
    network = fitted.estimators_[0][0].transformer_list[0][1]._encoder.network
    of_network = sum(each.nbytes for each in network.get_weights())
    save_model(fitted, tmp_path / "m.joblib")
    assert (tmp_path / "m.joblib").stat().st_size < 1.5 * of_network
    # As members come back from workers, where each was fitted by itself.
    alone = [pickle.dumps(member) for member in fitted.estimators_]
    monkeypatch.setattr(_frozen, "_encoders", {})
    joblib.dump([pickle.loads(each) for each in alone], tmp_path / "p.joblib")
    assert (tmp_path / "p.joblib").stat().st_size < 1.5 * of_network
    np.save(tmp_path / "X.npy", cells.images)
    code = (
        "import joblib, numpy as np; m = joblib.load('m.joblib');"
        "np.save('p.npy', m.predict_proba(np.load('X.npy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    expected = fitted.predict_proba(cells.images)
    assert_allclose(np.load(tmp_path / "p.npy"), expected, atol=TOLERANCE)
    again = load_model(tmp_path / "m.joblib")
    assert_allclose(again.typicality(cells.images), fitted.typicality(cells.images))


def test_an_image_passes_the_network_once(cells, monkeypatch):
    """In all folds of a fit, and for all members in a prediction."""
    n_images = 0
    run = _frozen.KerasEncoder.run

    def spy(self, images):
        nonlocal n_images
        n_images += len(images)
        return run(self, images)

    monkeypatch.setattr(_frozen.KerasEncoder, "run", spy)
    X = cells.images ^ 1  # not in the cache
    clf = make_cell_classifier("features", random_state=0).fit(X, cells.target)
    # Each fit tries the network on an empty image.
    assert n_images == 4 * (len(X) + 5)
    n_images = 0
    clf.predict_proba(X ^ 2)
    assert n_images == 4 * len(X)


def test_cloudpickle(cells):
    """Dask pickles by it; it copies what it cannot find at its address."""
    cloudpickle = pytest.importorskip("cloudpickle", reason="needs the extra dask")
    features = NetworkFeatures(small()).fit(cells.images)
    content = cloudpickle.dumps(features)
    assert b"Encoder.shared" not in content
    assert_array_equal(
        pickle.loads(content).transform(cells.images), features.transform(cells.images)
    )
