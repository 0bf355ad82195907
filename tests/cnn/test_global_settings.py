"""Global settings of Keras are refused by name, or make no difference."""

import pickle

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skwbc import CNNClassifier, KFoldEnsembleClassifier, build_compact_cnn
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.inspection import grad_cam

SETTINGS = {
    "floatx": ["float64", "float16"],
    "dtype_policy": ["mixed_bfloat16", "float64"],
    "image_data_format": ["channels_first"],
    "epsilon": [1e-3],
}
CASES = [(name, value) for name, values in SETTINGS.items() for value in values]


@pytest.fixture
def change():
    """Return a function that changes a setting of Keras until the test has ended."""
    before = {name: getattr(keras.config, name)() for name in SETTINGS}
    yield lambda name, value: getattr(keras.config, f"set_{name}")(value)
    for name, value in before.items():
        getattr(keras.config, f"set_{name}")(value)


@pytest.fixture(scope="module")
def ensemble(X, y):
    return KFoldEnsembleClassifier(tiny(), cv=2, random_state=0).fit(X, y)


def tiny(model=build_compact_cnn, **params):
    if model is build_compact_cnn:
        params["model__filters"] = (4,)
    return CNNClassifier(model, epochs=1, random_state=0, **params)


def normalising(meta, dtype=None, data_format=None):
    normalise, flatten = keras.layers.Normalization(), keras.layers.Flatten(data_format)
    normalise.adapt(np.zeros((2, *meta["image_shape_"])))
    convolution = keras.layers.Conv2D(4, 3, dtype=dtype, data_format=data_format)
    head = keras.layers.Dense(3, activation="softmax", dtype="float32")
    images = keras.Input(meta["image_shape_"])
    return keras.Sequential([images, normalise, convolution, flatten, head])


@pytest.mark.parametrize(("name", "value"), CASES)
def test_fit(X, y, name, value, change):
    expected = tiny().fit(X, y).predict_proba(X)
    change(name, value)
    if name == "image_data_format":
        assert_array_equal(tiny().fit(X, y).predict_proba(X), expected)
    else:
        cnn = tiny()
        message = rf"keras.config.{name}\(\) is {value!r}.*config.set_{name}\("
        with pytest.raises(ValueError, match=message):
            cnn.fit(X, y)
        assert not hasattr(cnn, "classes_")


@pytest.mark.parametrize(("name", "value"), CASES)
def test_predict(X, ensemble, name, value, change, tmp_path):
    expected, maps = ensemble.predict_proba(X), grad_cam(ensemble, X[:2])
    pickled = pickle.dumps(ensemble)
    change(name, value)
    if name == "epsilon":
        for predict in (
            ensemble.predict,
            lambda X: grad_cam(ensemble, X, target="monocyte"),
        ):
            with pytest.raises(ValueError, match=r"keras.config.epsilon\(\) is 0.001"):
                predict(X)
        return
    loaded = pickle.loads(pickled)
    for each in ensemble, loaded:
        assert_array_equal(each.predict_proba(X), expected)
        assert_array_equal(grad_cam(each, X[:2]), maps)
    to_onnx(loaded, tmp_path / "model.onnx", input_dtype="float32")
    proba = OnnxClassifier(tmp_path / "model.onnx").predict_proba(X)
    assert_allclose(proba, expected, atol=1e-6)


def test_layers_with_channels_first(X, y, change):
    change("image_data_format", "channels_first")
    with pytest.raises(ValueError, match=r"image_data_format\(\) is 'channels_first'"):
        tiny(normalising).fit(X, y)
    cnn = tiny(normalising, model__data_format="channels_last").fit(X, y)
    first = cnn.predict_proba(X)
    keras.config.set_image_data_format("channels_last")
    assert_array_equal(tiny(normalising).fit(X, y).predict_proba(X), first)


def test_layers_with_a_precision_of_their_own(X, y):
    cnn = tiny(normalising, model__dtype="mixed_bfloat16").fit(X, y)
    assert cnn.model_.layers[1].compute_dtype == "bfloat16"
    assert_allclose(cnn.predict_proba(X).sum(axis=1), 1)
