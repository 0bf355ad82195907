"""Ensembles for the prediction benchmarks, and the bare passes of their networks."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from unittest.mock import patch

import numpy as np
import tensorflow as tf
from _common import frozen_features, network_pipeline
from sklearn.base import clone

from skwbc import KFoldEnsembleClassifier, make_cell_classifier
from skwbc._utils import row_cache
from skwbc.cnn._views import views_of

BATCH = 64


def to_predict() -> Iterator[tuple[str, KFoldEnsembleClassifier]]:
    """Yield titles and unfitted ensembles."""
    yield "article", make_cell_classifier("article", epochs=1, random_state=0)
    default = make_cell_classifier(epochs=1, random_state=0)
    network = clone(network_pipeline(default.estimator))
    network.set_params(cnn__test_time_augmentation=None)
    yield "compact network, one view", clone(default).set_params(estimator=network)
    yield "default recipe", default


def bare_passes(
    ensemble: KFoldEnsembleClassifier, images: np.ndarray
) -> Callable[[], None]:
    """Return a function that calls the compiled networks on prepared images."""
    members = [network_pipeline(member) for member in ensemble.estimators_]
    prepared = np.asarray(members[0]["augmenter"].transform(images))
    kind = members[0]["cnn"].test_time_augmentation
    views = views_of(kind, images.shape[1:]) or [np.asarray]
    passes = [(member["cnn"].model_, prepared, views) for member in members]
    if frozen := frozen_features(ensemble.estimators_[0]):
        # The members have the same one.
        inputs = frozen._as_inputs(np.float32(images))
        views = views_of(frozen.views, inputs.shape[1:])
        passes.append((frozen._encoder.network, inputs, views))
    compiled = [
        (tf.function(partial(network, training=False)), inputs, views)
        for network, inputs, views in passes
    ]

    def run() -> None:
        for pass_on, inputs, views in compiled:
            for start in range(0, len(inputs), BATCH):
                for view in views:
                    batch = view(inputs[start : start + BATCH])
                    pass_on(np.ascontiguousarray(batch)).numpy()

    return run


def computed_anew() -> AbstractContextManager:
    """Return a context in which no features of images are kept for the next time."""
    return patch.multiple(row_cache, _rows=OrderedDict(), _MOST_ROWS=0)
