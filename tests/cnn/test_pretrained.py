"""Networks that start from trained weights."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import KNeighborsClassifier

from skwbc import CNNClassifier, build_compact_cnn, build_residual_cnn
from skwbc.cnn._keras_compat import seeded_build
from skwbc.datasets import make_blood_cells


def build(channels=3, builder=build_compact_cnn, **arguments):
    meta = {"image_shape_": (32, 32, channels), "n_classes_": 2}
    arguments = {"weights": "blood_cells"} | arguments
    return builder(meta, **arguments)


def features(network, images):
    images = images.astype(np.float32) / 255
    images -= images.mean(axis=(1, 2, 3), keepdims=True)
    body = keras.Model(network.input, network.layers[-3].output)
    return np.asarray(body(images))


@pytest.mark.parametrize("builder", [build_compact_cnn, build_residual_cnn])
def test_features_separate_blood_cells(builder):
    """With trained weights they do, and with random weights less."""
    X, y = make_blood_cells(10, image_size=(96, 96), random_state=5)
    X_new, y_new = make_blood_cells(20, image_size=(96, 96), random_state=6)
    scores = []
    for weights in (None, "blood_cells"):
        meta = {"image_shape_": (96, 96, 3), "n_classes_": 3}
        with seeded_build(0):
            network = builder(meta, weights=weights)
        nearest = KNeighborsClassifier(3).fit(features(network, X), y)
        scores.append(nearest.score(features(network, X_new), y_new))
    assert scores[1] > 0.9 > scores[0]


def test_last_layer_is_random():
    first, second = build(), build()
    *body, head, _ = zip(first.get_weights(), second.get_weights(), strict=True)
    for pair in body:
        assert_array_equal(*pair)
    assert not np.allclose(*head)


@pytest.mark.parametrize("builder", [build_compact_cnn, build_residual_cnn])
def test_grey_images_equal_grey_rgb_images(builder):
    grey = np.random.default_rng(0).uniform(size=(3, 32, 32, 1))
    assert_allclose(
        features(build(1, builder), grey),
        features(build(3, builder), np.repeat(grey, 3, axis=3)),
        atol=1e-4,
    )


def test_other_channels_have_a_random_first_convolution():
    first, *_, last = zip(build(5).get_weights(), build(5).get_weights(), strict=True)
    assert not np.allclose(*first)
    assert last[0].shape == (2,)


def test_weights_from_a_file(tmp_path):
    from skwbc.cnn._pretrained import save_pretrained

    network = build(filters=(4, 8), weights=None)
    save_pretrained(network, tmp_path / "w.npz")
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(8, 32, 32, 3)), np.arange(8) % 2
    cnn = CNNClassifier(epochs=1, optimizer="sgd", optimizer__learning_rate=0.0)
    cnn.set_params(model__filters=(4, 8), model__weights=tmp_path / "w.npz").fit(X, y)
    assert_allclose(
        cnn.model_.get_weights()[0], network.get_weights()[0], rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"filters": (4, 8)},
            ValueError,
            r"\(32, 64, 128, 256\) maps.*one has \(4, 8\)",
        ),
        (
            {"builder": build_residual_cnn, "filters": (8, 8), "blocks": (1,)},
            ValueError,
            r"are for another network.*one has \(8, 8, 8, 8\)",
        ),
        (
            {"builder": build_residual_cnn, "filters": (8, 8)},
            ValueError,
            r"filters=\(8, 8\) has 2 numbers and blocks=\(2, 2, 1\) 3; expected one",
        ),
        ({"weights": "imagenet"}, FileNotFoundError, "'imagenet' is neither one of"),
        ({"weights": __file__}, ValueError, "could not be read as weights"),
    ],
)
def test_weights_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        build(**arguments)
