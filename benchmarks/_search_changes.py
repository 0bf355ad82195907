"""Changes to the network of the default recipe, which search.py tests one by one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

import keras
import numpy as np
from keras import layers

from skwbc.cnn._batches import Batch, Batches


class Change(NamedTuple):
    """A change to the network, its training or its augmentation.

    Attributes
    ----------
    title : str
        Its name in the tables.
    params : mapping
        For ``set_params`` of the pipeline of augmenter and network.
    around_fit : callable
        Returns a context manager to fit in, for changes that no parameter allows.
    side : int
        Side of the resized images in pixels.
    networks : int
        Number of networks, with different seeds, that vote in each member.
    colours : mapping or None
        If not None, a logistic regression on colours votes with half the weight of the
        networks; the mapping is for ``set_params`` of its pipeline.
    """

    title: str
    params: Mapping[str, Any] = {}
    around_fit: Callable[[], AbstractContextManager] = nullcontext
    side: int = 100
    networks: int = 1
    colours: Mapping[str, Any] | None = None


def residual(meta: Mapping[str, Any], filters: Any = (32, 64, 128, 256)) -> Any:
    """Build a residual network: two more convolutions, bypassed, after each pooling."""
    x = inputs = layers.Input(meta["image_shape_"])
    for stage, maps in enumerate(filters):
        x = _convolution(x, maps, *((5, 2) if stage == 0 else (3, 1)))
        if stage < len(filters) - 1:
            x = layers.MaxPooling2D(2, padding="same")(x)
        x = _rectified(x)
        if stage:
            y = _convolution(_rectified(_convolution(x, maps)), maps)
            y = layers.BatchNormalization(momentum=0.9)(y)
            x = layers.ReLU()(layers.Add()([x, y]))
    return _classified(inputs, x, meta)


def separable(meta: Mapping[str, Any], filters: Any = (32, 64, 128, 256)) -> Any:
    """Build a network of depthwise 5 x 5 and pointwise convolutions."""
    x = inputs = layers.Input(meta["image_shape_"])
    x = _convolution(x, filters[0], 5, 2)
    x = _rectified(layers.MaxPooling2D(2, padding="same")(x))
    for stage, maps in enumerate(filters[1:], start=1):
        x = layers.DepthwiseConv2D(5, padding="same", use_bias=False)(x)
        x = _convolution(_rectified(x), maps, 1)
        if stage < len(filters) - 1:
            x = layers.MaxPooling2D(2, padding="same")(x)
        x = _rectified(x)
    return _classified(inputs, x, meta)


def convnext(meta: Mapping[str, Any], filters: Any = (32, 64, 128, 256)) -> Any:
    """Build a ConvNeXt-like network: patches, layer norms, wide pointwise layers."""
    x = inputs = layers.Input(meta["image_shape_"])
    for stage, maps in enumerate(filters):
        side = 2 if stage else 4
        x = layers.Conv2D(maps, side, side, padding="same")(x)
        x = layers.LayerNormalization()(x)
        y = layers.DepthwiseConv2D(7, padding="same")(x)
        y = layers.LayerNormalization()(y)
        y = layers.Dense(2 * maps, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(maps)(y)])
    return _classified(inputs, x, meta)


def mobilenet(meta: Mapping[str, Any], weights: str | None = None) -> Any:
    """Build the narrowest MobileNetV2 of keras.applications, with weights from a file.

    In its input, each channel of an image has a mean of zero.
    """
    trunk = keras.applications.MobileNetV2(
        meta["image_shape_"], alpha=0.35, include_top=False, weights=weights
    )
    return _classified(trunk.input, trunk.output, meta)


def _convolution(x: Any, maps: int, side: int = 3, step: int = 1) -> Any:
    return layers.Conv2D(maps, side, step, padding="same", use_bias=False)(x)


def _rectified(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _classified(inputs: Any, x: Any, meta: Mapping[str, Any]) -> keras.Model:
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(
        inputs, layers.Dense(meta["n_classes_"], activation="softmax")(x)
    )


def mixup(batch: Batch, rng: np.random.Generator) -> Batch:
    """Mix each image of a batch with another one, and their targets likewise."""
    share = _share(rng)
    other = rng.permutation(len(batch.targets))
    images = share * batch.images + (1 - share) * batch.images[other]
    return _mixed(batch, images, share, other)


def cutmix(batch: Batch, rng: np.random.Generator) -> Batch:
    """Paste a rectangle of another image into each; mix targets by the areas."""
    height, width = batch.images.shape[1:3]
    other = rng.permutation(len(batch.targets))
    cut = np.sqrt(1 - _share(rng))
    top, left = rng.integers(height), rng.integers(width)
    rows = slice(max(0, int(top - cut * height / 2)), int(top + cut * height / 2))
    columns = slice(max(0, int(left - cut * width / 2)), int(left + cut * width / 2))
    images = batch.images.copy()
    images[:, rows, columns] = batch.images[other, rows, columns]
    area = images[0, rows, columns].shape[:2]
    return _mixed(batch, images, 1 - np.prod(area) / (height * width), other)


def _share(rng: np.random.Generator) -> float:
    share = rng.beta(0.4, 0.4)
    return max(share, 1 - share)


def _mixed(batch: Batch, images: Any, share: float, other: np.ndarray) -> Batch:
    targets = share * batch.targets + (1 - share) * batch.targets[other]
    return Batch(
        images.astype(np.float32), targets.astype(batch.targets.dtype), batch.weights
    )


def mixing(mix: Callable[[Batch, np.random.Generator], Batch]) -> Callable:
    """Return a context manager that applies `mix` to all batches of a training."""

    @contextmanager
    def around_fit() -> Iterator[None]:
        shuffled = Batches.shuffled

        def mixed(batches: Batches, epoch: int) -> Iterator[Batch]:
            rng = np.random.default_rng((batches.seed, epoch, 1))
            for batch in shuffled(batches, epoch):
                yield mix(batch, rng)

        with patch.object(Batches, "shuffled", mixed):
            yield

    return around_fit


def smoothing(amount: float) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(label_smoothing=amount)


def averaging(momentum: float) -> dict[str, Any]:
    """Return parameters for an exponential moving average of the weights."""
    return {
        "cnn__optimizer__use_ema": True,
        "cnn__optimizer__ema_momentum": momentum,
    }


NO_WEIGHTS = {"cnn__model__weights": None}
CHANGES = {
    "none": Change("none"),
    "random": Change("random first weights", NO_WEIGHTS),
    "random-30": Change(
        "random first weights, 30 epochs", NO_WEIGHTS | {"cnn__epochs": 30}
    ),
    "residual": Change("residual, random weights", {"cnn__model": residual}),
    "separable": Change("separable, random weights", {"cnn__model": separable}),
    "convnext": Change("ConvNeXt-like, random weights", {"cnn__model": convnext}),
    "mobilenet": Change("MobileNetV2 0.35, random weights", {"cnn__model": mobilenet}),
    "best": Change("the best epoch", {"cnn__restore_best_weights": True}),
    "one-view": Change("one view", {"cnn__test_time_augmentation": None}),
    "eight-views": Change("eight views", {"cnn__test_time_augmentation": "dihedral"}),
    "epochs-15": Change("15 epochs", {"cnn__epochs": 15}),
    "epochs-20": Change("20 epochs", {"cnn__epochs": 20}),
    "epochs-30": Change("30 epochs", {"cnn__epochs": 30}),
    "epochs-100": Change("100 epochs", {"cnn__epochs": 100}),
    "rate-5e-4": Change("learning rate 5e-4", {"cnn__optimizer__learning_rate": 5e-4}),
    "rate-4e-3": Change("learning rate 4e-3", {"cnn__optimizer__learning_rate": 4e-3}),
    "ema": Change("weights averaged (EMA, 0.98)", averaging(0.98)),
    "swa": Change(
        "constant rate 5e-4 and weights averaged (EMA, 0.99)",
        averaging(0.99)
        | {
            "cnn__learning_rate_schedule": "constant",
            "cnn__optimizer__learning_rate": 5e-4,
        },
    ),
    "batch-8": Change("batches of 8", {"cnn__batch_size": 8}),
    "decay-1e-2": Change("weight decay 0.01", {"cnn__optimizer__weight_decay": 1e-2}),
    "dropout-0.5": Change("dropout 0.5", {"cnn__model__dropout": 0.5}),
    "smoothing": Change("label smoothing 0.1", {"cnn__loss": smoothing(0.1)}),
    "mixup": Change("mixup, Beta(0.4, 0.4)", around_fit=mixing(mixup)),
    "cutmix": Change("cutmix, Beta(0.4, 0.4)", around_fit=mixing(cutmix)),
    "balanced": Change("balanced class weights", {"cnn__class_weight": "balanced"}),
    "stain": Change("stain jitter 0.05", {"augmenter__stain_jitter": 0.05}),
    "light": Change(
        "brightness 0.8 to 1.2", {"augmenter__brightness_range": (0.8, 1.2)}
    ),
    "scale": Change("scale 0.75 to 1.33", {"augmenter__zoom_range": (0.75, 1.33)}),
    "no-scale": Change("no change of scale", {"augmenter__zoom_range": 0.0}),
    "side-128": Change("images of 128 pixels", side=128),
    "two-30": Change("two networks of 30 epochs", {"cnn__epochs": 30}, networks=2),
    "three-20": Change("three networks of 20 epochs", {"cnn__epochs": 20}, networks=3),
    "four-15": Change("four networks of 15 epochs", {"cnn__epochs": 15}, networks=4),
    "colours": Change("with colours", colours={}),
    "colours-balanced": Change(
        "balanced class weights, with colours",
        {"cnn__class_weight": "balanced"},
        colours={"linear__class_weight": "balanced"},
    ),
    "colours-128": Change("images of 128 pixels, with colours", side=128, colours={}),
    "colours-two": Change("two networks, with colours", networks=2, colours={}),
    "colours-30": Change("30 epochs, with colours", {"cnn__epochs": 30}, colours={}),
    "colours-30-balanced": Change(
        "30 epochs, balanced class weights, with colours",
        {"cnn__epochs": 30, "cnn__class_weight": "balanced"},
        colours={"linear__class_weight": "balanced"},
    ),
    "colours-two-30": Change(
        "two networks of 30 epochs, with colours",
        {"cnn__epochs": 30},
        networks=2,
        colours={},
    ),
    "colours-two-40": Change(
        "two networks of 40 epochs, with colours",
        {"cnn__epochs": 40},
        networks=2,
        colours={},
    ),
    "colours-two-40-balanced": Change(
        "two networks of 40 epochs, balanced class weights, with colours",
        {"cnn__epochs": 40, "cnn__class_weight": "balanced"},
        networks=2,
        colours={"linear__class_weight": "balanced"},
    ),
    "colours-three-20": Change(
        "three networks of 20 epochs, with colours",
        {"cnn__epochs": 20},
        networks=3,
        colours={},
    ),
}
