"""Arrays of images: checks, batches as float32, the range of pixel values."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skwbc._utils.lazy_arrays import positions_of, read_ahead, read_rows
from skwbc._utils.sklearn_compat import num_samples
from skwbc._utils.versions import Stamped
from skwbc.augmentation._appearance import WHITES, describe_appearance, look

_FILES = (
    " To read the files of a table call skwbc.datasets.load_image_table(table, "
    "image=..., label=...), or ImageFiles for files without labels."
)
# Bytes of float32 images in a batch that statistics are computed from.
_AT_A_TIME = 2**22
# Names of the axes, and how to add that of the channels.
_AXES = {
    "channels_last": ("height, width, channels", "X[..., np.newaxis]"),
    "channels_first": ("channels, height, width", "X[:, np.newaxis]"),
}


class ImageTransformer(Stamped, TransformerMixin, BaseEstimator):
    """Base class of transformers of images, which have four axes."""

    image_shape_: tuple[int, ...]
    # Earlier versions did not store it.
    _appearance: dict[str, Any] | None = None
    _takes_lazy_arrays = True
    _preserves_dtype: tuple[str, ...] = ("float64",)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the images of the fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type.
        y : None
            Ignored.

        Returns
        -------
        array-like of shape (n_samples, ...)
            The result of ``transform``.
        """
        # Images that fit accepts can still fail to be transformed.
        draft = copy.copy(self)
        result = draft.fit(X, y)._transform_to_train(X)
        self.__dict__ = draft.__dict__
        return result

    def _check(self, X: Any, data_format: str = "channels_last") -> Any:
        """Return images to transform, after a check that they fit the fitted ones."""
        check_is_fitted(self, "image_shape_")
        owner, shape = type(self).__name__, self.image_shape_
        return check_images(X, owner, image_shape=shape, data_format=data_format)

    def _look_at(self, X: Any) -> dict[str, Any]:
        """Return the shape, the white and the appearance of checked images."""
        _, white = value_range(X, type(self).__name__)
        appearance, shape = describe_appearance(X, white), tuple(X.shape[1:])
        return {"image_shape_": shape, "white_level_": white, "_appearance": appearance}

    def _looks(self, X: Any, white: float) -> list[np.ndarray]:
        """Describe how images look (see ``ensemble/_together.py``)."""
        batches = float_batches(self._check(X), type(self).__name__)
        looks = [look(images, white) for images in batches]
        return list(map(np.concatenate, zip(*looks, strict=True)))

    def _transform_to_train(self, X: Any) -> Any:
        return self.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = [*self._preserves_dtype]
        return tags


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
        Arrays, memory maps and lazy array-likes are returned as they are. Tensors, and
        anything without a ``shape``, are converted to arrays.
    owner : str
        Name of the estimator, for the messages.
    image_shape : tuple of int, default=None
        The required (height, width, channels).
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        With "channels_first", shapes are (channels, height, width).

    Returns
    -------
    array-like
        `X`, with ``shape`` and ``dtype``.

    Raises
    ------
    ValueError
        If shape or data type are not those of images, or there is no image.
    """
    X = _as_array(X, owner)
    axes, how = _AXES[data_format]
    if len(X.shape) != 4:
        hint = f" For grey images without a channel axis pass {how}."
        if image_shape and 1 not in image_shape and X.shape[1:] == image_shape[1:]:
            hint = " For a single image pass X[np.newaxis]."
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
            "channels must be at least 1."
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
    positions : ndarray of shape (n,), int, default=None
        Position of each among all images, for the message; by default from 0 on.
    out : ndarray of shape (n, ...), float32, default=None
        Array to write to.

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
        bad = bad if positions is None else np.sort(positions[bad])
        raise ValueError(
            f"{owner} got images with NaN or infinity (or values beyond float32) at "
            f"{'position ' if len(bad) == 1 else 'positions '}"
            f"{', '.join(map(str, bad[:5]))}{', ...' if len(bad) > 5 else ''}, counted "
            "from 0. Replace those pixels or leave those images out."
        )
    return out


def float_batches(X: Any, owner: str) -> Iterator[np.ndarray]:
    """Read images batch by batch, since all of them may not fit into memory.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images of any real type.
    owner : str
        Name of the estimator, for the message about NaN and infinity.

    Yields
    ------
    ndarray of shape (n, ...), float32
        New arrays, which the caller may change.
    """

    def read(rows: slice) -> np.ndarray:
        images = read_rows(X, rows)
        out = np.empty(images.shape, np.float32)
        positions = positions_of(X, rows)
        return as_finite_float32(images, owner, positions=positions, out=out)

    size = max(1, _AT_A_TIME // (4 * int(np.prod(X.shape[1:]))))
    slices = [*gen_batches(num_samples(X), size)]
    yield from read_ahead(map(read, slices), len(slices))


def value_range(X: Any, owner: str) -> tuple[float, float]:
    """Return the range of pixel values; images of uint8 or bool are not read for it.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Images.
    owner : str
        Name of the estimator, for the message about NaN and infinity.

    Returns
    -------
    low, white : float
        The lowest value, and that of white. 0 and the highest value of the type for
        uint8 and bool.
    """
    if X.dtype in (np.uint8, bool):
        return 0.0, white_level(X.dtype, 1.0)
    ranges = [(images.min(), images.max()) for images in float_batches(X, owner)]
    lows, highs = np.transpose(ranges)
    return float(lows.min()), white_level(X.dtype, float(highs.max()))


def white_level(dtype: np.dtype, high: float) -> float:
    """Return the pixel value that counts as white.

    Parameters
    ----------
    dtype : dtype
        Type of the images.
    high : float
        Their largest value.

    Returns
    -------
    float
        255 for uint8, 1 for bool. For other types the least of 1, 255, 4095 and 65535
        (fractions, 8, 12 and 16 bits) that no value exceeds, or else `high`. Floats
        may exceed it by a tenth, as they do after an interpolation.
    """
    if dtype == np.uint8:
        return 255.0
    most = 1.1 if dtype.kind == "f" else 1.0
    return float(next((white for white in WHITES if high <= most * white), high))


def pixel_range(images: np.ndarray) -> tuple[float, float]:
    """Return the pixel values to show as black and as white.

    Parameters
    ----------
    images : ndarray
        Images of any real type.

    Returns
    -------
    black, white : float
        0 and :func:`white_level`. If there are negative values, as in centred images,
        the smallest and the largest value.
    """
    low, high = min(0.0, float(images.min())), float(images.max())
    white = high if low < 0 else white_level(images.dtype, high)
    return low, white if white > low else low + 1.0


def _is_finite(values: np.ndarray) -> bool:
    # A sum is quick, and is finite only if all values are.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _as_array(X: Any, owner: str) -> Any:
    # Tensors have a shape, too, but not a dtype of NumPy.
    if not (hasattr(X, "shape") and isinstance(getattr(X, "dtype", None), np.dtype)):
        try:
            X = np.asarray(X)
        except ValueError as error:
            raise ValueError(
                f"{owner} expected images of one shape, but could not make an array "
                "of the input. Resize the images to a common size."
            ) from error
    if X.dtype.kind not in "buif":
        raise ValueError(
            f"{owner} expected images of a real numeric data type such as uint8 or "
            f"float32, got dtype {X.dtype}."
            + (_FILES if X.ndim == 1 and isinstance(X[0], str) else "")
        )
    return X
