"""Fingerprints of training images, which tell whether a model was trained on an image.

scikit-learn is not imported here, because a model in ONNX predicts without it.
"""

import hashlib
from typing import Any

import numpy as np

from skwbc._utils.lazy_arrays import read_rows

_AT_A_TIME = 64


def fingerprints(X: Any) -> np.ndarray | None:
    """Return eight bytes for each image, equal for equal pixels of one type.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples.

    Returns
    -------
    ndarray of shape (n_samples,), uint64, or None
        None if the samples are not images.
    """
    if len(getattr(X, "shape", ())) != 4 or np.dtype(X.dtype).hasobject:
        return None
    digests = [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
        for start in range(0, len(X), _AT_A_TIME)
        for image in read_rows(X, slice(start, start + _AT_A_TIME))
    ]
    return np.frombuffer(b"".join(digests), "<u8")


def trained_on(model: Any, X: Any) -> np.ndarray | None:
    """Return a mask of the images that a model was trained on; None if not known."""
    training = getattr(model, "_fingerprints", None)
    own = None if training is None else fingerprints(X)
    return None if own is None else np.isin(own, np.asarray(training))


def describe_overlap(n_trained_on: int, n_samples: int) -> str:
    """Say how many images the model was trained on."""
    if n_samples == 1:
        return "The model was trained on this image"
    return f"The model was trained on {n_trained_on:,} of these {n_samples:,} images"
