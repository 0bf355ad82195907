"""What counts as an array of images, and the messages when something else comes."""

from typing import Any

import numpy as np

from skwbc._sklearn_compat import num_samples

_HOW_TO_ADD_CHANNELS = "For grey images without a channel axis pass X[..., np.newaxis]."


def check_images(
    X: Any,
    owner: str,
    *,
    image_shape: tuple[int, int, int] | None = None,
) -> Any:
    """Check that `X` is an array of images, without copying or reading it all.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Arrays, memory maps and lazy array-likes are returned as they are. Anything
        that has no ``shape`` is turned into an array.
    owner : str
        Name of the estimator, for the messages.
    image_shape : tuple of int, default=None
        The (height, width, channels) that the images need to have.

    Returns
    -------
    array-like
        `X`, with ``shape`` and ``dtype``.

    Raises
    ------
    ValueError
        If the shape or the data type is not that of images, or there is no image.
    """
    X = _as_array(X, owner)
    if len(X.shape) != 4:
        hint = f" {_HOW_TO_ADD_CHANNELS}" if len(X.shape) == 3 else ""
        raise ValueError(
            f"{owner} expected images of shape (n_samples, height, width, channels), "
            f"got an array of shape {tuple(X.shape)}.{hint}"
        )
    if num_samples(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={tuple(X.shape)}) while a minimum "
            f"of 1 is required by {owner}."
        )
    if 0 in X.shape:
        raise ValueError(
            f"{owner} got images of shape {tuple(X.shape[1:])}: height, width and "
            "channels have to be 1 or more."
        )
    if image_shape is not None and tuple(X.shape[1:]) != image_shape:
        raise ValueError(
            f"{owner} was fitted on images of shape {image_shape} (height, width, "
            f"channels), but X has images of shape {tuple(X.shape[1:])}. Resize them "
            "first."
        )
    return X


def as_finite_float32(batch: Any, owner: str) -> np.ndarray:
    """Return a new float32 array of a batch of images; refuse NaN and infinity."""
    batch = np.asarray(batch)
    out = batch.astype(np.float32)
    if batch.dtype.kind == "f" and not np.isfinite(out).all():
        raise ValueError(
            f"{owner} got images with NaN or infinity (or values beyond float32). "
            "Replace those pixels or leave those images out."
        )
    return out


def _as_array(X: Any, owner: str) -> Any:
    if not (hasattr(X, "shape") and hasattr(X, "dtype")):
        try:
            X = np.asarray(X)
        except ValueError as error:
            raise ValueError(
                f"{owner} expected images that all have one shape, and could not make "
                "an array of what it was given. Resize the images to a common size."
            ) from error
    if X.dtype.kind not in "buif":
        raise ValueError(
            f"{owner} expected images of a real numeric data type such as uint8 or "
            f"float32, got dtype {X.dtype}."
        )
    return X
