"""Ensembles for the prediction benchmarks, and the bare passes of their networks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from _common import network_pipeline
from sklearn.base import clone

from skwbc import KFoldEnsembleClassifier, make_cell_classifier
from skwbc.cnn._views import View, views_of

BATCH = 64


def to_predict(
    image_shape: tuple[int, ...],
) -> Iterator[tuple[str, KFoldEnsembleClassifier, Sequence[View]]]:
    """Yield titles, unfitted ensembles, and their test-time views."""
    views = views_of("rotations", image_shape)
    as_it_is = views[:1]
    yield "article", make_cell_classifier("article", epochs=1, random_state=0), as_it_is
    default = make_cell_classifier(epochs=1, random_state=0)
    network = clone(network_pipeline(default.estimator))
    network.set_params(cnn__test_time_augmentation=None)
    alone = clone(default).set_params(estimator=network)
    yield "compact network, one view", alone, as_it_is
    yield "default recipe, four views and colours", default, views


def bare_passes(
    networks: Sequence[keras.Model], prepared: np.ndarray, views: Sequence[View]
) -> Callable[[], None]:
    """Return a function that calls compiled networks on standardised images."""
    forward = [tf.function(partial(net, training=False)) for net in networks]

    def run() -> None:
        for pass_on in forward:
            for start in range(0, len(prepared), BATCH):
                for view in views:
                    batch = view(prepared[start : start + BATCH])
                    pass_on(np.ascontiguousarray(batch)).numpy()

    return run
