"""ONNX files predict like the ensembles that they were made from."""

import sys
import tempfile

import keras
import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skwbc import (
    CNNClassifier,
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    NetworkFeatures,
    SoftVotingClassifier,
    make_cell_classifier,
)
from skwbc.datasets import make_blood_cells
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.recipes import BalancedDiscriminant

TOLERANCE = 1e-5


def cnn(**params):
    return CNNClassifier(
        model__filters=(4, 8), epochs=2, batch_size=8, random_state=0, **params
    )


def ensemble(*steps, cv=2):
    return KFoldEnsembleClassifier(make_pipeline(*steps), cv=cv, random_state=0)


def linear():
    return LogisticRegression(max_iter=5000)


def compare(fitted, X, path, **options):
    """Export a fitted ensemble, and compare predictions on other samples."""
    to_onnx(fitted, path, **options)
    loaded = OnnxClassifier(path)
    assert_array_equal(loaded.classes_, fitted.classes_)
    assert loaded.classes_.dtype == fitted.classes_.dtype
    expected, proba = (each.predict_proba_members(X) for each in (fitted, loaded))
    assert_array_equal(np.isnan(proba), np.isnan(expected))
    assert np.nanmax(np.abs(proba - expected)) <= TOLERANCE
    assert np.abs(loaded.predict_proba(X) - fitted.predict_proba(X)).max() <= TOLERANCE
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    return loaded


@pytest.fixture(scope="module")
def new(cells):
    """Return cells of the same size that are not training data."""
    return make_blood_cells(5, image_size=(24, 24), random_state=9)[0]


@pytest.mark.parametrize("recipe", ["compact", "article"])
def test_recipes(recipe, cells, new, tmp_path):
    clf = make_cell_classifier(recipe, cv=2, epochs=1, random_state=0)
    loaded = compare(clf.fit(cells.images, cells.target), new, tmp_path / "c.onnx")
    assert loaded.image_shape_ == (24, 24, 3)
    assert loaded.n_members_ == 2
    assert_array_equal(loaded.predict_set(new), clf.predict_set(new))
    few = [loaded.predict_proba(new[k : k + 1]) for k in range(3)]
    assert np.abs(np.concatenate(few) - loaded.predict_proba(new[:3])).max() < 1e-6


@pytest.mark.filterwarnings("ignore:.* unlike the training samples:UserWarning")
def test_images_of_one_colour(cells, tmp_path):
    """Include divisions by zero, undefined hues and hues on a boundary."""
    clf = ensemble(ColourStatistics(radius=None), StandardScaler(), linear())
    plain = np.zeros((9, 24, 24, 3), np.uint8)
    colours = [0, 0, 0], [255, 255, 255], [9, 9, 9], [0, 255, 255], [3, 77, 77]
    more = [255, 0, 0], [0, 0, 1], [255, 254, 255], [1, 200, 199]
    plain[:] = np.array([*colours, *more])[:, np.newaxis, np.newaxis]
    compare(clf.fit(cells.images, cells.target), plain, tmp_path / "c.onnx")


@pytest.mark.parametrize(
    "options",
    [
        {"featurewise_center": True, "featurewise_std_normalization": True},
        {"samplewise_center": True, "samplewise_std_normalization": True},
        {"rescale": 1 / 255, "featurewise_center": True, "zca_whitening": True},
    ],
)
def test_standardisations(options, cells, new, tmp_path):
    small, other = cells.images[:, 8:16, 8:16], new[:, 8:16, 8:16]
    clf = ensemble(ImageAugmenter(**options), FlattenImages(), linear())
    compare(clf.fit(small, cells.target), other, tmp_path / "c.onnx")


@pytest.mark.parametrize(
    ("views", "top"), [("rotations", 4), ("dihedral", 4), ("dihedral", 0)]
)
def test_views_in_two_classes(cells, new, tmp_path, views, top):
    """The network has one output; images that are not square have half the views."""

    def build(meta):
        layers = [
            keras.layers.Input(meta["image_shape_"]),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
        return keras.Sequential(layers)

    network = CNNClassifier(
        build,
        loss="binary_crossentropy",
        epochs=1,
        test_time_augmentation=views,
        random_state=0,
    )
    clf = ensemble(ImageAugmenter(rescale=1 / 255, rotation_range=9), network)
    clf.fit(cells.images[:, top:], np.arange(24) % 2)
    compare(clf, new[:, top:], tmp_path / "c.onnx")


def test_outputs_that_are_all_zero(cells, new, tmp_path):
    def build(meta):
        shape, sure = keras.layers.Input(meta["image_shape_"]), "zeros"
        no = keras.initializers.Constant(-999.0)
        head = keras.layers.Dense(3, "sigmoid", True, sure, no)
        return keras.Sequential([shape, keras.layers.Flatten(), head])

    network = CNNClassifier(build, epochs=1, loss="mse", random_state=0)
    clf = ensemble(network).fit(cells.images, cells.target)
    assert (clf.predict_proba(new) == 1 / 3).all()
    compare(clf, new, tmp_path / "c.onnx")


def test_networks_that_prepare_images_themselves(cells, new, tmp_path):
    """They learn the scale, and augment images during training only."""

    def build(meta):
        normalise = keras.layers.Normalization()
        normalise.adapt(cells.images.astype("float32"))
        inside = [
            normalise,
            keras.layers.RandomFlip(),
            keras.layers.RandomContrast(0.9),
        ]
        return keras.Sequential(
            [
                keras.layers.Input(meta["image_shape_"]),
                keras.Sequential(inside),
                keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 2, 3]),
                keras.layers.RandomRotation(0.5),
                keras.layers.Flatten(),
                keras.layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )

    clf = ensemble(CNNClassifier(build, epochs=1, random_state=0))
    compare(clf.fit(cells.images, cells.target), new, tmp_path / "c.onnx")


def test_grey_images(cells, new, tmp_path):
    grey = cells.images[..., 1:2]
    voters = [
        ("network", make_pipeline(ImageAugmenter(rescale=1 / 255), cnn())),
        ("greys", make_pipeline(ColourStatistics(), StandardScaler(), linear())),
    ]
    clf = KFoldEnsembleClassifier(SoftVotingClassifier(voters, weights=[1, 3]), cv=2)
    compare(clf.fit(grey, cells.target), new[..., 1:2], tmp_path / "c.onnx")


def test_a_class_that_a_member_was_not_trained_on(cells, new, tmp_path):
    rows = np.arange(24)
    rare = np.flatnonzero(cells.target == "monocyte")
    folds = [(np.setdiff1d(rows, rare), rare), (rows[::2], rows[1::2])]
    clf = ensemble(ImageAugmenter(samplewise_center=True), cnn(), cv=folds)
    with pytest.warns(UserWarning, match="monocyte"):
        clf.fit(cells.images, cells.target)
    loaded = compare(clf, new, tmp_path / "c.onnx")
    assert_array_equal(loaded.known_classes_, clf.known_classes_)
    assert not clf.known_classes_.all()
    assert_array_equal(loaded.predict_set(new), clf.predict_set(new))


def test_images_of_floats(cells, new, tmp_path):
    clf = ensemble(ImageAugmenter(samplewise_center=True), cnn())
    clf.fit(cells.images / np.float32(255), cells.target)
    compare(clf, new / np.float32(255), tmp_path / "c.onnx", input_dtype="float32")
    with pytest.raises(ValueError, match="white is 1.*input_dtype='float32'"):
        to_onnx(clf, tmp_path / "b.onnx")
    # Colour statistics depend on the value of white, which differs in uint8 images.
    clf = ensemble(ColourStatistics(), StandardScaler(), linear())
    clf.fit(cells.images / 255, cells.target)
    path = tmp_path / "d.onnx"
    with pytest.raises(ValueError, match="white is 1.*input_dtype='float32'"):
        to_onnx(clf, path)
    assert not path.exists()
    compare(clf, new / 255, path, input_dtype="float32")
    # The file's scale is that of the images before the standardisation.
    clf = ensemble(ImageAugmenter(), ColourStatistics(), linear())
    with pytest.raises(ValueError, match="white is 1.*input_dtype='float32'"):
        to_onnx(clf.fit(cells.images / 255, cells.target), path)
    scaled = ImageAugmenter(rescale=1 / 255)
    clf = ensemble(scaled, ColourStatistics(), StandardScaler(), linear())
    compare(clf.fit(cells.images, cells.target), new, path)


@pytest.mark.parametrize("labels", [np.array([5, -2, 9]), np.array([True, False])])
def test_labels_that_are_not_strings(labels, cells, new, tmp_path):
    y = labels[np.arange(24) % len(labels)]
    clf = ensemble(ColourStatistics(), StandardScaler(), linear())
    compare(clf.fit(cells.images, y), new, tmp_path / "c.onnx")


@pytest.mark.parametrize(
    "member",
    [
        make_pipeline(StandardScaler(), "passthrough", LogisticRegression()),
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=20, random_state=0),
        SoftVotingClassifier([("a", KNeighborsClassifier()), ("b", linear())]),
    ],
)
def test_members_of_scikit_learn(member, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = np.array(["no", "maybe", "yes"])[np.digitize(X @ [1, 1, 0, 0], [-0.5, 0.5])]
    clf = KFoldEnsembleClassifier(member, cv=StratifiedKFold(2)).fit(X, y)
    loaded = compare(clf, rng.normal(size=(50, 4)), tmp_path / "c.onnx")
    assert (loaded.n_features_in_, loaded.input_dtype_) == (4, "float64")
    with pytest.raises(
        AttributeError, match="c.onnx takes rows of features, not images"
    ):
        _ = loaded.image_shape_


def test_what_cannot_be_written_leaves_the_old_file(cells, tmp_path):
    path = tmp_path / "c.onnx"
    path.write_bytes(b"old")

    def refused(fitted, message, kind=ValueError, **options):
        with pytest.raises(kind, match=message):
            to_onnx(fitted, path, **options)
        assert [p.name for p in tmp_path.iterdir()] == ["c.onnx"]
        assert path.read_bytes() == b"old"

    X, y = cells.images, cells.target
    halved = ImageAugmenter(preprocessing_function=lambda image: image / 2)
    clf = ensemble(halved, FlattenImages(), linear()).fit(X, y)
    refused(clf, "Member 1 .* has a preprocessing_function, which is Python code")
    mine = FunctionTransformer(np.sqrt)
    clf = ensemble(FlattenImages(), mine, linear()).fit(X, y)
    refused(clf, "a FunctionTransformer cannot be written as ONNX. skl2onnx raised")
    clf = ensemble(ColourStatistics(), linear()).fit(X, y.astype(object))
    clf.classes_ = np.array([object(), object(), object()])
    refused(clf, "class labels of type object")
    refused(clf, "input_dtype='int8'; expected 'uint8' or", input_dtype="int8")
    refused(
        CalibratedClassifierCV(), "takes a fitted KFoldEnsembleClassifier, got a Cal"
    )
    refused(make_cell_classifier(), "not fitted yet", NotFittedError)


def test_a_network_that_cannot_be_expressed_in_onnx(cells, tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Mine(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.math.lgamma(x + 1)

        def compute_output_shape(self, shape):
            return shape

    def build(meta):
        head = keras.layers.Dense(meta["n_classes_"], activation="softmax")
        shape = keras.layers.Input(meta["image_shape_"])
        return keras.Sequential([shape, Mine(), keras.layers.Flatten(), head])

    member = CNNClassifier(build, epochs=1, random_state=0)
    clf = KFoldEnsembleClassifier(member, cv=2)
    small = cells.images[:, 8:16, 8:16] / np.float32(255)
    clf.fit(small, cells.target)
    with pytest.raises(ValueError, match="its network cannot be written.*Lgamma"):
        to_onnx(clf, tmp_path / "c.onnx", input_dtype="float32")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such limit there")
def test_a_full_temporary_folder_is_named(cells, tmp_path, monkeypatch):
    import resource

    network = CNNClassifier(epochs=1, random_state=0)
    clf = KFoldEnsembleClassifier(network, cv=2).fit(cells.images, cells.target)
    (tmp_path / "full").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=str(tmp_path / "full")):
            to_onnx(clf, tmp_path / "c.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "c.onnx").exists()


def test_no_folder_to_write_to(cells, tmp_path):
    clf = ensemble(ColourStatistics(), linear()).fit(cells.images, cells.target)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        to_onnx(clf, tmp_path / "none" / "c.onnx")


def test_absence_of_the_extra(cells, tmp_path, monkeypatch):
    clf = ensemble(ColourStatistics(), linear()).fit(cells.images, cells.target)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"needs tf2onnx.*skwbc\[onnx\]"):
        to_onnx(clf, tmp_path / "c.onnx")


class TestFeatures:
    """A frozen network, which all members share."""

    def test_the_recipe(self, cells, tmp_path):
        fitted = make_cell_classifier("features", cv=3, random_state=0)
        fitted.fit(cells.images, cells.target)
        to_onnx(fitted, tmp_path / "m.onnx")
        loaded = OnnxClassifier(tmp_path / "m.onnx")
        members = loaded.predict_proba_members(cells.images)
        expected = fitted.predict_proba_members(cells.images)
        X = np.concatenate([cells.images, 255 - cells.images])
        np.testing.assert_allclose(members, expected, atol=TOLERANCE)
        p = fitted.typicality(X)
        np.testing.assert_allclose(loaded.typicality(X), p, atol=1 / len(X))
        nodes = onnx.load(tmp_path / "m.onnx").graph.node
        assert [each.op_type for each in nodes].count("Conv") == 4 + 14

    @pytest.mark.parametrize(
        ("params", "channels", "dtype"),
        [
            ({"image_size": (17, 40)}, 3, "uint8"),
            ({"views": None}, 1, "uint8"),
            ({}, 2, "uint8"),
            ({"views": "rotations"}, 3, "float32"),
        ],
    )
    def test_settings(self, cells, tmp_path, params, channels, dtype):
        keep = cells.target != "eosinophil"
        X, y = cells.images[keep][..., :channels], cells.target[keep]
        X = X if dtype == "uint8" else (X / 255).astype(dtype)
        steps = NetworkFeatures(**params), StandardScaler(), BalancedDiscriminant()
        fitted = ensemble(*steps).fit(X, y)
        to_onnx(fitted, tmp_path / "m.onnx", input_dtype=dtype)
        proba = OnnxClassifier(tmp_path / "m.onnx").predict_proba(X)
        np.testing.assert_allclose(proba, fitted.predict_proba(X), atol=TOLERANCE)

    def test_preprocessing_is_refused(self, cells, tmp_path):
        features = NetworkFeatures(preprocessing=lambda images: images / 9)
        fitted = ensemble(features, linear()).fit(cells.images, cells.target)
        with pytest.raises(ValueError, match="a preprocessing, which is Python code"):
            to_onnx(fitted, tmp_path / "m.onnx")
        assert not list(tmp_path.iterdir())
