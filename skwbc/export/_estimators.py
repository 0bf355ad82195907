"""Fitted estimators as nodes of a graph, with one function per kind of estimator."""

import logging
import sys
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
from sklearn.pipeline import FeatureUnion, Pipeline

from skwbc._utils.discriminant import BalancedDiscriminant
from skwbc.augmentation import ColourStatistics, FlattenImages, ImageAugmenter
from skwbc.cnn import CNNClassifier, NetworkFeatures
from skwbc.cnn._copies import predicting_copy
from skwbc.cnn._features import SHORTEST, resizing
from skwbc.cnn._frozen import KerasEncoder
from skwbc.cnn._views import View, views_of
from skwbc.ensemble import SoftVotingClassifier
from skwbc.ensemble._parts import steps_of, transformers_of
from skwbc.ensemble._together import Answer, spaces_of
from skwbc.ensemble._typicality import (
    LEAST_RATIO,
    N_NEIGHBOURS,
    ROUNDING,
    Sufficient,
    sufficient,
)
from skwbc.export._graph import OPSET, Value, join
from skwbc.export._images import describe_colours, describe_look, flatten, standardise

_OPSETS = {"": OPSET, "ai.onnx.ml": 3}


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


@transform.register(FeatureUnion)
def _join(union: FeatureUnion, X: Value) -> Value:
    if union.transformer_weights:
        raise ValueError(
            "a FeatureUnion with transformer_weights cannot be written as ONNX."
        )
    parts = (transform(each, X).cast(np.float64) for each in transformers_of(union))
    return join("Concat", parts, axis=1)


@transform.register(NetworkFeatures)
def _describe(features: NetworkFeatures, X: Value) -> Value:
    if features.preprocessing is not None:
        raise ValueError(
            "a NetworkFeatures has a preprocessing, which is Python code. Make it part "
            "of the network."
        )
    key = (features._transform_key, X.name)
    return X.graph.once(key, lambda: _add_features(features, X))


def _add_features(features: NetworkFeatures, X: Value) -> Value:
    if len(features._parts) == 1:
        return _see(features, X)
    places = [np.arange(part.start, part.stop) for part in features._parts]
    channels = [_see(features, X.apply("Gather", each, axis=3)) for each in places]
    return join("Concat", channels, axis=1)


def _see(features: NetworkFeatures, X: Value) -> Value:
    height, width, n_channels = shape = features._input_shape
    images = X.cast(np.float32)
    if features.white_level_ != 255:
        images *= 255 / features.white_level_
    if shape[:2] != features.image_shape_[:2]:
        images = images.apply("Transpose", perm=[0, 3, 1, 2])
        images = images @ resizing(features.image_shape_[1], width).T
        images = images.apply("Transpose", perm=[0, 1, 3, 2])
        images = images @ resizing(features.image_shape_[0], height).T
        images = images.apply("Transpose", perm=[0, 3, 2, 1])
    if features.image_shape_[2] != n_channels:
        images = images.apply("Concat", *[images] * (n_channels - 1), axis=3)
    if features._centres:
        images /= 255
        images -= images.mean(1, 2, 3, keepdims=True).cast(np.float32)
    encoder = features._encoder
    if not isinstance(encoder, KerasEncoder):
        raise ValueError(
            "the network of a NetworkFeatures comes from another ONNX file. Only Keras "
            "networks can become part of the file."
        )
    return _run_network(encoder.network, images, shape, views_of(features.views, shape))


@singledispatch
def classify(classifier: Any, X: Value) -> Answer:
    """Add a fitted classifier: its probabilities in float64, shape (n, n_classes).

    The answer is that of ``answer_together`` for the classifier.

    Raises
    ------
    ValueError
        If it cannot be expressed in ONNX.
    """
    return Answer(_by_skl2onnx(classifier, X), [X])


@classify.register(Pipeline)
def _pipeline(pipeline: Pipeline, X: Value) -> Answer:
    *others, last = steps_of(pipeline)
    spaces = []
    for step in others:
        spaces += spaces_of(step, X, _spaces, transform)
        X = transform(step, X)
    proba, of_last = classify(last, X)
    return Answer(proba, spaces + of_last)


def _spaces(step: Any, X: Value) -> list[Any]:
    """Return the spaces that `answer_together` has of a transformer."""
    if isinstance(step, ImageAugmenter) and step._appearance is not None:
        return describe_look(X, step.image_shape_, step._appearance["white"])
    if isinstance(step, NetworkFeatures):
        maps = transform(step, X).cast(np.float64)
        lengths = (maps * maps).sum(1).apply("Sqrt")
        directions = maps / lengths.apply("Max", SHORTEST)
        look = describe_look(X, step.image_shape_, step.white_level_)
        return [Sufficient(each) for each in (directions, *look)]
    return []


@classify.register(BalancedDiscriminant)
def _discriminant(classifier: BalancedDiscriminant, X: Value) -> Answer:
    scores = X.cast(np.float64) @ classifier.coef_.T + classifier.intercept_
    return Answer(scores.apply("Softmax", axis=1), [X])


@classify.register(SoftVotingClassifier)
def _vote(vote: SoftVotingClassifier, X: Value) -> Answer:
    classes = vote.classes_
    probas, spaces = zip(*(classify(each, X) for each in vote.estimators_), strict=True)
    labels = [each.classes_ for each in vote.estimators_]
    members = [align(*pair, classes) for pair in zip(probas, labels, strict=True)]
    has_class = np.array([np.isin(classes, each) for each in labels])
    proba = average(members, has_class, vote._weights)
    # As `join_spaces` does.
    joined = dict.fromkeys(each for some in spaces for each in some)
    return Answer(proba, list(joined))


@classify.register(CNNClassifier)
def _network(cnn: CNNClassifier, X: Value) -> Answer:
    shape = cnn.image_shape_
    network = cnn._network_with_maps()
    views = views_of(cnn.test_time_augmentation, shape)
    outputs = _run_network(network, X.cast(np.float32), shape, views)
    n_columns, n_outputs = network.output_shape[1], cnn.model_.output_shape[1]
    n_maps = n_columns - n_outputs
    proba = outputs.apply("Slice", [n_maps], [n_columns], [1])
    spaces = [outputs.apply("Slice", [0], [n_maps], [1])] if n_maps else []
    if n_outputs == 1:
        other = X.graph.constant(1.0) - proba
        return Answer(other.apply("Concat", proba, axis=1), spaces)
    # Like the classifier, return equal probabilities if all outputs are zero.
    total = proba.sum(1)
    is_zero = total.apply("Equal", 0.0, dtype=bool)
    proba = is_zero.apply("Where", 1 / n_outputs, proba / total, dtype=np.float64)
    return Answer(proba, spaces)


def typicality(typical: dict[str, Any], spaces: Sequence[Sequence[Value]]) -> Value:
    """Add the p-values that ``p_values`` computes, of shape (n,)."""
    counts, n_compared = [], 0
    of_members = zip(typical["references"], typical["held_out"], spaces, strict=True)
    for references, own, of_member in of_members:
        if not references:
            continue
        pairs = zip(references, sufficient(of_member), strict=True)
        ratios = [ratio for pair in pairs for ratio in _distances(*pair)]
        with_spread = zip(ratios, typical["spread"], strict=True)
        scores = (d.apply("Max", LEAST_RATIO).apply("Log") / s for d, s in with_spread)
        score = join("Max", scores) - ROUNDING
        is_less = score.apply("LessOrEqual", own[np.newaxis], dtype=bool)
        counts.append(is_less.cast(np.float64).sum(1))
        n_compared += len(own)
    n = typical["n_samples"]
    p = (join("Sum", counts) * (n / n_compared) + 1) / (n + 1)
    return p.reshape(-1)


def _distances(reference: dict[str, np.ndarray], space: Value) -> list[Value]:
    places, left_over = space.cast(np.float64), []
    points, unit = reference["points"], reference["unit"]
    if "components" in reference:
        x = (places - reference["mean"]) / reference["scale"]
        places = x @ _double(space, reference["components"].T)
        rest = x - places @ _double(space, reference["components"])
        left_over = [(rest * rest).sum(1).apply("Sqrt") / unit[1]]
    of_points = (points.astype(np.float64) ** 2).sum(axis=1)
    squares = (places * places).sum(1) + of_points
    squares -= places @ _double(space, points.T) * 2
    squares = squares.apply("Max", 0.0)
    n_neighbours = min(N_NEIGHBOURS, len(points))
    nearest = squares.apply("TopK", [n_neighbours], axis=1, largest=0, n_outputs=2)
    near = nearest.apply("Sqrt").mean(1, keepdims=True)
    return [near / unit[0], *left_over]


def _double(space: Value, array: np.ndarray) -> Value:
    # Stored in its own precision, which keeps the file small.
    return space.graph.constant(array).cast(np.float64)


def align(proba: Value, classes: np.ndarray, all_classes: np.ndarray) -> Value:
    """Move columns to their places among all classes; the other columns are zero."""
    if len(classes) == len(all_classes):
        return proba
    places = np.searchsorted(all_classes, classes)
    return proba @ np.eye(len(all_classes))[places]


def average(members: Sequence[Value], known: np.ndarray, weights: np.ndarray) -> Value:
    """Average each class over the members that have it, as ``average_members`` does.

    Parameters
    ----------
    members : sequence of Value
        Probabilities of shape (n, n_classes), 0 for classes that a member lacks.
    known : ndarray of shape (n_members, n_classes), bool
        Whether each member was trained on each class.
    weights : ndarray of shape (n_members,)
        Weights of the members.

    Returns
    -------
    Value
    """
    weighted = (m * weight for m, weight in zip(members, weights, strict=True))
    votes = weights @ known
    # A class that no member has stays at zero.
    mean = join("Sum", weighted) / np.where(votes, votes, 1.0)
    return mean if known.all() else mean / mean.sum(1)


def _run_network(
    network: Any, images: Value, shape: tuple[int, ...], views: Sequence[View]
) -> Value:
    """Add a Keras network: the mean of its outputs over views of the images."""
    if views:
        images = _in_views(views, images, shape)
    outputs = images.graph.embed(_network_as_onnx(network, shape), images)
    if views:
        outputs = outputs.reshape(len(views), -1, network.output_shape[1]).mean(0)
    return outputs


def _in_views(views: Sequence[View], images: Value, shape: tuple[int, ...]) -> Value:
    """Stack the images in each view; a view only moves pixels to other places."""
    height, width, n_channels = shape
    pixels = images.reshape(0, -1, n_channels)
    places = np.arange(height * width, dtype=np.int32).reshape(1, height, width)
    moved = [view(places).ravel() for view in views]
    in_views = (pixels.apply("Gather", each, axis=1) for each in moved)
    return join("Concat", in_views, axis=0).reshape(-1, *shape)


def _network_as_onnx(network: Any, shape: tuple[int, ...]) -> onnx.ModelProto:
    network = predicting_copy(network, shape)
    # Keras exports only a network that has been called.
    network(np.zeros((1, *shape), np.float32), training=False)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "network.onnx")
        try:
            network.export(path, format="onnx", verbose=False, opset_version=OPSET)
            model = onnx.load(path)
            # The converter keeps operators that ONNX lacks; the checker rejects them.
            onnx.checker.check_model(model)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), folder) from error
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
    level, writes_no_bytecode = logger.level, sys.dont_write_bytecode
    logger.setLevel(logging.CRITICAL)
    # TensorFlow imports code that it generates from files in the temporary folder, and
    # would leave the bytecode there.
    sys.dont_write_bytecode = True
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
        sys.dont_write_bytecode = writes_no_bytecode


def _by_skl2onnx(estimator: Any, X: Value) -> Value:
    """Add a transformer of scikit-learn, or the probabilities of a classifier."""
    n_features = estimator.n_features_in_
    classifies = is_classifier(estimator)
    options = {id(estimator): {"zipmap": False}} if classifies else None
    settings: dict[str, Any] = {"options": options, "target_opset": _OPSETS}
    # Some converters do not support double precision.
    for dtype, tensor_type in (
        (np.float64, data_types.DoubleTensorType),
        (np.float32, data_types.FloatTensorType),
    ):
        try:
            types = [("X", tensor_type([None, n_features]))]
            model = skl2onnx.to_onnx(estimator, initial_types=types, **settings)
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
