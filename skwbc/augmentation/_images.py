"""What counts as an array of images, and the messages when something else comes."""

from typing import Any

import numpy as np

from skwbc._utils.sklearn_compat import num_samples

_AXES = {
    "channels_last": "height, width, channels",
    "channels_first": "channels, height, width",
}
_HOW_TO_ADD_CHANNELS = {
    "channels_last": "X[..., np.newaxis]",
    "channels_first": "X[:, np.newaxis]",
}


def check_images(
    X: Any,
    owner: str,
    *,
    image_shape: tuple[int, ...] | None = None,
    data_format: str = "channels_last",
) -> Any:
    """Check that `X` is an array of images, without copying or reading it all.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Arrays, memory maps and lazy array-likes are returned as they are. Anything
        that has no ``shape``, and tensors, are turned into arrays.
    owner : str
        Name of the estimator, for the messages.
    image_shape : tuple of int, default=None
        The (height, width, channels) that the images need to have.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        With "channels_first", shapes are (channels, height, width).

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
    axes = _AXES[data_format]
    if len(X.shape) != 4:
        how = _HOW_TO_ADD_CHANNELS[data_format]
        hint = f" For grey images without a channel axis pass {how}."
        raise ValueError(
            f"{owner} expected images of shape (n_samples, {axes}), got an array of "
            f"shape {tuple(X.shape)}.{hint if len(X.shape) == 3 else ''}"
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
            f"{owner} was fitted on images of shape {image_shape} ({axes}), but X has "
            f"images of shape {tuple(X.shape[1:])}. Resize them first."
        )
    return X


def as_finite_float32(
    batch: Any,
    owner: str,
    *,
    first: int = 0,
    positions: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return a batch of images as float32; refuse NaN and infinity.

    Parameters
    ----------
    batch : array-like of shape (n, ...)
        Images of any real type.
    owner : str
        Name of the estimator, for the message.
    first : int, default=0
        Position of the first of them among all images, for the message.
    positions : ndarray of shape (n,), int, default=None
        Position of each, if they do not follow each other.
    out : ndarray of shape (n, ...), float32, default=None
        Where to put them.

    Returns
    -------
    ndarray of shape (n, ...), float32
        `out`, or without it a C-contiguous array: `batch` itself if it is one already.
    """
    batch = np.asarray(batch)
    with np.errstate(over="ignore"):
        if out is None:
            out = np.ascontiguousarray(batch, dtype=np.float32)
        else:
            np.copyto(out, batch, casting="unsafe")
    if batch.dtype.kind == "f" and not _is_finite(out):
        bad = np.flatnonzero(~np.isfinite(out).all(axis=(1, 2, 3)))
        bad = first + bad if positions is None else np.sort(positions[bad])
        raise ValueError(
            f"{owner} got images with NaN or infinity (or values beyond float32): "
            f"{'number ' if len(bad) == 1 else 'numbers '}"
            f"{', '.join(map(str, bad[:5]))}{', ...' if len(bad) > 5 else ''} of those "
            "it was given, counted from 0. Replace those pixels or leave those images "
            "out."
        )
    return out


def _is_finite(values: np.ndarray) -> bool:
    # Whatever is not finite makes the sum so, and a sum is quick.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _as_array(X: Any, owner: str) -> Any:
    # Tensors have a kind of data type of their own.
    if not (hasattr(X, "shape") and isinstance(getattr(X, "dtype", None), np.dtype)):
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
