"""Estimators as nodes of a graph, one function for each kind."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from skwbc.cnn._views import KINDS
from skwbc.ensemble import SoftVotingClassifier
from skwbc.export._graph import OPSET, Graph, Value
from skwbc.export._images import describe_colours, flatten, standardise

_ML_OPSET = 3
_TRANSFORMERS: dict[type, Callable[[Any, Graph, Value], Value]] = {
    ImageAugmenter: standardise,
    ColourStatistics: describe_colours,
    FlattenImages: flatten,
}


def transform(transformer: Any, graph: Graph, X: Value) -> Value:
    """Add what a fitted transformer does.

    Raises
    ------
    ValueError
        If ONNX cannot say it.
    """
    if isinstance(transformer, str | None):
        return X  # "passthrough" in a pipeline
    for kind, convert in _TRANSFORMERS.items():
        if isinstance(transformer, kind):
            return convert(transformer, graph, X)
    return _by_skl2onnx(transformer, graph, X)


def classify(classifier: Any, graph: Graph, X: Value) -> Value:
    """Add what a fitted classifier makes of samples: float64, shape (n, n_classes).

    Raises
    ------
    ValueError
        If ONNX cannot say it.
    """
    if isinstance(classifier, Pipeline):
        for _, step in classifier.steps[:-1]:
            X = transform(step, graph, X)
        return classify(classifier.steps[-1][1], graph, X)
    if isinstance(classifier, SoftVotingClassifier):
        members = [
            placed(classify(each, graph, X), each.classes_, classifier.classes_, graph)
            for each in classifier.estimators_
        ]
        known = [
            np.isin(classifier.classes_, m.classes_) for m in classifier.estimators_
        ]
        return average(members, np.array(known), classifier._weights, graph)
    if isinstance(classifier, CNNClassifier):
        return _classify_images(classifier, graph, X)
    return _by_skl2onnx(classifier, graph, X)


def placed(proba: Value, own: np.ndarray, all_: np.ndarray, graph: Graph) -> Value:
    """Put the columns of some classes among those of all, with zeros between them."""
    if len(own) == len(all_):
        return proba
    places = np.searchsorted(all_, own)
    return graph.add("MatMul", proba, graph.constant(np.eye(len(all_))[places]))


def average(
    members: Sequence[Value], known: np.ndarray, weights: np.ndarray, graph: Graph
) -> Value:
    """Average over the members that know each class, as ``average_members`` does.

    Parameters
    ----------
    members : sequence of Value
        Probabilities of shape (n, n_classes); 0 for a class that is not known.
    known : ndarray of shape (n_members, n_classes), bool
        Which classes each of them knows.
    weights : ndarray of shape (n_members,)
        What each of them counts.
    graph : Graph
        To which it is added.

    Returns
    -------
    Value
    """
    shares = [
        graph.add("Mul", member, graph.constant(weight, np.float64))
        for member, weight in zip(members, weights, strict=True)
    ]
    total = graph.add("Sum", *shares)
    votes = weights @ known
    # What nobody knows stays zero.
    mean = graph.add("Div", total, graph.constant(np.where(votes, votes, 1.0)))
    if known.all():
        return mean
    return _scaled(mean, graph)


def _scaled(proba: Value, graph: Graph) -> Value:
    """Bring rows to a sum of one."""
    total = graph.add("ReduceSum", proba, graph.constant([1], np.int64), keepdims=1)
    return graph.add("Div", proba, total)


def _classify_images(cnn: CNNClassifier, graph: Graph, X: Value) -> Value:
    images = graph.cast(X, np.float32)
    views = [images]
    if cnn.test_time_augmentation:
        views = _views_of(cnn.test_time_augmentation, graph, images, cnn.image_shape_)
        images = graph.add("Concat", *views, axis=0)
    proba = graph.embed(_network_as_onnx(cnn), images)
    n_outputs = cnn.model_.output_shape[1]
    if len(views) > 1:
        proba = graph.reshape(proba, len(views), -1, n_outputs)
        proba = graph.mean(proba, 0)
    if n_outputs == 1:
        other = graph.add("Sub", graph.constant(1.0), proba)
        return graph.add("Concat", other, proba, axis=1)
    # As in the classifier, all classes are alike if each has a probability of zero.
    total = graph.add("ReduceSum", proba, graph.constant([1], np.int64), keepdims=1)
    none = graph.add("Equal", total, graph.constant(0.0), dtype=bool)
    alike = graph.constant(1 / n_outputs)
    return graph.add("Where", none, alike, _scaled(proba, graph), dtype=np.float64)


def _views_of(
    kind: str, graph: Graph, images: Value, image_shape: tuple[int, ...]
) -> list[Value]:
    """Turn and flip as the classifier's ``views_of`` does, in the same order."""

    def reversed_(value: Value, axis: int) -> Value:
        # From the last to before the first.
        bounds = (np.array([each], np.int64) for each in (-1, np.iinfo(np.int64).min))
        start, end = map(graph.constant, bounds)
        step = graph.constant([-1], np.int64)
        return graph.add(
            "Slice", value, start, end, graph.constant([axis], np.int64), step
        )

    height, width = image_shape[:2]
    views = []
    for flip in KINDS[kind]:
        flipped = images if flip == 1 else reversed_(images, 2)
        half = reversed_(reversed_(flipped, 1), 2)
        if height != width:
            views += [flipped, half]
            continue
        swapped = graph.add("Transpose", flipped, perm=[0, 2, 1, 3])
        views += [flipped, reversed_(swapped, 1), half, reversed_(swapped, 2)]
    return views


def _network_as_onnx(cnn: CNNClassifier) -> onnx.ModelProto:
    network = predicting_copy(cnn.model_, cnn.image_shape_)
    # Keras wants to have seen it at work.
    network(np.zeros((1, *cnn.image_shape_), np.float32), training=False)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "network.onnx")
        try:
            network.export(path, format="onnx", verbose=False, opset_version=OPSET)
            model = onnx.load(path)
            # Operators that ONNX does not have are left as they are.
            onnx.checker.check_model(model)
        except Exception as error:
            # Whatever a layer's conversion may raise.
            raise ValueError(
                f"its network cannot be written as ONNX. The converter says: "
                f"{type(error).__name__}: {error}"
            ) from error
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what tf2onnx says besides what is raised."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _by_skl2onnx(estimator: Any, graph: Graph, X: Value) -> Value:
    """Add what an estimator of scikit-learn transforms to, or its probabilities."""
    n_features = estimator.n_features_in_
    classifies = is_classifier(estimator)
    options = {id(estimator): {"zipmap": False}} if classifies else None
    reasons = []
    # Not every converter knows double precision.
    for dtype, kind in (
        (np.float64, data_types.DoubleTensorType),
        (np.float32, data_types.FloatTensorType),
    ):
        try:
            model = skl2onnx.to_onnx(
                estimator,
                initial_types=[("X", kind([None, n_features]))],
                options=options,
                target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
            )
        except Exception as error:
            # It has many ways to say that it cannot.
            root = error.__cause__ or error
            reasons.append(f"{type(root).__name__}: {root}".splitlines()[0])
            continue
        return graph.embed(model, graph.cast(X, dtype), int(classifies))
    raise ValueError(
        f"a {type(estimator).__name__} cannot be written as ONNX. skl2onnx says: "
        f"{reasons[-1]}"
    )
