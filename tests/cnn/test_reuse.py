"""Networks of a kind are compiled once, and no fit has an influence on the next."""

import gc

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skwbc import CNNClassifier, build_article_cnn, build_compact_cnn
from skwbc._utils.progress import listening
from skwbc.cnn._compiled import reuse
from skwbc.cnn._compiled.identity import Kept


@pytest.fixture
def nothing_kept(monkeypatch):
    """Let the fits of a test compile everything themselves."""
    monkeypatch.setattr(reuse, "_trainers", Kept(8))


def compact(**params):
    defaults = {"model__filters": (4, 8), "epochs": 2, "batch_size": 7}
    return CNNClassifier(**{**defaults, "random_state": 0, **params})


def weights(cnn, X, y):
    return np.concatenate([w.ravel() for w in cnn.fit(X, y).model_.get_weights()])


def test_fits_are_independent(X, y, nothing_kept):
    first = compact(optimizer="adam").fit(X, y, X_val=X, y_val=y)
    other = compact(optimizer="adam", random_state=1).fit(X, y)
    again = compact(optimizer="adam").fit(X, y, X_val=X, y_val=y)
    assert again.history_ == first.history_
    assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    assert not np.allclose(other.predict_proba(X), first.predict_proba(X))


def test_random_layers_start_from_their_seed(X, y, nothing_kept):
    def build(meta):
        # It draws a number even in evaluation.
        grey = keras.layers.RandomGrayscale(0.5)
        head = keras.layers.Dense(meta["n_classes_"], activation="softmax")
        shape = keras.layers.Input(meta["image_shape_"])
        return keras.Sequential([shape, grey, keras.layers.Flatten(), head])

    first, again = (
        CNNClassifier(build, epochs=1, random_state=0).fit(X, y).predict_proba(X)
        for _ in range(2)
    )
    assert_array_equal(first, again)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer__learning_rate": 0.01},
        {"optimizer__rho": 0.5},
        {"optimizer": "sgd"},
        {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.3)},
        {"model__dropout": 0.7},
        {"learning_rate_schedule": "cosine"},
        {"class_weight": {"eosinophil": 9.0}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_are_kept_apart(X, y, change, monkeypatch):
    monkeypatch.setattr(reuse, "_trainers", Kept(8))
    alone = weights(compact(**change), X, y)
    monkeypatch.setattr(reuse, "_trainers", Kept(8))
    plain = weights(compact(), X, y)
    assert_array_equal(weights(compact(**change), X, y), alone)
    assert not np.allclose(plain, alone)
    assert_array_equal(weights(compact(), X, y), plain)


def test_functions_with_the_name_of_one_of_keras(X, y):
    def categorical_crossentropy(y_true, y_pred):
        return 0 * keras.ops.sum(y_pred, axis=-1)

    compact().fit(X, y)
    zero = compact(loss=categorical_crossentropy).fit(X, y)
    assert zero.history_["loss"] == [0.0, 0.0]
    assert min(compact().fit(X, y).history_["loss"]) > 0.1


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):
    """A custom layer whose config does not determine what it computes."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * inputs


def test_custom_layers_are_compiled_for_each_fit(X, y, monkeypatch):
    def build(meta):
        return keras.Sequential(
            [
                keras.layers.Input(meta["image_shape_"]),
                keras.layers.GlobalAveragePooling2D(),
                Scale(),
                keras.layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )

    cnn = CNNClassifier(build, epochs=2, random_state=0)
    small = cnn.fit(X, y).predict_proba(X)
    monkeypatch.setattr(Scale, "factor", 100.0)
    large = cnn.fit(X, y).predict_proba(X)
    assert large.max() > small.max() + 0.1


def test_adapted_layers(X, y):
    def build(meta, shift):
        normalise = keras.layers.Normalization()
        normalise.adapt(X * shift)
        return keras.Sequential(
            [
                keras.layers.Input(meta["image_shape_"]),
                normalise,
                keras.layers.Flatten(),
                keras.layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )

    def fit(shift):
        cnn = CNNClassifier(
            build, model__shift=shift, epochs=2, batch_size=24, random_state=0
        )
        return cnn.fit(X * shift, y, X_val=X * shift, y_val=y)

    first, second = fit(1.0), fit(100.0)
    assert second.history_["loss"] == pytest.approx(first.history_["loss"], rel=1e-3)
    assert_allclose(
        second.predict_proba(X * 100), first.predict_proba(X), rtol=1e-2, atol=1e-3
    )
    proba = second.predict_proba(X * 100)
    chosen = proba[np.arange(24), np.searchsorted(second.classes_, y)]
    lowest = min(second.history_["val_loss"])
    assert -np.log(chosen).mean() == pytest.approx(lowest, rel=1e-3)


def test_variables_without_weight_decay(X, y):
    def build(meta, exempt):
        network = build_compact_cnn(meta, filters=(4,))
        optimizer = keras.optimizers.AdamW(1e-9, weight_decay=9e8)
        if exempt:
            optimizer.exclude_from_weight_decay(var_names=["kernel"])
        network.compile(optimizer, "categorical_crossentropy")
        return network

    def largest(exempt):
        cnn = CNNClassifier(build, model__exempt=exempt, epochs=1, random_state=0)
        return np.abs(cnn.fit(X, y).model_.get_weights()[0]).max()

    decayed, kept = largest(False), largest(True)
    assert kept > 5 * decayed
    assert largest(False) == decayed


def test_network_that_runs_eagerly(X, y):
    """Keras' own steps give the same weights and metrics as compiled ones."""

    def build(meta, eagerly):
        network = build_article_cnn(meta, dropout=0.0)
        optimizer, loss = keras.optimizers.SGD(0.01), "categorical_crossentropy"
        # AUC is not a mean over samples.
        metrics = ["accuracy", keras.metrics.AUC(name="auc")]
        network.compile(optimizer, loss, metrics=metrics, run_eagerly=eagerly)
        return network

    def fit(eagerly):
        cnn = CNNClassifier(
            build, model__eagerly=eagerly, epochs=2, batch_size=9, random_state=0
        )
        return cnn.fit(X, y, X_val=X, y_val=y)

    eager, compiled = fit(True), fit(False)
    for name, values in compiled.history_.items():
        assert eager.history_[name] == pytest.approx(values, abs=1e-3)
    assert_allclose(eager.predict_proba(X), compiled.predict_proba(X), atol=1e-4)


def test_nothing_is_compiled_twice(X, y, monkeypatch, nothing_kept):
    traced = []
    update, call = keras.optimizers.SGD.update_step, keras.layers.Conv2D.call

    def count_update(*args):
        traced.append("step")
        return update(*args)

    def count_call(*args):
        traced.append("forward pass")
        return call(*args)

    monkeypatch.setattr(keras.optimizers.SGD, "update_step", count_update)
    cnn = compact(optimizer="sgd", model__filters=(5,)).fit(X, y)
    assert traced
    traced.clear()
    # Other images, and batches of other sizes.
    other = compact(optimizer="sgd", model__filters=(5,), batch_size=5).fit(
        X[1:], y[1:]
    )
    assert not traced
    cnn.predict_proba(X)
    monkeypatch.setattr(keras.layers.Conv2D, "call", count_call)
    for n in (1, 3, 24, 70):
        cnn.predict_proba(X[np.arange(n) % 24])
        other.predict_proba(X[np.arange(n) % 24])
    assert not traced
    cnn.model_(X[:1])
    assert traced == ["forward pass"]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw"])
def test_large_layers_train_as_in_keras(X, y, optimizer):
    """A dense layer whose update is fused is compared with ``keras.Model.fit``."""
    X = X.repeat(2, axis=1).repeat(2, axis=2)
    cnn = CNNClassifier(
        build_article_cnn, model__dropout=0.0, optimizer=optimizer, random_state=0,
        epochs=2, batch_size=10, optimizer__learning_rate=1e-4,
    )  # fmt: skip
    network = cnn.fit(X, y).model_
    assert max(w.size for w in network.get_weights()) > 1_000_000
    cnn.set_params(optimizer__learning_rate=1e-30, epochs=1)
    start = cnn.fit(X, y).model_
    twin = keras.models.clone_model(start)
    twin.set_weights(start.get_weights())
    chosen = keras.optimizers.get(optimizer)
    chosen.learning_rate = 1e-4
    twin.compile(chosen, "categorical_crossentropy")
    codes = np.eye(3)[np.searchsorted(cnn.classes_, y)]
    seed = int(np.random.SeedSequence(0).generate_state(2)[1])
    for epoch in range(2):
        order = np.random.default_rng((seed, epoch)).permutation(len(y))
        twin.fit(X[order], codes[order], batch_size=10, shuffle=False, verbose=0)
    for trained, expected, initial in zip(
        network.get_weights(), twin.get_weights(), start.get_weights(), strict=True
    ):
        change = np.abs(expected - initial).mean()
        assert np.abs(trained - expected).mean() < 1e-3 * change


def live_bytes():
    gc.collect()
    variables = [v for v in gc.get_objects() if issubclass(type(v), keras.Variable)]
    return sum(variable.value.numpy().nbytes for variable in variables)


def test_fits_leave_no_values_in_memory(X, y, nothing_kept):
    """Neither in networks that were fitted, nor in compiled ones that are kept."""

    def fit(random_state):
        cnn = CNNClassifier(build_article_cnn, epochs=1, random_state=random_state)
        cnn.fit(X, y, X_val=X, y_val=y).predict(X)
        return sum(weight.nbytes for weight in cnn.model_.get_weights())

    before = live_bytes()
    sizes = [fit(seed) for seed in range(3)]
    assert live_bytes() - before < sizes[0] / 100


def test_training_needs_the_weights_of_two_networks_and_the_optimizer(
    X, y, nothing_kept
):
    """The one that is trained, and the one that will be stored."""
    sizes = []
    before = live_bytes()
    with listening(lambda *_, **__: sizes.append(live_bytes() - before)):
        cnn = CNNClassifier(build_article_cnn, epochs=2, random_state=0).fit(X, y)
    of_network = sum(weight.nbytes for weight in cnn.model_.get_weights())
    assert len(sizes) == 2
    assert max(sizes) < 3.1 * of_network
