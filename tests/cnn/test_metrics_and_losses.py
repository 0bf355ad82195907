"""Names and values of metrics, targets for losses, and wrong optimizers."""

import keras
import numpy as np
import pytest
from keras.metrics import AUC, F1Score
from numpy.testing import assert_array_equal

from skwbc import CNNClassifier, KFoldEnsembleClassifier, build_compact_cnn
from skwbc.cnn._compiled import reuse
from skwbc.cnn._compiled.identity import Kept
from skwbc.cnn._losses import encoder_for


def tiny(**params):
    defaults = {"model__filters": (4,), "epochs": 1, "random_state": 0}
    return CNNClassifier(**{**defaults, **params})


def names_of(cnn, X, y):
    return [*cnn.fit(X, y).history_][1:]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: "AUC", ["auc"]),
        (lambda: ["Precision", "Recall"], ["precision", "recall"]),
        (lambda: [AUC, "accuracy"], ["auc", "accuracy"]),
        (lambda: AUC(), ["auc"]),
        (lambda: {"any": [AUC()]}, ["auc"]),
        (lambda: [AUC(), [AUC(curve="PR")]], ["auc", "auc_1"]),
        (lambda: [AUC(name="mine"), AUC()], ["mine", "auc"]),
        (lambda: [F1Score(average="macro")], ["f1_score"]),
        (lambda: None, []),
    ],
)
def test_metrics_have_the_same_names_in_each_fit(X, y, make, names):
    for _ in range(2):
        cnn = tiny(metrics=make())
        # A fit changes no metric that belongs to the user.
        before = repr(cnn.metrics)
        assert names_of(cnn, X, y) == names == names_of(cnn, X, y)
        assert repr(cnn.metrics) == before


@keras.saving.register_keras_serializable("tests")
class Watched(keras.layers.Layer):
    """A layer with a metric of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.brightness = keras.metrics.Mean()

    def call(self, x):
        self.brightness.update_state(x)
        return x


def test_names_of_metrics_in_the_builder(X, y):
    def build(meta):
        layers = [keras.Input(meta["image_shape_"]), Watched(), keras.layers.Flatten()]
        layers.append(keras.layers.Dense(3, activation="softmax"))
        network = keras.Sequential(layers)
        weighted = [AUC(), AUC(name="mine")]
        network.compile("sgd", "mse", metrics=[AUC(), "AUC"], weighted_metrics=weighted)
        return network

    for _ in range(2):
        names = names_of(CNNClassifier(build, epochs=1), X, y)
        assert names == ["auc", "AUC", "auc_1", "mine", "mean"]


def test_monitor_in_all_folds_of_an_ensemble(X, y, monkeypatch):
    monkeypatch.setattr(reuse, "_trainers", Kept(8))
    updates = []
    update = AUC.update_state
    monkeypatch.setattr(
        AUC,
        "update_state",
        lambda *args, **kw: updates.append(1) or update(*args, **kw),
    )
    cnn = tiny(metrics=["AUC"], monitor="val_auc", epochs=3)
    ensemble = KFoldEnsembleClassifier(cnn, cv=2).fit(X, y)
    for member in ensemble.estimators_:
        assert member.best_epoch_ == np.argmax(member.history_["val_auc"]) + 1
    # Everything was compiled in the first fit.
    assert updates
    updates.clear()
    cnn.fit(X, y, X_val=X, y_val=y)
    assert not updates


class Own(keras.metrics.Metric):
    """A metric that returns what it is told."""

    def __init__(self, result, **kwargs):
        super().__init__(**kwargs)
        self.value = result

    def update_state(self, *args, **kwargs):
        pass

    def result(self):
        return keras.tree.map_structure(keras.ops.convert_to_tensor, self.value)


def test_metrics_of_other_classes_are_not_changed(X, y):
    own, weighted = Own(1.0), keras.metrics.Precision()
    for _ in range(2):
        own.name, weighted.name = "own_7", "precision_8"
        cnn = tiny(metrics=[own], compile__weighted_metrics=[weighted])
        assert names_of(cnn, X, y) == ["own", "precision"]
        assert (own.name, weighted.name) == ("own_7", "precision_8")


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(
    "metric", ["F1Score", lambda: Own(np.ones(3), name="f1_score")]
)
def test_metrics_with_several_values(X, y, eagerly, metric):
    metric = metric if isinstance(metric, str) else metric()
    cnn = tiny(metrics=[metric], compile__run_eagerly=eagerly)
    with pytest.raises(ValueError, match=r"'f1_score' has 3 values.*average='macro'"):
        cnn.fit(X, y)
    assert not hasattr(cnn, "classes_")


def test_metrics_in_a_dict_are_recorded_by_their_own_names(X, y):
    cnn = tiny(metrics=[Own({"one": 1.0, "two": 2.0})], monitor="val_loss")
    history = cnn.fit(X, y, X_val=X, y_val=y).history_
    assert {name: values for name, values in history.items() if "loss" not in name} == {
        "one": [1], "two": [2], "val_one": [1], "val_two": [2],
    }  # fmt: skip


def calls_a_sparse_loss(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def picks(y_true, y_pred):
    """Take class numbers; with one-hot rows it runs, but picks the wrong outputs."""
    index = keras.ops.cast(y_true, "int32")
    index = index if len(index.shape) == 2 else index[:, None]
    return -keras.ops.log(keras.ops.take_along_axis(y_pred, index, axis=-1))


def takes_both(y_true, y_pred):
    if len(y_true.shape) == 1:
        y_true = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), y_pred.shape[-1])
    return keras.losses.categorical_crossentropy(y_true, y_pred)


NUMBERS = [
    "sparse_categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy(ignore_class=0, name="mine"),
    keras.losses.CategoricalGeneralizedCrossEntropy(),
    keras.losses.CategoricalGeneralizedCrossEntropy(reduction=None),
    [calls_a_sparse_loss],
    picks,
]
ONE_HOT = [
    "categorical_crossentropy",
    "ce",
    keras.losses.CategoricalCrossentropy(label_smoothing=0.3, reduction="none"),
    {"output": keras.losses.CategoricalFocalCrossentropy()},
    keras.losses.KLDivergence(),
    keras.losses.mean_squared_error,
    "binary_crossentropy",
    "cosine_similarity",
    "hinge",
    "categorical_hinge",
    "dice",
    "mape",
    takes_both,
    lambda y_true, y_pred: 0 * keras.ops.sum(y_pred, axis=-1),
]


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_targets_that_a_loss_takes(n_classes):
    codes = np.arange(n_classes)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(n_classes)])
    for loss in NUMBERS + ONE_HOT:
        network.compile(loss=loss)
        targets = encoder_for(network, n_classes)(codes)
        one_hot = any(loss is each for each in ONE_HOT)
        assert_array_equal(targets, np.eye(n_classes) if one_hot else codes)
        assert targets.dtype == (np.float32 if one_hot else codes.dtype)


def test_losses_that_take_numbers_train(X, y):
    expected = tiny(epochs=2).fit(X, y)
    sparse = tiny(epochs=2, loss="sparse_categorical_crossentropy").fit(X, y)
    called = tiny(epochs=2, loss=calls_a_sparse_loss).fit(X, y)
    for cnn in sparse, called:
        assert cnn.history_["accuracy"] == expected.history_["accuracy"]
        losses = expected.history_["loss"]
        assert cnn.history_["loss"] == pytest.approx(losses, rel=1e-3)
    robust = keras.losses.CategoricalGeneralizedCrossEntropy(q=0.99)
    loss = tiny(loss=robust, optimizer__learning_rate=1e-30).fit(X, y).history_["loss"]
    assert 0.5 < loss[0] < 0.8  # about 1 - 1 / n_classes at the start


def test_trying_a_loss_leaves_no_trace():
    class Noisy(keras.losses.Loss):
        seeds = keras.random.SeedGenerator(0)

        def call(self, y_true, y_pred):
            noise = keras.random.uniform(y_pred.shape, seed=self.seeds)
            return (
                keras.losses.categorical_crossentropy(y_true, y_pred) + 0 * noise[:, 0]
            )

    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    network.compile(loss=Noisy())
    before = Noisy.seeds.state.numpy()
    encoder_for(network, 3)
    assert_array_equal(Noisy.seeds.state.numpy(), before)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalGeneralizedCrossEntropy(),
        calls_a_sparse_loss,
        "cosine_similarity",
        "categorical_crossentropy",
    ],
)
def test_losses_that_do_not_work_with_a_single_output(loss):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile(loss=loss)
    with pytest.raises(ValueError, match="single output.*loss='binary_crossentropy'"):
        encoder_for(network, 2)
    for fitting in (
        "binary_crossentropy",
        "ce",
        "mse",
        "hinge",
        "binary_focal_crossentropy",
    ):
        network.compile(loss=fitting)
        assert_array_equal(encoder_for(network, 2)(np.arange(2)), [[0], [1]])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optimizer": None}, "optimizer=None; expected a Keras optimizer"),
        ({"optimizer": 3}, "optimizer=3; expected"),
        ({"optimizer": "adamant"}, "optimizer='adamant'; expected"),
        ({"optimizer": keras.losses.Dice}, "optimizer=<class .*Dice'>; expected"),
        ({"loss": None}, "loss=None; expected one Keras loss"),
        ({"loss": [None]}, r"loss=\[None\]; expected one Keras loss"),
        ({"loss": []}, r"loss=\[\]; expected"),
        ({"loss": 3}, "loss=3; expected"),
        ({"loss": "cross"}, "loss='cross'; expected"),
        # Keras would use the first only.
        ({"loss": ["mse", "mae"]}, "loss=.* expected one Keras loss"),
        ({"loss": keras.optimizers.SGD()}, "loss=<.*SGD.*; expected"),
        ({"loss": AUC}, "loss=<.*AUC.*; expected"),
        ({"loss": "ctc"}, "The loss ctc works neither with one-hot rows, where"),
        ({"metrics": 3}, "The 'metrics' parameter"),
        ({"metrics": [None]}, r"metrics=\[None\]; expected None or Keras metrics"),
        ({"metrics": ["auk"]}, r"metrics=\['auk'\]; expected"),
        ({"metrics": keras.optimizers.SGD}, "metrics=<class .*SGD'>; expected"),
    ],
)  # fmt: skip
def test_wrong_optimizers_losses_and_metrics(X, y, params, message):
    with pytest.raises(ValueError, match=message):
        tiny(**params).fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": None, "loss": "mse"}, "with optimizer=None; expected a Keras"),
        ({"loss": None}, "with loss=None; expected one loss"),
    ],
)
def test_networks_that_are_compiled_incompletely(X, y, arguments, message):
    def build(meta):
        network = build_compact_cnn(meta, filters=(4,))
        network.compile(**arguments)
        return network

    with pytest.raises(ValueError, match=message):
        CNNClassifier(build).fit(X, y)
