"""Fitted estimators as nodes of a graph, with one function per kind of estimator."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import skl2onnx
from skl2onnx.common import data_types
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from skwbc.augmentation import ColourStatistics, FlattenImages, ImageAugmenter
from skwbc.cnn import CNNClassifier
from skwbc.cnn._copies import predicting_copy
from skwbc.cnn._views import View, views_of
from skwbc.ensemble import SoftVotingClassifier
from skwbc.ensemble._parts import steps_of
from skwbc.export._graph import OPSET, Value
from skwbc.export._images import describe_colours, flatten, standardise

_ML_OPSET = 3


@singledispatch
def transform(transformer: Any, X: Value) -> Value:
    """Add a fitted transformer to the graph.

    Raises
    ------
    ValueError
        If it cannot be expressed in ONNX.
    """
    return _by_skl2onnx(transformer, X)


transform.register(ImageAugmenter, standardise)
transform.register(ColourStatistics, describe_colours)
transform.register(FlattenImages, flatten)


@singledispatch
def classify(classifier: Any, X: Value) -> Value:
    """Add a fitted classifier: its probabilities in float64, shape (n, n_classes).

    Raises
    ------
    ValueError
        If it cannot be expressed in ONNX.
    """
    return _by_skl2onnx(classifier, X)


@classify.register(Pipeline)
def _pipeline(pipeline: Pipeline, X: Value) -> Value:
    *others, last = steps_of(pipeline)
    for step in others:
        X = transform(step, X)
    return classify(last, X)


@classify.register(SoftVotingClassifier)
def _vote(vote: SoftVotingClassifier, X: Value) -> Value:
    classes = vote.classes_
    members = [
        align(classify(each, X), each.classes_, classes) for each in vote.estimators_
    ]
    has_class = np.array([np.isin(classes, each.classes_) for each in vote.estimators_])
    return average(members, has_class, vote._weights)


@classify.register(CNNClassifier)
def _network(cnn: CNNClassifier, X: Value) -> Value:
    images = X.cast(np.float32)
    views = views_of(cnn.test_time_augmentation, cnn.image_shape_)
    if views:
        images = _in_all_views(views, images, cnn.image_shape_)
    proba = X.graph.embed(_network_as_onnx(cnn), images)
    n_outputs = cnn.model_.output_shape[1]
    if views:
        proba = proba.reshape(len(views), -1, n_outputs).mean(0)
    if n_outputs == 1:
        other = X.graph.constant(1.0) - proba
        return other.apply("Concat", proba, axis=1)
    # Like the classifier, return equal probabilities if all outputs are zero.
    total = proba.sum(1)
    is_zero = total.apply("Equal", 0.0, dtype=bool)
    return is_zero.apply("Where", 1 / n_outputs, proba / total, dtype=np.float64)


def align(proba: Value, classes: np.ndarray, all_classes: np.ndarray) -> Value:
    """Move columns to their places among all classes; the other columns are zero."""
    if len(classes) == len(all_classes):
        return proba
    places = np.searchsorted(all_classes, classes)
    return proba @ np.eye(len(all_classes))[places]


def average(
    members: Sequence[Value], has_class: np.ndarray, weights: np.ndarray
) -> Value:
    """Average each class over the members that have it, as ``average_members`` does.

    Parameters
    ----------
    members : sequence of Value
        Probabilities of shape (n, n_classes), 0 for classes that a member lacks.
    has_class : ndarray of shape (n_members, n_classes), bool
        Whether each member was trained on each class.
    weights : ndarray of shape (n_members,)
        Weights of the members.

    Returns
    -------
    Value
    """
    first, *others = (
        member * weight for member, weight in zip(members, weights, strict=True)
    )
    votes = weights @ has_class
    # A class that no member has stays at zero.
    mean = first.apply("Sum", *others) / np.where(votes, votes, 1.0)
    return mean if has_class.all() else mean / mean.sum(1)


def _in_all_views(
    views: Sequence[View], images: Value, image_shape: tuple[int, ...]
) -> Value:
    """Stack the images in each view; a view only moves pixels to other places."""
    height, width, n_channels = image_shape
    pixels = images.reshape(0, -1, n_channels)
    places = np.arange(height * width, dtype=np.int32).reshape(1, height, width)
    first, *others = (
        pixels.apply("Gather", view(places).ravel(), axis=1) for view in views
    )
    return first.apply("Concat", *others, axis=0).reshape(-1, *image_shape)


def _network_as_onnx(cnn: CNNClassifier) -> onnx.ModelProto:
    network = predicting_copy(cnn.model_, cnn.image_shape_)
    # Keras exports only a network that has been called.
    network(np.zeros((1, *cnn.image_shape_), np.float32), training=False)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "network.onnx")
        try:
            network.export(path, format="onnx", verbose=False, opset_version=OPSET)
            model = onnx.load(path)
            # The converter keeps operators that ONNX lacks; the checker rejects them.
            onnx.checker.check_model(model)
        except Exception as error:
            # The conversion of a layer may raise anything.
            raise ValueError(
                f"its network cannot be written as ONNX. The converter raised "
                f"{type(error).__name__}: {error}"
            ) from error
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the messages and warnings of tf2onnx, but not its errors."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _by_skl2onnx(estimator: Any, X: Value) -> Value:
    """Add a transformer of scikit-learn, or the probabilities of a classifier."""
    n_features = estimator.n_features_in_
    classifies = is_classifier(estimator)
    options = {id(estimator): {"zipmap": False}} if classifies else None
    # Some converters do not support double precision.
    for dtype, tensor_type in (
        (np.float64, data_types.DoubleTensorType),
        (np.float32, data_types.FloatTensorType),
    ):
        try:
            model = skl2onnx.to_onnx(
                estimator,
                initial_types=[("X", tensor_type([None, n_features]))],
                options=options,
                target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
            )
        except Exception as error:
            # Converters raise errors of many classes.
            root = error.__cause__ or error
            reason = f"{type(root).__name__}: {root}".splitlines()[0]
            continue
        return X.graph.embed(model, X.cast(dtype), int(classifies))
    raise ValueError(
        f"a {type(estimator).__name__} cannot be written as ONNX. skl2onnx raised "
        f"{reason}"
    )
