"""Writing a fitted ensemble as one ONNX file."""

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.files import replacing
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.probabilities import lacks_probabilities
from skwbc._utils.version import __version__
from skwbc.ensemble import KFoldEnsembleClassifier, _parts as parts
from skwbc.ensemble._averaging import average_ensemble
from skwbc.export import _format as form
from skwbc.export._wire import seal

Ensemble = KFoldEnsembleClassifier
_NEEDED = ("onnx", "onnxruntime", "skl2onnx", "tf2onnx")
# Largest allowed difference between probabilities of the ensemble and of its file.
_TOLERANCE = 1e-5
_N_TEST_SAMPLES = 4


def to_onnx(
    ensemble: KFoldEnsembleClassifier,
    path: str | os.PathLike,
    *,
    input_dtype: str = "uint8",
) -> None:
    """Write a fitted ensemble as one ONNX file, which predicts without TensorFlow.

    The file contains everything: the standardisation of images, all members and their
    average. Before it replaces an existing file at `path`, it is tested on random
    samples: its probabilities differ from the ensemble's by at most 0.00001.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted ensemble. Its members may consist of :class:`~skwbc.CNNClassifier`,
        :class:`~skwbc.ImageAugmenter`, :class:`~skwbc.ColourStatistics`,
        :class:`~skwbc.FlattenImages`, :class:`~skwbc.SoftVotingClassifier`, pipelines,
        and estimators of scikit-learn that skl2onnx supports.
    path : str or path-like
        The file to write. Its folder has to exist.
    input_dtype : {"uint8", "float32"}, default="uint8"
        Type of the images that the file takes, with values on the scale of the training
        images. For an ensemble that was trained on rows of features it is float64.

    Raises
    ------
    ValueError
        If the ensemble, or one of its estimators, cannot be expressed in ONNX. Then no
        file is written.
    ImportError
        If a package of the extra ``onnx`` is not installed.
    OSError
        If the file cannot be written.

    See Also
    --------
    OnnxClassifier : Predict with the file.

    Notes
    -----
    The input is ``samples``, of shape (n, height, width, channels). The outputs, in
    float64, are ``probabilities`` of shape (n, n_classes), the mean over the members,
    ``member_probabilities`` of shape (n_members, n, n_classes), with 0 for classes that
    were not in a member's training data, and, if the ensemble has it, ``typicality`` of
    shape (n,), the p-values of :meth:`skwbc.KFoldEnsembleClassifier.typicality`. The
    metadata, in JSON, contain the ``classes`` in the order of the columns and the
    held-out probabilities from which prediction sets are computed. Their last entry is
    a checksum of the rest of the file, which is verified when it is read. Keras and
    tf2onnx convert the networks, which needs Keras with the TensorFlow backend. ONNX
    compares features with the thresholds of decision trees in float32, so a feature
    that is nearly equal to a threshold may fall on its other side.

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
        content = seal(_model(ensemble, shape, dtype).SerializeToString())
        _check_predictions(ensemble, content, shape, dtype)
        temporary.write_bytes(content)


def input_dtype_of(ensemble: Ensemble) -> str:
    """Return the type of the images of image files, as the command reads them."""
    trained_on = (parts.appearance_of(ensemble) or {}).get("dtype", "uint8")
    return "uint8" if trained_on == "uint8" else "float32"


def _input(ensemble: Ensemble, input_dtype: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and the type of a sample."""
    try:
        shape = parts.expected_image_shape(ensemble)
    except ValueError:
        if not hasattr(ensemble, "n_features_in_"):
            raise
        return (ensemble.n_features_in_,), np.dtype(np.float64)
    white = (parts.appearance_of(ensemble) or {}).get("white", 255)
    if input_dtype == "uint8" and white != 255:
        raise ValueError(
            f"The ensemble was trained on images in which white is {white:g}; in "
            "uint8 images it is 255. Set input_dtype='float32', or train the ensemble "
            "on uint8 images."
        )
    return shape, np.dtype(input_dtype)


def _model(ensemble: Ensemble, shape: tuple[int, ...], dtype: np.dtype):
    # Imported here, so that skwbc.export can be imported without the extra.
    from skwbc.export._estimators import align, average, classify, typicality
    from skwbc.export._graph import Graph, Value, join

    classes = ensemble.classes_
    typical = ensemble._typical_of_members(np.zeros((1, *shape), dtype))
    own = ("held_out_true_proba", "reading", "fingerprints", "confusion")
    details = form.Details(
        classes=classes,
        known_classes=ensemble.known_classes_,
        n_typicality_samples=typical["n_samples"] if typical else None,
        appearance=ensemble._appearance if len(shape) == 3 else None,
        **{name: getattr(ensemble, f"_{name}", None) for name in own},
    )
    try:
        metadata = form.encode(details, __version__)
    except ValueError as error:
        raise ValueError(f"The ensemble cannot be written as ONNX: {error}") from error
    graph = Graph()
    samples = Value(graph, form.SAMPLES, dtype)
    members, spaces = [], []
    for number, member in enumerate(ensemble.estimators_, start=1):
        try:
            proba, space = classify(member, samples)
        except ValueError as error:
            raise ValueError(
                f"Member {number} of the ensemble cannot be written as ONNX: {error}"
            ) from error
        members.append(align(proba, member.classes_, classes))
        spaces.append(space)
    mean = average(members, ensemble.known_classes_, np.ones(len(members)))
    stacked = (member.apply("Unsqueeze", [0]) for member in members)
    n, k = "n", len(classes)
    outputs: dict[str, tuple[Value, tuple]] = {
        form.PROBA: (mean, (n, k)),
        form.MEMBERS: (join("Concat", stacked, axis=0), (len(members), n, k)),
    }
    if typical is not None:
        outputs[form.TYPICALITY] = (typicality(typical, spaces), (n,))
    return graph.build({samples: (n, *shape)}, outputs, metadata)


def _check_predictions(
    ensemble: Ensemble, content: bytes, shape: tuple[int, ...], dtype: np.dtype
) -> None:
    """Compare predictions of the file with those of the ensemble.

    Raises
    ------
    ValueError
        If they differ, or members of the ensemble predict NaN.
    """
    from skwbc.export._session import Session

    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        X: Any = rng.integers(256, size=(_N_TEST_SAMPLES, *shape), dtype=np.uint8)
    else:
        # On the scale of the training images.
        white = (parts.appearance_of(ensemble) or {}).get("white", 1.0)
        X = (rng.random((_N_TEST_SAMPLES, *shape)) * white).astype(dtype)
    chunks = list(ensemble._answer_in_chunks(X))
    expected_members = np.concatenate([members for members, _ in chunks], axis=1)
    diverged = np.flatnonzero(lacks_probabilities(expected_members).any(axis=1)) + 1
    if len(diverged):
        raise ValueError(
            f"Members {diverged.tolist()} of the ensemble predict NaN; their training "
            "may have diverged. Train the ensemble again, with n_restarts for instance."
        )
    expected = average_ensemble(ensemble, expected_members)
    proba, member_proba, p = Session(content, "the model").run(X)
    differences = [proba - expected, member_proba - expected_members]
    if p is not None:
        # A sample may be as strange as one that was held out, up to rounding.
        least = 1 / (ensemble._typical["n_samples"] + 1)
        differences.append(np.floor(np.abs(p - ensemble.typicality(X)) / (2 * least)))
    difference = max(float(np.abs(each).max()) for each in differences)
    # Not `>`, which is false for NaN.
    if not difference <= _TOLERANCE:
        raise ValueError(
            "The ONNX model does not predict like the ensemble: probabilities differ "
            f"by {difference:.2g}, more than {_TOLERANCE:g}. No file was written."
        )
