"""The article's procedure in plain Keras of today: the baseline.

``fit_member`` trains the article's network on one fold, with Keras' generator, ``fit``,
``EarlyStopping`` and ``ModelCheckpoint``; ``fit_folds`` trains all five.
"""

import tempfile
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from sklearn.model_selection import KFold

# The generator is deprecated, and it calls deprecated functions of SciPy.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def prepare(images: np.ndarray) -> np.ndarray:
    images = images.astype("float32") / 255
    return images - images.mean(axis=(1, 2, 3), keepdims=True)


def build_network(n_classes: int = 3, side: int = 100) -> keras.Model:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((side, side, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 2, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )
    network.compile(
        loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"]
    )
    return network


def make_generator() -> ImageDataGenerator:
    return ImageDataGenerator(
        rotation_range=180, horizontal_flip=True, fill_mode="nearest"
    )


class Clock(keras.callbacks.Callback):
    """Record when each epoch begins, when its steps are done, and when it ends."""

    def __init__(self):
        super().__init__()
        self.begun, self.trained, self.ended = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(time.perf_counter())
        self.trained.append(0.0)

    def on_train_batch_end(self, batch, logs=None):
        self.trained[-1] = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.ended.append(time.perf_counter())


def fit_member(
    X: np.ndarray, codes: np.ndarray, train, held_out, *, epochs: int
) -> tuple[keras.Model, Clock]:
    """Train on standardised images, without early stopping: all epochs are timed."""
    network, clock = build_network(), Clock()
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "best.weights.h5")
        network.fit(
            make_generator().flow(X[train], codes[train], batch_size=32),
            epochs=epochs,
            verbose=0,
            validation_data=(X[held_out], codes[held_out]),
            callbacks=[
                keras.callbacks.EarlyStopping(monitor="val_loss", patience=epochs),
                keras.callbacks.ModelCheckpoint(
                    weights,
                    monitor="val_loss",
                    save_best_only=True,
                    save_weights_only=True,
                ),
                clock,
            ],
        )
        network.load_weights(weights)
    return network, clock


def fit_folds(X: np.ndarray, y: np.ndarray, *, epochs: int = 50) -> list[keras.Model]:
    X, codes = prepare(X), one_hot(y)
    folds = KFold(5, shuffle=True, random_state=0)
    return [fit_member(X, codes, *fold, epochs=epochs)[0] for fold in folds.split(X)]


def one_hot(y: np.ndarray) -> np.ndarray:
    classes, codes = np.unique(y, return_inverse=True)
    return np.eye(len(classes), dtype="float32")[codes]
