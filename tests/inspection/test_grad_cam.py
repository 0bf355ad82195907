"""Class activation maps of networks whose correct maps are known."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    CNNClassifier,
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    NetworkFeatures,
    SoftVotingClassifier,
    build_article_cnn,
    build_compact_cnn,
)
from skwbc.cnn._grad_cam import class_activation_maps
from skwbc.inspection import grad_cam, plot_grad_cam

# Centre of the blob in each image.
PLACES = [(4, 4), (4, 19), (19, 11), (12, 12)]


@pytest.fixture(scope="module")
def blobs():
    """Black images with a red or green blob, and the names of the colours."""
    colours = ["red", "green", "red", "green"]
    X = np.zeros((4, 24, 24, 3), np.uint8)
    for image, (row, column), colour in zip(X, PLACES, colours, strict=True):
        channel = ["red", "green"].index(colour)
        image[row - 2 : row + 3, column - 2 : column + 3, channel] = 255
    return X, np.array(colours)


def spotter(meta, end="softmax"):
    """Build a network that compares the amounts of red and green in an image."""
    n_outputs = 1 if end == "sigmoid" else meta["n_classes_"]
    x = inputs = layers.Input(meta["image_shape_"])
    body = [
        layers.Conv2D(2, 1, use_bias=False, activation="relu"),
        layers.MaxPooling2D(2),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Flatten(),
    ]
    if end == "nested":
        # The rescaling also outputs feature maps, but they are not learnt.
        inside = keras.Sequential([layers.Input(meta["image_shape_"]), *body])
        body = [layers.Rescaling(1.0), keras.Sequential([inside])]
        end = "softmax"
    for layer in body:
        x = layer(x)
    if end == "separate":
        x = layers.Softmax()(layers.Dense(n_outputs)(x))
    elif end == "unknown":
        x = layers.Dense(n_outputs, activation="softmax")(x)
        x = layers.Rescaling(1.0)(x)
    else:
        x = layers.Dense(n_outputs, activation=end)(x)
    return keras.Model(inputs, x)


def fitted(X, y, gain=50.0, end="softmax", **parameters):
    """Return a classifier with weights set by hand, more confident for a high gain."""
    loss = f"{'binary' if end == 'sigmoid' else 'categorical'}_crossentropy"
    cnn = CNNClassifier(
        spotter, epochs=1, loss=loss, model__end=end, random_state=0, **parameters
    ).fit(X, y)
    assert cnn.classes_.tolist() == ["green", "red"]
    by_class = [[1], [-1]] if end == "sigmoid" else [[0, 1], [1, 0]]
    reds_and_greens = np.eye(3, 2)[np.newaxis, np.newaxis]
    cnn.model_.set_weights(
        [reds_and_greens, gain * np.array(by_class), np.zeros(len(by_class[0]))]
    )
    return cnn


def peak(each):
    """Return the centre of the pixels above 0.9 times the maximum."""
    return np.argwhere(each >= 0.9 * each.max()).mean(axis=0)


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "separate", "unknown", "nested"])
def test_the_blob_decides(blobs, end):
    X, y = blobs
    # With a gain of 50 the softmax is exactly 1, and its gradient is 0.
    gain = 1.0 if end == "unknown" else 50.0
    cnn = fitted(X, y, gain=gain, end=end)
    assert cnn.predict(X).tolist() == y.tolist()
    maps = grad_cam(cnn, X)
    assert maps.shape == (4, 24, 24)
    assert maps.dtype == np.float32
    if end == "nested":
        np.testing.assert_allclose(maps, grad_cam(fitted(X, y), X), atol=1e-5)
    for each, place in zip(maps, PLACES, strict=True):
        assert each.max() == 1
        np.testing.assert_allclose(peak(each), place, atol=1)
        far = np.hypot(*(np.indices((24, 24)) - np.reshape(place, (2, 1, 1)))) > 6
        assert (each[far] == 0).all()
    # A red blob does not support green.
    other = np.where(y == "red", "green", "red")
    assert (grad_cam(cnn, X, target=other) == 0).all()
    one = grad_cam(cnn, X, target="red")
    np.testing.assert_array_equal(one[y == "red"], maps[y == "red"])
    assert (one[y == "green"] == 0).all()


def dense(meta):
    return keras.Sequential(
        [layers.Input(meta["image_shape_"]), layers.Rescaling(1.0), layers.Flatten(),
         layers.Dense(meta["n_classes_"], activation="softmax")]
    )  # fmt: skip


def nested(meta):
    """Build a network with a nested network and a skip connection."""
    inputs = layers.Input(meta["image_shape_"])
    inside = keras.Sequential([layers.Conv2D(4, 3, activation="relu")])
    x = layers.GlobalAveragePooling2D()(inside(inputs))
    x = layers.Concatenate()([x, layers.GlobalAveragePooling2D()(inputs)])
    return keras.Model(inputs, layers.Dense(meta["n_classes_"], "softmax")(x))


@pytest.mark.parametrize("model", [build_article_cnn, build_compact_cnn, nested])
def test_every_architecture(X, y, model):
    X, y = X[::4], y[::4]
    cnn = CNNClassifier(model, epochs=1, test_time_augmentation="dihedral",
                        random_state=0).fit(X, y)  # fmt: skip
    before = cnn.predict_proba(X)
    maps = grad_cam(cnn, X, target=y)
    assert maps.shape == X.shape[:3]
    assert maps.min() >= 0
    assert maps.max() == 1
    # With all views, rotating and flipping an image does the same to its map.
    turned = grad_cam(cnn, np.rot90(X, axes=(1, 2))[:, :, ::-1], target=y)
    np.testing.assert_allclose(
        turned, np.rot90(maps, axes=(1, 2))[:, :, ::-1], atol=1e-3
    )
    # The maps do not depend on the sizes of batches.
    many = grad_cam(cnn, np.concatenate([X] * 3), target=np.tile(y, 3))
    np.testing.assert_allclose(many[-1], grad_cam(cnn, X[-1:], target=y[-1])[0],
                               atol=1e-4)  # fmt: skip
    np.testing.assert_array_equal(cnn.predict_proba(X), before)


def test_maps_of_averaged_features(X, y):
    """Feature maps are weighted by the mean gradients of the softmax's input."""
    cnn = CNNClassifier(model__filters=(4, 6), epochs=1, random_state=0).fit(X, y)
    network = cnn.model_
    *_, last_maps, pooling, _, end = network.layers
    features = keras.Model(network.inputs, last_maps.output)([X], training=False)
    kernel, _ = end.get_weights()
    code = cnn.classes_.tolist().index("monocyte")
    # The gradient of a mean is the same for each pixel, and the last layer is linear.
    expected = np.maximum(np.asarray(features) @ kernel[:, code], 0)
    maps = class_activation_maps(network, X, np.full(len(X), code), expected.shape[1:])
    assert isinstance(pooling, layers.GlobalAveragePooling2D)
    area = np.prod(expected.shape[1:])
    np.testing.assert_allclose(maps * area, expected, rtol=1e-3, atol=1e-5)


def test_average_over_members(blobs):
    X, y = blobs
    augmenter = ImageAugmenter(rescale=1 / 255)
    network = CNNClassifier(spotter, epochs=1, random_state=0)
    vote = SoftVotingClassifier(
        [
            ("colours", make_pipeline(FlattenImages(), LogisticRegression())),
            ("network", make_pipeline(augmenter, network)),
        ]
    )
    ensemble = KFoldEnsembleClassifier(vote, cv=2, random_state=0).fit(X, y)
    assert grad_cam(ensemble, X).max() <= 1
    # One member uses both colours, the other only red.
    sees_all, sees_red = fitted(X / 255, y), fitted(X / 255, y)
    weights = sees_red.model_.get_weights()
    weights[1] = np.array([[-50, 50], [0, 0]])
    sees_red.model_.set_weights(weights)
    for member, net in zip(ensemble.estimators_, (sees_all, sees_red), strict=True):
        member.estimators_[1].steps[-1] = ("cnn", net)
    maps = grad_cam(ensemble, X, target=y)
    np.testing.assert_array_equal(maps, grad_cam(sees_all, X / 255, target=y))
    np.testing.assert_array_equal(
        grad_cam(ensemble.estimators_[1], X, target=y)[y == "green"], 0
    )
    # A member that was not trained on a class does not explain it.
    sees_red.classes_ = np.array(["blue", "red"])
    np.testing.assert_array_equal(grad_cam(ensemble, X, target=y), maps)


def test_networks_of_one_kind_share_no_weights_and_are_not_kept(X, y):
    networks = [
        CNNClassifier(model__filters=(4, 6), epochs=1, random_state=k).fit(X, y)
        for k in range(3)
    ]
    maps = [grad_cam(cnn, X, target="monocyte") for cnn in networks]
    assert np.abs(maps[1] - maps[2]).max() > 0.01
    np.testing.assert_array_equal(grad_cam(networks[1], X, target="monocyte"), maps[1])
    references = [weakref.ref(cnn.model_) for cnn in networks]
    del networks
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_errors(X, y, blobs):
    cnn = fitted(*blobs)
    with pytest.raises(ValueError, match=r"\['blue'\]"):
        grad_cam(cnn, blobs[0], target="blue")
    with pytest.raises(ValueError, match=r"shape \(3,\), but there are 4 images"):
        grad_cam(cnn, blobs[0], target=["red"] * 3)
    with pytest.raises(ValueError, match="fitted on images of shape"):
        grad_cam(cnn, blobs[0][:, 1:], target="red")
    with pytest.raises(ValueError, match="expected images of shape"):
        grad_cam(cnn, blobs[0][0])
    without = KFoldEnsembleClassifier(DummyClassifier(), cv=2).fit(X, y)
    with pytest.raises(ValueError, match="KFoldEnsembleClassifier contains none"):
        grad_cam(without, X)
    flat = CNNClassifier(dense, epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="maps of more than one pixel.*Dense"):
        grad_cam(flat, X)


def test_plot(blobs):
    X, y = blobs
    figure = plot_grad_cam(fitted(X, y), X, y_true=["red"] * 4, columns=3, cmap="hot")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == [
        "red (right)",
        "for red",
        "red,\npredicted green",
        "for green",
    ]
    assert figure.axes[0].title.get_color() != figure.axes[2].title.get_color()
    assert figure.axes[-1].get_ylabel() == "support for the class"
    covered = figure.axes[1].images
    np.testing.assert_allclose(covered[1].get_array(), grad_cam(fitted(X, y), X)[0])
    assert covered[1].get_cmap().name == "hot"
    # Notebooks show the figure although pyplot does not manage it.
    assert figure._repr_html_().startswith("<img")


@pytest.mark.parametrize(("side", "n_outlines"), [(24, 1), (8, 0)])
def test_outlines_are_closed_and_left_out_for_coarse_maps(side, n_outlines):
    """The maps have half as many pixels a side as the images."""
    X = np.zeros((2, side, side, 3), np.uint8)
    # Blobs in a corner.
    X[0, : side // 4, : side // 4, 0] = X[1, -side // 4 :, -side // 4 :, 1] = 255
    y = np.array(["red", "green"])
    figure = plot_grad_cam(fitted(X, y), X, columns=1)
    for axes in (figure.axes[1], figure.axes[3]):
        outlines = [
            part
            for contour in axes.collections
            for path in contour.get_paths()
            for part in path.to_polygons(closed_only=False)
        ]
        assert len(outlines) == n_outlines
        for part in outlines:
            np.testing.assert_array_equal(part[0], part[-1])


@pytest.mark.parametrize("views", [None, "dihedral"])
def test_frozen_network_and_linear_classifiers(blobs, views):
    """The maps show the blobs, wherever the network's columns are in a union."""
    X, y = blobs
    x = inputs = layers.Input((24, 24, 3))
    x = layers.Conv2D(2, 1, use_bias=False, activation="relu")(x)
    frozen = keras.Model(inputs, layers.MaxPooling2D(2)(x))
    frozen.set_weights([np.eye(3)[:, :2].reshape(1, 1, 3, 2)])
    union = FeatureUnion(
        [("colours", ColourStatistics()), ("n", NetworkFeatures(frozen, views=views))]
    )
    vote = SoftVotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())])
    for last in (LogisticRegression(), vote):
        member = make_pipeline(union, StandardScaler(), last).fit(X, y)
        maps = grad_cam(member, X)
        for image_map, (row, column) in zip(maps, PLACES, strict=True):
            inside = image_map[row - 2 : row + 3, column - 2 : column + 3]
            assert inside.mean() > 0.5
            assert image_map.sum() < 2 * inside.sum()
    member = make_pipeline(union, GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="pipeline of NetworkFeatures"):
        grad_cam(member, X)
