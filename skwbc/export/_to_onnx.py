"""Writing a fitted ensemble as one ONNX file."""

import io
import os
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.files import replacing
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.version import __version__
from skwbc.augmentation import ImageAugmenter
from skwbc.augmentation._standardise import Standardisation
from skwbc.ensemble import KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.ensemble._averaging import average_members
from skwbc.ensemble._parts import expected_image_shape
from skwbc.export._format import MEMBERS, PROBA, SAMPLES, Details, encode

_NEEDED = ("onnx", "onnxruntime", "skl2onnx", "tf2onnx")
# At the most between what the ensemble and the file say of the same samples.
_TOLERANCE = 1e-5
_N_TRIED = 4


def to_onnx(
    ensemble: KFoldEnsembleClassifier,
    path: str | os.PathLike,
    *,
    input_dtype: str = "uint8",
) -> None:
    """Write a fitted ensemble as one ONNX file, which needs no TensorFlow.

    Everything is inside: how images are standardised, all members, their average. The
    file is tried on random samples before it replaces what may stand at `path`: it says
    the same as the ensemble, to 0.00001.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted. Its members are made of :class:`~skwbc.CNNClassifier`,
        :class:`~skwbc.ImageAugmenter`, :class:`~skwbc.ColourStatistics`,
        :class:`~skwbc.FlattenImages`, :class:`~skwbc.SoftVotingClassifier`, pipelines,
        and estimators of scikit-learn that skl2onnx knows.
    path : str or path-like
        The file. Its folder has to exist.
    input_dtype : {"uint8", "float32"}, default="uint8"
        Type of the images that the file takes, with values on the scale of the training
        images. An ensemble that is trained on rows of features takes float64.

    Raises
    ------
    ValueError
        If the ensemble, or a part of it, cannot be written as ONNX. Nothing is written
        then.
    ImportError
        If what the extra ``onnx`` installs is missing.
    OSError
        If the file cannot be written.

    See Also
    --------
    OnnxClassifier : Predicts with the file.

    Notes
    -----
    The input is ``samples``, of shape (n, height, width, channels). The outputs, in
    float64, are ``probabilities`` of shape (n, n_classes), the mean over the members,
    and ``member_probabilities`` of shape (n_members, n, n_classes), with NaN for a
    class that a member was never shown. The metadata, in JSON, hold the ``classes`` in
    the order of the columns, and what prediction sets are made from. Networks are
    converted by Keras and tf2onnx, and need Keras on TensorFlow. Trees of scikit-learn
    compare in float32 there, so a value within rounding of a threshold may take the
    other way.

    Examples
    --------
    >>> from skwbc import make_cell_classifier
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.export import OnnxClassifier, to_onnx
    >>> X, y = make_blood_cells(6, image_size=(32, 32), random_state=0)
    >>> clf = make_cell_classifier(cv=2, epochs=1, random_state=0).fit(X, y)
    >>> to_onnx(clf, "cells.onnx")  # doctest: +SKIP
    >>> OnnxClassifier("cells.onnx").predict_proba(X[:3]).shape  # doctest: +SKIP
    (3, 3)
    """
    if not isinstance(ensemble, KFoldEnsembleClassifier):
        raise ValueError(
            f"to_onnx takes a fitted KFoldEnsembleClassifier, got a "
            f"{type(ensemble).__name__}."
        )
    check_is_fitted(ensemble)
    if input_dtype not in ("uint8", "float32"):
        raise ValueError(f"input_dtype={input_dtype!r}; expected 'uint8' or 'float32'.")
    for module in _NEEDED:
        import_optional(module, "onnx", "Writing ONNX files")
    with replacing(path) as temporary:
        shape, dtype = _input(ensemble, input_dtype)
        content = _model(ensemble, shape, dtype).SerializeToString()
        _try(ensemble, content, shape, dtype)
        temporary.write_bytes(content)


def _input(
    ensemble: KFoldEnsembleClassifier, input_dtype: str
) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and the type of a sample."""
    try:
        shape = expected_image_shape(ensemble)
    except ValueError:
        if not hasattr(ensemble, "n_features_in_"):
            raise
        return (ensemble.n_features_in_,), np.dtype(np.float64)
    levels = _white_levels(ensemble.estimators_[0])
    if input_dtype == "uint8" and levels - {255}:
        raise ValueError(
            "The ensemble was trained on images in which white is "
            f"{max(levels):g}, which uint8 images, from 0 to 255, are not. Give "
            "input_dtype='float32', or train it on uint8 images."
        )
    return shape, np.dtype(input_dtype)


def _white_levels(estimator: Any) -> set[float]:
    """Return what is white to those parts that are given images as they come."""
    if isinstance(estimator, SoftVotingClassifier):
        return set().union(*map(_white_levels, estimator.estimators_))
    if not isinstance(estimator, Pipeline):
        level = getattr(estimator, "white_level_", None)
        return set() if level is None else {level}
    for _, step in estimator.steps:
        levels = _white_levels(step)
        # What comes behind a standardisation is given values on another scale.
        if levels or _standardises(step):
            return levels
    return set()


def _standardises(step: Any) -> bool:
    if not isinstance(step, ImageAugmenter):
        return False
    return step._plan.standardisation.settings != Standardisation().settings


def _model(ensemble: KFoldEnsembleClassifier, shape: tuple[int, ...], dtype: np.dtype):
    # Not at the top, so that the door can be opened without the extra.
    from skwbc.export._estimators import average, classify, placed
    from skwbc.export._graph import Graph, Value

    classes = ensemble.classes_
    try:
        metadata = encode(
            Details(classes, getattr(ensemble, "_held_out_true_proba", None)),
            __version__,
        )
    except ValueError as error:
        raise ValueError(f"The ensemble cannot be written as ONNX: {error}") from error
    graph = Graph()
    samples = Value(SAMPLES, dtype)
    known = np.array([np.isin(classes, m.classes_) for m in ensemble.estimators_])
    members = []
    for number, member in enumerate(ensemble.estimators_, start=1):
        try:
            proba = classify(member, graph, samples)
        except ValueError as error:
            raise ValueError(
                f"Member {number} of the ensemble cannot be written as ONNX: {error}"
            ) from error
        members.append(placed(proba, member.classes_, classes, graph))
    mean = average(members, known, np.ones(len(members)), graph)
    unknown = np.where(known, 0.0, np.nan)
    first = graph.constant([0], np.int64)
    stack = [
        graph.add("Unsqueeze", graph.add("Add", each, graph.constant(row)), first)
        for each, row in zip(members, unknown, strict=True)
    ]
    of_members = graph.add("Concat", *stack, axis=0)
    n, k = "n", len(classes)
    return graph.build(
        {samples: (n, *shape)},
        {
            PROBA: (mean, (n, k)),
            MEMBERS: (of_members, (len(members), n, k)),
        },
        metadata,
    )


def _try(
    ensemble: KFoldEnsembleClassifier,
    content: bytes,
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> None:
    """Compare the file with the ensemble.

    Raises
    ------
    ValueError
        If they differ.
    """
    from skwbc.export._session import Session

    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        X: Any = rng.integers(256, size=(_N_TRIED, *shape), dtype=np.uint8)
    else:
        X = rng.random((_N_TRIED, *shape)).astype(dtype)
    of_members = ensemble.predict_proba_members(X)
    proba = average_members(of_members)
    session = Session(io.BytesIO(content), "the model")
    found, of_members_found = session.run(X)
    difference = max(
        float(np.abs(found - proba).max()),
        float(np.nanmax(np.abs(of_members_found - of_members))),
    )
    # Not "greater than", which NaN is not.
    if not difference <= _TOLERANCE:
        raise ValueError(
            "What was made of the ensemble does not say the same as it: "
            f"probabilities differ by {difference:.2g}, and {_TOLERANCE:g} is allowed. "
            "Nothing was written."
        )
