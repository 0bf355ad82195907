"""CNNClassifier: training, prediction, parameters, checks and pickles."""

import copy
import pickle
import random
import subprocess
import sys
import threading

import joblib
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

from skwbc import (
    CNNClassifier,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    build_article_cnn,
    build_compact_cnn,
)
from skwbc._utils.progress import listening
from skwbc.cnn._training import cosine_rates


def tiny(**params):
    defaults = {
        "model__filters": (4, 8),
        "optimizer__learning_rate": 0.02,
        "epochs": 3,
        "batch_size": 8,
        "random_state": 0,
    }
    return CNNClassifier(**{**defaults, **params})


@pytest.fixture(scope="module")
def fitted(X, y):
    return tiny(epochs=8).fit(X[:16], y[:16], X_val=X[16:], y_val=y[16:])


def linear(meta, units=None, activation="softmax"):
    return keras.Sequential(
        [
            keras.layers.Input(meta["image_shape_"]),
            keras.layers.Flatten(),
            keras.layers.Dense(units or meta["n_classes_"], activation=activation),
        ]
    )


def test_tags_and_parameters():
    cnn = tiny()
    assert is_classifier(cnn)
    assert is_classifier(make_pipeline(ImageAugmenter(), cnn))
    assert not cnn.__sklearn_tags__().input_tags.two_d_array
    params = cnn.get_params()
    assert params["optimizer__learning_rate"] == 0.02
    assert clone(cnn).get_params() == params
    cnn.set_params(optimizer__learning_rate=0.1, epochs=7)
    assert clone(cnn).get_params()["optimizer__learning_rate"] == 0.1
    assert "epochs=7" in repr(cnn)
    assert not hasattr(cnn, "partial_fit")
    assert not hasattr(cnn, "initialize")


def test_fitted_attributes(fitted, X, y):
    assert fitted.classes_.tolist() == ["eosinophil", "monocyte", "neutrophil"]
    assert fitted.image_shape_ == (24, 24, 3)
    assert isinstance(fitted.model_, keras.Model)
    proba = fitted.predict_proba(X)
    assert proba.dtype == np.float64
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    assert_array_equal(fitted.predict(X), fitted.classes_[proba.argmax(axis=1)])
    assert fitted.score(X, y) == np.mean(fitted.predict(X) == y)
    assert_allclose(fitted.model_.predict(X[:5], verbose=0), proba[:5], atol=1e-5)


def test_predictions_do_not_depend_on_the_number_of_images(fitted, X):
    many = fitted.predict_proba(np.concatenate([X] * 6))  # More than one batch.
    assert_allclose(many[: len(X)], fitted.predict_proba(X), atol=1e-6)
    assert_allclose(fitted.predict_proba(X[3:4]), many[3:4], atol=1e-6)


def test_best_epoch_is_restored(fitted, X, y):
    losses = fitted.history_["val_loss"]
    assert fitted.best_epoch_ == np.argmin(losses) + 1
    proba = fitted.predict_proba(X[16:])
    chosen = proba[np.arange(8), np.searchsorted(fitted.classes_, y[16:])]
    assert -np.log(chosen).mean() == pytest.approx(min(losses), rel=1e-4)
    assert set(fitted.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_last_epoch_is_kept_on_request(X, y):
    last = tiny(epochs=6, patience=None, restore_best_weights=False)
    # With wrong labels in the validation set the first epochs are the best.
    wrong = np.roll(np.unique(y), 1)[np.searchsorted(np.unique(y), y)]
    last.fit(X[:16], y[:16], X_val=X[16:], y_val=wrong[16:])
    losses = last.history_["val_loss"]
    assert last.best_epoch_ == 6 == len(losses) > np.argmin(losses) + 1
    proba = last.predict_proba(X[16:])
    chosen = proba[np.arange(8), np.searchsorted(last.classes_, wrong[16:])]
    assert -np.log(chosen).mean() == pytest.approx(losses[-1], rel=1e-4)
    # The validation set then has no influence.
    alone = clone(last).fit(X[:16], y[:16])
    assert_array_equal(alone.predict_proba(X), last.predict_proba(X))


def test_validation_set_that_decides_nothing_is_evaluated_now_and_then(X, y):
    reported = []

    def listener(event, epoch, logs, **_):
        reported.append((epoch, "val_loss" in logs, "loss" in logs))

    held_out = {"X_val": X[16:], "y_val": y[16:]}
    cnn = tiny(epochs=25, patience=None, restore_best_weights=False)
    with listening(listener):
        cnn.fit(X[:16], y[:16], **held_out)
    evaluated = np.isfinite(cnn.history_["val_loss"])
    assert_array_equal(np.isfinite(cnn.history_["val_accuracy"]), evaluated)
    assert np.isfinite(cnn.history_["loss"]).all()
    assert len(evaluated) == 25 == cnn.best_epoch_
    epochs = np.flatnonzero(evaluated)
    assert epochs.tolist() == [0, 2, 5, 8, 10, 13, 16, 18, 21, 24]
    assert reported == [(k + 1, flag, True) for k, flag in enumerate(evaluated)]
    # With patience each epoch is evaluated, which changes neither weights nor metrics.
    always = clone(cnn).set_params(patience=25).fit(X[:16], y[:16], **held_out)
    losses = np.array(always.history_["val_loss"])
    assert_array_equal(losses[evaluated], np.array(cnn.history_["val_loss"])[evaluated])
    assert np.isfinite(losses).all()
    assert_array_equal(always.predict_proba(X), cnn.predict_proba(X))


@pytest.mark.parametrize(("kind", "flips"), [("rotations", [1]), ("dihedral", [1, -1])])
def test_test_time_augmentation(fitted, X, kind, flips):
    turned = copy.deepcopy(fitted).set_params(test_time_augmentation=kind)
    proba = turned.predict_proba(X)
    views = [np.rot90(X[:, ::flip], k, (1, 2)) for flip in flips for k in range(4)]
    assert_allclose(
        proba, np.mean([fitted.predict_proba(view) for view in views], 0), atol=1e-6
    )
    for view in views:
        assert_allclose(turned.predict_proba(view), proba, atol=1e-6)
    assert np.abs(proba - fitted.predict_proba(X)).max() > 1e-4


@pytest.mark.parametrize(("kind", "flips"), [("rotations", [1]), ("dihedral", [1, -1])])
def test_test_time_augmentation_of_images_that_are_not_square(X, y, kind, flips):
    wide = X[:, 4:-4]
    plain = tiny(epochs=1).fit(wide, y)
    turned = copy.deepcopy(plain).set_params(test_time_augmentation=kind)
    views = [wide[:, ::up, :: up * flip] for flip in flips for up in (1, -1)]
    expected = np.mean([plain.predict_proba(view) for view in views], axis=0)
    assert_allclose(turned.predict_proba(wide), expected, atol=1e-6)


def test_training_stops_after_patience(X, y):
    # With wrong labels in the validation set the first epochs are the best.
    wrong = np.roll(np.unique(y), 1)[np.searchsorted(np.unique(y), y)]
    cnn = tiny(epochs=40, patience=2)
    cnn.fit(X, y, X_val=X, y_val=wrong)
    assert len(cnn.history_["val_loss"]) == cnn.best_epoch_ + 2
    cnn.set_params(epochs=6, patience=None).fit(X, y, X_val=X, y_val=wrong)
    assert len(cnn.history_["val_loss"]) == 6
    cnn.set_params(epochs=2).fit(X, y)
    assert cnn.best_epoch_ == 2
    assert "val_loss" not in cnn.history_


def test_weighted_validation_set_in_lists(X, y):
    # The validation loss is that of the only image with a weight.
    weights = (np.arange(8) == 0).astype(float)
    cnn = tiny(epochs=2, patience=None, batch_size=16)
    cnn.fit(X.tolist(), y.tolist(), X_val=X[:8].tolist(), y_val=y[:8].tolist(),
            sample_weight_val=weights)  # fmt: skip
    chosen = cnn.predict_proba(X[:1])[0, np.searchsorted(cnn.classes_, y[0])]
    assert min(cnn.history_["val_loss"]) == pytest.approx(-np.log(chosen), rel=1e-3)


def test_another_monitor(X, y):
    cnn = tiny(monitor="val_accuracy", epochs=4).fit(X, y, X_val=X, y_val=y)
    assert cnn.best_epoch_ == np.argmax(cnn.history_["val_accuracy"]) + 1
    with pytest.raises(ValueError, match="monitor='val_auc' is not among the metrics"):
        tiny(monitor="val_auc").fit(X, y, X_val=X, y_val=y)

    def mine(y_true, y_pred):
        return keras.ops.mean(y_pred)

    with pytest.raises(ValueError, match="does not know whether 'val_mine' should be"):
        tiny(monitor="val_mine", metrics=[mine]).fit(X, y, X_val=X, y_val=y)


def test_images_in_other_arrays(X, y, tmp_path):
    import h5py
    import tensorflow as tf

    steps = ImageAugmenter(rotation_range=9, random_state=0), tiny(epochs=1)
    expected = make_pipeline(*steps).fit(X, y).predict_proba(X)
    plain = tiny(epochs=1).fit(X, y).predict_proba(X)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        for images in file.create_dataset("X", data=X), tf.constant(X):
            clf = make_pipeline(*steps).fit(images, y)
            assert_array_equal(clf.predict_proba(images), expected)
            assert_array_equal(tiny(epochs=1).fit(images, y).predict_proba(X), plain)


def test_training_equals_keras_fit(X, y):
    """Weights are those of ``keras.Model.fit`` on the same batches."""
    cnn = tiny(model=linear, epochs=3)
    del cnn.model__filters
    cnn.fit(X, y)
    codes = np.eye(3)[np.searchsorted(cnn.classes_, y)]
    network = tiny_twin(cnn, X, y)
    for epoch in range(3):
        seeds = np.random.SeedSequence(0).generate_state(2)
        order = np.random.default_rng((int(seeds[1]), epoch)).permutation(len(y))
        logs = network.fit(
            X[order], codes[order], batch_size=8, shuffle=False, verbose=0
        ).history
        assert cnn.history_["loss"][epoch] == pytest.approx(logs["loss"][0], rel=1e-4)
    for trained, expected in zip(
        cnn.model_.get_weights(), network.get_weights(), strict=True
    ):
        assert_allclose(trained, expected, atol=1e-5)


def tiny_twin(cnn, X, y):
    """Build the network from which `cnn` starts, compiled by Keras itself."""
    start = clone(cnn).set_params(optimizer__learning_rate=1e-30, epochs=1).fit(X, y)
    network = start.model_
    network.compile(keras.optimizers.RMSprop(0.02), "categorical_crossentropy")
    return network


def test_reproducible_without_touching_global_state(X, y):
    import tensorflow as tf

    random.seed(1)
    np.random.seed(1)
    tf.random.set_seed(1)
    states = random.getstate(), np.random.get_state()[1].copy()
    expected = tf.random.uniform((3,)).numpy()
    tf.random.set_seed(1)
    model = make_pipeline(ImageAugmenter(rotation_range=180, random_state=5), tiny())
    first = model.fit(X, y).predict_proba(X)
    assert random.getstate() == states[0]
    assert_array_equal(np.random.get_state()[1], states[1])
    assert_array_equal(tf.random.uniform((3,)).numpy(), expected)
    # Unseeded operations still work: they raise an error if operations are
    # deterministic in the whole process, which scikeras' random_state sets.
    tf.random.uniform((3,), seed=None)
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), first)
    other = clone(model).set_params(cnnclassifier__random_state=1).fit(X, y)
    assert not np.allclose(other.predict_proba(X), first)
    other = clone(model).set_params(imageaugmenter__random_state=1).fit(X, y)
    assert not np.allclose(other.predict_proba(X), first)


@pytest.mark.parametrize(
    "labels", [np.array([7, 3, 5]), np.array(["a", "bc", "d"], object)], ids=str
)
def test_kinds_of_labels(X, cells, labels):
    y = labels[np.searchsorted(np.unique(cells.target), cells.target)]
    cnn = tiny(epochs=1).fit(X, y, X_val=X[:4], y_val=y[:4])
    assert cnn.classes_.tolist() == sorted(labels.tolist())
    codes = np.searchsorted(cnn.classes_, y)
    with_codes = tiny(epochs=1).fit(X, codes, X_val=X[:4], y_val=codes[:4])
    assert_array_equal(cnn.predict(X), cnn.classes_[with_codes.predict(X)])
    assert cnn.history_ == with_codes.history_


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, "softmax", keras.losses.CategoricalCrossentropy(label_smoothing=0.1)),
        (2, "softmax", keras.losses.SparseCategoricalCrossentropy(name="mine")),
        (2, "softmax", ["sparse_categorical_crossentropy"]),
    ],
    ids=["sigmoid", "sparse", "smoothed", "sparse by another name", "list"],
)
def test_losses_for_two_classes(X, y, units, activation, loss):
    two = y != "monocyte"
    cnn = CNNClassifier(
        linear,
        loss=loss,
        model__units=units,
        model__activation=activation,
        epochs=30,
        random_state=0,
        optimizer=keras.optimizers.Adam(0.01),
    )
    cnn.fit(X[two], y[two], X_val=X[two], y_val=y[two])
    assert_allclose(cnn.predict_proba(X[:3]).sum(axis=1), 1)
    assert cnn.score(X[two], y[two]) > 0.8
    # fit does not change an optimizer that is given as an instance.
    assert not cnn.optimizer.built


@pytest.mark.parametrize(
    ("units", "loss", "message"),
    [
        (1, keras.losses.BinaryCrossentropy(from_logits=True), "with a sigmoid"),
        (2, [keras.losses.CategoricalCrossentropy(from_logits=True)], "a softmax"),
        (2, keras.losses.SparseCategoricalCrossentropy(from_logits=True), "a softmax"),
        (1, "categorical_crossentropy", "loss='binary_crossentropy'"),
        (1, keras.losses.SparseCategoricalCrossentropy(name="m"), "='binary_cross"),
    ],
)
def test_losses_that_do_not_match_the_outputs(X, y, units, loss, message):
    cnn = CNNClassifier(linear, loss=loss, model__units=units, epochs=1)
    with pytest.raises(ValueError, match=message):
        cnn.fit(X, y != "monocyte")


def test_outputs_that_are_not_probabilities(X, y):
    cnn = CNNClassifier(linear, model__activation="sigmoid", epochs=1).fit(X, y)
    kernel, bias = cnn.model_.get_weights()
    cnn.model_.set_weights([0 * kernel, bias - 999])
    assert_array_equal(cnn.predict_proba(X[:2]), np.full((2, 3), 1 / 3))
    cnn = CNNClassifier(linear, model__activation="linear", epochs=1, loss="mse")
    cnn.fit(X, y)
    cnn.model_.set_weights([0 * kernel, np.array([-1, 0, 2.0])])
    with pytest.raises(ValueError, match="from 0 to 1, but it returned -1 to 2. End"):
        cnn.predict_proba(X[:2])


def test_weights_of_samples_and_classes(X, y):
    weights = (y != "monocyte").astype(float)
    kept = weights > 0
    weighted = tiny().fit(X, y, sample_weight=weights)
    assert "monocyte" not in weighted.classes_
    dropped = tiny().fit(X[kept], y[kept])
    assert_allclose(weighted.predict_proba(X), dropped.predict_proba(X), atol=1e-4)
    assert weights.sum() == 16  # not changed in place
    heavy = {"eosinophil": 100.0, "monocyte": 0.01, "neutrophil": 0.01}
    cnn = tiny(class_weight=heavy, epochs=6).fit(X, y)
    assert (cnn.predict(X) == "eosinophil").mean() > 0.9
    balanced = tiny(class_weight="balanced", epochs=1).fit(X[4:], y[4:])
    weights = compute_sample_weight("balanced", y[4:])
    assert len(set(weights)) > 1
    weighted = tiny(epochs=1).fit(X[4:], y[4:], sample_weight=weights)
    assert_array_equal(balanced.predict_proba(X), weighted.predict_proba(X))


@pytest.mark.parametrize("warmup", [0, 5, 12])
def test_cosine_schedule_equals_that_of_keras(warmup):
    rates = cosine_rates(keras.optimizers.SGD(0.5), 12, warmup / 12)
    start, target = (0.0, 0.5) if warmup else (0.5, None)
    schedule = keras.optimizers.schedules.CosineDecay(
        start, max(12 - warmup, 1), warmup_target=target, warmup_steps=warmup
    )
    expected = [float(schedule(step)) for step in range(12)]
    assert list(rates) == pytest.approx(expected, abs=1e-6)


def test_optimizer_with_a_schedule_of_its_own(X, y):
    def losses(rate):
        cnn = tiny(optimizer=keras.optimizers.SGD(rate), epochs=2, batch_size=24)
        del cnn.optimizer__learning_rate
        return cnn, cnn.fit(X, y).history_["loss"]

    # One step at the initial rate, and the next at nearly zero.
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 1e-30)
    cnn, with_decay = losses(decay)
    assert with_decay == losses(0.1)[1]
    assert with_decay != losses(1e-30)[1]
    with pytest.raises(ValueError, match="this one has a schedule of its own"):
        cnn.set_params(learning_rate_schedule="cosine").fit(X, y)


def test_cosine_schedule_is_used(X, y):
    # With a single step, which is the first of the rise, the rate is zero.
    cnn = tiny(model=linear, learning_rate_schedule="cosine", warmup_fraction=1,
               epochs=1, batch_size=24)  # fmt: skip
    del cnn.model__filters
    start = clone(cnn).set_params(optimizer__learning_rate=1e-30).fit(X, y)
    for trained, initial in zip(
        cnn.fit(X, y).model_.get_weights(), start.model_.get_weights(), strict=True
    ):
        assert_array_equal(trained, initial)
    moved = clone(cnn).set_params(learning_rate_schedule="constant").fit(X, y)
    assert not np.allclose(moved.predict_proba(X), start.predict_proba(X))


def test_divergence_warns(X, y):
    cnn = tiny(optimizer="sgd", optimizer__learning_rate=1e20, epochs=9)
    cnn.set_params(model=linear)
    del cnn.model__filters
    with pytest.warns(ConvergenceWarning, match="training diverged"):
        cnn.fit(X * 1e18, y)
    assert len(cnn.history_["loss"]) < 9


def test_pickle_has_only_what_prediction_needs(fitted, X, tmp_path):
    n_bytes = 4 * fitted.model_.count_params()
    assert len(pickle.dumps(fitted)) < n_bytes + 12_000
    joblib.dump(fitted, tmp_path / "cnn.joblib", compress=3)
    loaded = joblib.load(tmp_path / "cnn.joblib")
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.history_ == fitted.history_
    refitted = clone(loaded).fit(X, np.arange(24) % 2)
    assert refitted.classes_.tolist() == [0, 1]
    np.save(tmp_path / "x.npy", X)
    code = (
        "import joblib, numpy as np; X = np.load('x.npy');"
        "np.save('p.npy', joblib.load('cnn.joblib').predict_proba(X))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(X))


def test_functions_that_are_not_registered(X, y):
    """``fit`` refuses them before training, and does not load Keras' own instead."""

    def relu(x):
        return keras.ops.maximum(x, 0) / 2

    def halved(x):
        return keras.ops.maximum(x, 0) / 2

    def build(meta, function):
        inputs = keras.layers.Input(meta["image_shape_"])
        x = keras.layers.Conv2D(4, 3, activation=function)(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))

    epochs = []
    with listening(lambda event, **details: epochs.append(event)):
        for function, message in (
            (relu, "activation of the layer 'conv2d.*relu'.*give Keras' own function"),
            (halved, "register_keras_serializable.*Could not locate function 'halved'"),
        ):
            with pytest.raises(ValueError, match=message) as raised:
                CNNClassifier(build, model__function=function).fit(X, y)
            assert len(str(raised.value)) < 500
    assert not epochs

    halved = keras.saving.register_keras_serializable("tests")(halved)
    cnn = CNNClassifier(build, model__function=halved, epochs=1, random_state=0)
    cnn.fit(X, y)
    assert cnn.model_.layers[1].activation is halved
    again = copy.deepcopy(cnn)
    assert again.model_ is not cnn.model_
    assert_array_equal(again.predict_proba(X), cnn.predict_proba(X))


@keras.saving.register_keras_serializable("tests")
class Shift(keras.layers.Layer):
    """A layer that a file stores completely only if its shift is a weight."""

    def __init__(self, by=0.0, as_weight=False, **kwargs):
        super().__init__(**kwargs)
        self.by, self.as_weight = by, as_weight

    def build(self, shape):
        start = keras.initializers.Constant(self.by)
        self.weight = self.add_weight(shape=(), initializer=start, trainable=False)

    def call(self, x):
        by = self.weight if self.as_weight else self.by
        return x + by * keras.ops.arange(3.0)

    def get_config(self):
        return {**super().get_config(), "as_weight": self.as_weight}


def test_layers_that_a_file_does_not_store(X, y):
    def build(meta, as_weight):
        # The network has no input shape, either.
        pooling, head = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)
        return keras.Sequential(
            [pooling, head, Shift(9.0, as_weight), keras.layers.Softmax()]
        )

    cnn = CNNClassifier(build, model__as_weight=True, epochs=1, random_state=0)
    assert cnn.fit(X, y).predict_proba(X)[:, 2].min() > 0.9
    with pytest.raises(ValueError, match="'shift.* depends on something else"):
        cnn.set_params(model__as_weight=False).fit(X, y)


def test_activations_of_tensorflow(X, y):
    import tensorflow as tf

    def build(meta, activation):
        first = keras.layers.Conv2D(4, 3, activation=activation)
        head = keras.layers.Dense(3, activation="softmax")
        return keras.Sequential([first, keras.layers.Flatten(), head])

    def proba(activation):
        cnn = CNNClassifier(build, model__activation=activation, epochs=1)
        return cnn.set_params(random_state=0).fit(X, y).predict_proba(X)

    assert_allclose(proba(tf.nn.relu), proba("relu"), atol=1e-5)


def test_failed_fit_keeps_the_earlier_one(X, y):
    cnn = tiny(epochs=1).fit(X, y)
    proba = cnn.predict_proba(X)
    few = y == "monocyte", y == "neutrophil"
    with pytest.raises(ValueError, match="monitor='none' is not among"):
        cnn.set_params(monitor="none").fit(
            X[:, 4:], few[0], X_val=X[:, 4:], y_val=few[1]
        )
    assert cnn.classes_.tolist() == sorted(set(y))
    assert_array_equal(cnn.predict_proba(X), proba)
    other = tiny(monitor="none")
    with pytest.raises(ValueError, match="monitor='none'"):
        other.fit(X, y, X_val=X, y_val=y)
    assert not hasattr(other, "classes_")


def test_in_several_threads(X, y):
    expected = tiny(epochs=1).fit(X, y).predict_proba(X)
    probabilities = {}

    def work(k):
        probabilities[k] = tiny(epochs=1).fit(X, y).predict_proba(X)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_array_equal(probabilities[0], expected)
    assert_array_equal(probabilities[1], expected)


def test_other_threads_that_draw_random_numbers(X, y):
    expected = tiny(epochs=1).fit(X, y).predict_proba(X)
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            random.random()
            np.random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            assert_array_equal(tiny(epochs=1).fit(X, y).predict_proba(X), expected)
    finally:
        stop.set()
        thread.join()


def test_article_network():
    network = build_article_cnn({"image_shape_": (100, 100, 3), "n_classes_": 3})
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == [
        "Conv2D", "MaxPooling2D", "ReLU", "Conv2D", "MaxPooling2D", "ReLU", "Flatten",
        "Dense", "Dropout", "Dense",
    ]  # fmt: skip
    shapes = [w.shape for w in network.trainable_weights if len(w.shape) > 1]
    assert shapes == [(3, 3, 3, 32), (2, 2, 32, 64), (40000, 256), (256, 3)]
    assert network.layers[8].rate == 0.5


@pytest.mark.parametrize("build", [build_article_cnn, build_compact_cnn])
def test_channels_are_last_whatever_the_setting_of_keras(build):
    meta = {"image_shape_": (9, 12, 3), "n_classes_": 3}
    usual = [w.shape for w in build(meta).weights]
    keras.config.set_image_data_format("channels_first")
    try:
        assert [w.shape for w in build(meta).weights] == usual
    finally:
        keras.config.set_image_data_format("channels_last")


def test_compact_network():
    meta = {"image_shape_": (100, 100, 3), "n_classes_": 3}
    assert 100_000 < build_compact_cnn(meta).count_params() < 900_000
    for side in (8, 33):
        network = build_compact_cnn({"image_shape_": (side, side, 1), "n_classes_": 2})
        assert network(np.zeros((1, side, side, 1))).shape == (1, 2)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epochs": 0}, "The 'epochs' parameter"),
        ({"batch_size": 2.5}, "The 'batch_size' parameter"),
        ({"patience": 0}, "The 'patience' parameter"),
        ({"learning_rate_schedule": "step"}, "The 'learning_rate_schedule' parameter"),
        ({"warmup_fraction": 2}, "The 'warmup_fraction' parameter"),
        ({"restore_best_weights": 2}, "The 'restore_best_weights' parameter"),
        ({"test_time_augmentation": 8}, "The 'test_time_augmentation' parameter"),
        ({"model": 3}, "The 'model' parameter"),
        ({"class_weight": "equal"}, "The 'class_weight' parameter"),
        ({"class_weight": {"monocyte": -1}}, "class_weight=.*has negative weights"),
        (
            {"class_weight": {"eosinophil": 0, "monocyte": 0, "neutrophil": 0}},
            "class_weight=.*all samples are zero",
        ),
    ],
)
def test_wrong_parameters(X, y, params, message):
    with pytest.raises(ValueError, match=message):
        tiny(**params).fit(X, y)


def test_unknown_parameters():
    with pytest.raises(TypeError, match="'epoch'.* Did you mean 'epochs'"):
        CNNClassifier(epoch=3)
    with pytest.raises(ValueError, match="'patients'.* Did you mean 'patience'"):
        CNNClassifier().set_params(patients=3)


def test_wrong_data(X, y, fitted):
    cnn = tiny()
    with pytest.raises(NotFittedError):
        cnn.predict(X)
    with pytest.raises(ValueError, match="without a channel axis"):
        cnn.fit(X[..., 0], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cnn.fit(X, y[1:])
    with pytest.raises(ValueError, match="only one class: 'a'"):
        cnn.fit(X, ["a"] * 24)
    with pytest.raises(ValueError, match="continuous"):
        cnn.fit(X, np.linspace(0, 1, 24))
    with pytest.raises(ValueError, match="got only X_val"):
        cnn.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match=r"are not in y: \['basophil'\]"):
        cnn.fit(X, y, X_val=X[:1], y_val=["basophil"])
    with pytest.raises(ValueError, match="fitted on images of shape"):
        cnn.fit(X, y, X_val=X[:, 2:], y_val=y)
    with pytest.raises(ValueError, match="zero for all samples"):
        cnn.fit(X, y, sample_weight=np.zeros(24))
    with pytest.raises(ValueError, match="egative"):
        cnn.fit(X, y, sample_weight=np.full(24, -1.0))
    with pytest.raises(ValueError, match="egative"):
        cnn.fit(X, y, X_val=X, y_val=y, sample_weight_val=np.full(24, -1.0))
    with pytest.raises(ValueError, match="fitted on images of shape"):
        fitted.predict(X[:, 2:])


def test_images_with_nan_are_named(X, y, fitted):
    holed = X.copy()
    holed[[17, 19], 0] = np.nan
    weights = np.ones(24)
    weights[:3] = 0
    message = "infinity .* at positions 17, 19, counted from 0"
    for sample_weight in None, weights:
        with pytest.raises(ValueError, match=message):
            tiny(batch_size=99).fit(holed, y, sample_weight=sample_weight)
    with pytest.raises(ValueError, match=message):
        fitted.predict(holed)
    # So are they when an ensemble trains a member on images 8 to 23.
    folds = [(np.arange(8, 24), np.arange(8))]
    for member in tiny(batch_size=99), make_pipeline(ImageAugmenter(), tiny()):
        with pytest.raises(ValueError, match=message):
            KFoldEnsembleClassifier(member, cv=folds).fit(holed, y)


def test_held_out_fold_of_weight_zero_is_ignored(X, y):
    weights = (np.arange(24) < 12).astype(float)
    rows = np.split(np.arange(24), [9, 12, 15])
    folds = [(rows[0], rows[3]), (rows[0], np.concatenate(rows[1:3]))]
    clf = KFoldEnsembleClassifier(tiny(epochs=2), cv=folds)
    without, with_fold = clf.fit(X, y, sample_weight=weights).estimators_
    assert set(without.history_) == {"loss", "accuracy"}
    alone = clone(with_fold).fit(X[:9], y[:9], X_val=X[9:12], y_val=y[9:12])
    assert alone.history_["val_loss"] == pytest.approx(with_fold.history_["val_loss"])


def test_wrong_builders(X, y):
    class Own(keras.Model):
        def call(self, x):
            return x

    def fit(build):
        return CNNClassifier(build, epochs=1).fit(X, y)

    with pytest.raises(
        ValueError, match=r"output has shape \(None, 5\), but 3 classes"
    ):
        fit(lambda meta: linear(meta, units=5))
    with pytest.raises(TypeError, match="it returned NoneType"):
        fit(lambda meta: None)
    with pytest.raises(
        ValueError, match="a Own, has no known output shape.*Input.meta"
    ):
        fit(lambda meta: Own())
    network = linear({"image_shape_": (24, 24, 3), "n_classes_": 3})
    fit(lambda meta: network)
    for again in network, keras.Sequential([network, keras.layers.Softmax()]):
        with pytest.raises(ValueError, match="'sequential.* a second time.*inside the"):
            fit(lambda meta, again=again: again)
    # Layers that are not trained can be shared.
    network.trainable = False
    for _ in range(2):
        fit(lambda meta: keras.Sequential([network, keras.layers.Dense(3, "softmax")]))
    with pytest.raises(TypeError, match="got a network.*function that builds it"):
        fit(linear({"image_shape_": (24, 24, 3), "n_classes_": 3}))
