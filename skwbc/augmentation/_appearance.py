"""A few numbers that describe images: where they are dark, and how sharp they are.

An ensemble uses them to decide whether images resemble the training images, and to say
in words how other images differ.
"""

from typing import Any

import cv2
import numpy as np

from skwbc._utils.lazy_arrays import read_rows, spread
from skwbc._utils.row_cache import cached_rows

# An image has this number of cells in each direction; those that turns and flips
# exchange count as one.
_CELLS = 6
_SCALES = 5
# Scales at which the texture of colours counts.
_COARSE = 2
TINY = 1e-8
# Each statistic, with the words for less and for more of it.
STATISTICS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("of less contrast", "of more contrast"),
    "colourfulness": ("less colourful", "more colourful"),
    "red minus blue": ("bluer", "redder"),
    "sharpness": ("blurred", "sharper"),
}
# Images that are described, evenly spread over the data.
_MOST = 64
# White in fractions and in 8, 12 and 16 bits.
WHITES = (1, 255, 4095, 65535)
# Floats up to here may be fractions of white. Floats beyond a multiple of white, or
# below the mean of training divided by another, are not merely brighter or darker.
_FRACTION, _BEYOND, _BELOW = 1.1, 10, 5
# Differences of fewer standard deviations are not mentioned.
_NOTABLE = 2.0


def cell_weights(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return matrices that average the pixels of each cell.

    Returns
    -------
    rows, columns : ndarray of shape (height, 3), ndarray of shape (width, 3)
        ``rows.T @ channel @ columns`` adds up pixels by their distance from the edges.
    folded : ndarray of shape (9, n_cells)
        Averages these sums over the cells that turns exchange.
    """
    n = _CELLS // 2
    sides = []
    for side in (height, width):
        cells = np.arange(side) * _CELLS // side
        sides.append(np.eye(n)[np.minimum(cells, cells[::-1])])
    rows, columns = sides
    first, second = np.indices((n, n)).reshape(2, -1)
    cell = np.minimum(first, second) * n + np.maximum(first, second)
    folded = (cell[:, np.newaxis] == np.unique(cell)).astype(float)
    n_pixels = np.outer(rows.sum(axis=0), columns.sum(axis=0)).ravel() @ folded
    # A tiny image does not have all cells.
    return rows, columns, folded[:, n_pixels > 0] / n_pixels[n_pixels > 0]


def look(images: np.ndarray, white: float) -> list[np.ndarray]:
    """Describe where images are dark or coloured, and how strong their details are.

    Images that were described before are looked up.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Images of any real type.
    white : float
        Pixel value of white.

    Returns
    -------
    layout : ndarray of shape (n_samples, (2 * channels - 1) * n_cells)
        Mean value in each cell of each channel, and of the difference between each
        channel and the one before it, that is, of colours. It does not change if an
        image is turned by 90 degrees or flipped.
    texture : ndarray of shape (n_samples, n_textures)
        Natural logarithm of the standard deviation within blocks of 2, 4, 8 ... pixels,
        of the means over blocks of half that size. Those of the differences are left
        out but for the two coarsest, because JPEG files store colours coarsely.
    """
    height, width, n_channels = images.shape[1:]
    by_row, by_column, folded = cell_weights(height, width)

    def describe(some: np.ndarray) -> np.ndarray:
        rows = []
        for image in some:
            values = np.asarray(image, np.float64) / white
            sums = by_row.T @ values.transpose(2, 0, 1) @ by_column
            means = sums.reshape(n_channels, -1) @ folded
            layout = np.concatenate([means, np.diff(means, axis=0)])
            rows.append(np.append(layout, _texture(values)))
        return np.array(rows)

    images = np.ascontiguousarray(images)
    key = ("look", white, images.shape[1:], images.dtype.str)
    n_layout = (2 * n_channels - 1) * folded.shape[1]
    tables = np.split(cached_rows(images, describe, key), [n_layout], axis=1)
    return [table for table in tables if table.shape[1]]


def _texture(values: np.ndarray) -> np.ndarray:
    variances = []
    n, n_channels = n_scales(*values.shape[:2]), values.shape[2]
    for scale in range(n):
        rows, columns = (side // 2 * 2 for side in values.shape[:2])
        values = values[:rows, :columns]
        if has_colours(scale, n):
            values = np.concatenate([values, np.diff(values, axis=2)], axis=2)
        means = values[::2] + values[1::2]
        means = (means[:, ::2] + means[:, 1::2]) / 4
        variances += (_mean_square(values) - _mean_square(means)).tolist()
        values = means[..., :n_channels]
    return 0.5 * np.log(np.maximum(variances, 0) + TINY)


def has_colours(scale: int, n: int) -> bool:
    """Return whether differences of channels have a texture at a scale of `n`."""
    return scale >= n - _COARSE


def _mean_square(values: np.ndarray) -> np.ndarray:
    """Return the mean of the squares in each channel."""
    squares = np.einsum("hwc,hwc->c", values, values)
    return squares / (values.shape[0] * values.shape[1])


def n_scales(height: int, width: int) -> int:
    """Return how often an image can be halved, at most five times."""
    return min(_SCALES, int(np.log2(min(height, width))))


def measure(images: np.ndarray, white: float) -> np.ndarray:
    """Return the statistics of images.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, channels)
        Images of any real type.
    white : float
        Pixel value of white.

    Returns
    -------
    ndarray of shape (n_samples, 5)
        Those of `STATISTICS`, as fractions of white. Sharpness is the standard
        deviation of the Laplacian relative to that of the image. Without three
        channels the colours count as 0.
    """
    rows = []
    for image in images:
        image = np.asarray(image, np.float32) / np.float32(white)
        grey = image.mean(axis=2)
        contrast = grey.std()
        detail = cv2.Laplacian(grey, cv2.CV_32F).std() / max(contrast, 1e-3)
        colour, red = 0.0, 0.0
        if image.shape[2] == 3:
            colour = float((image.max(axis=2) - image.min(axis=2)).mean())
            red = float((image[..., 0] - image[..., 2]).mean())
        rows.append([grey.mean(), contrast, colour, red, detail])
    return np.array(rows, dtype=np.float64)


def describe_appearance(X: Any, white: float | None = None) -> dict[str, Any]:
    """Return the mean and the spread of the statistics over some of the images.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Images.
    white : float, default=None
        Pixel value of white, by default that of :func:`white_level`.

    Returns
    -------
    dict
        "white", "dtype", and lists of floats, "mean" and "std".
    """
    images = read_rows(X, spread(len(X), _MOST))
    if white is None:
        # Imported here, because it needs scikit-learn, and ONNX models work without.
        from skwbc.augmentation._images import white_level

        white = white_level(X.dtype, float(images.max()))
    key = ("appearance", white, images.shape[1:], images.dtype.str)
    images = np.ascontiguousarray(images)
    values = cached_rows(images, lambda some: measure(some, white), key)
    mean, std = values.mean(axis=0).tolist(), values.std(axis=0).tolist()
    return {"white": white, "dtype": str(X.dtype), "mean": mean, "std": std}


def check_scale(appearance: dict[str, Any] | None, X: Any, owner: str) -> None:
    """Refuse images whose values are certainly on another scale than in training.

    Parameters
    ----------
    appearance : dict or None
        From :func:`describe_appearance`. None, or one of an earlier version, passes.
    X : array-like of shape (n_samples, height, width, channels)
        New images. Some of them are read, unless their type decides.
    owner : str
        Name of the estimator, for the message.

    Raises
    ------
    ValueError
        If they are. A dark image is not enough: integers have to exceed the white of
        the training images, or floats to lie between 0 and 1 where white was 255.
    """
    dtype = np.dtype(X.dtype)
    if appearance is None or "dtype" not in appearance:
        return
    trained, white = appearance["dtype"], appearance["white"]
    if str(dtype) == trained and dtype.kind != "f":
        return
    low, high = 0.0, 255.0
    if dtype != np.uint8:
        some = read_rows(X, spread(len(X), _MOST))
        low, high = float(some.min()), float(some.max())
    # Centred images, and units of the user's own, say nothing of a scale. What float32
    # cannot hold is refused elsewhere.
    if low < 0 or white not in WHITES or high > float(np.finfo(np.float32).max):
        return
    mean = white * appearance["mean"][0]
    is_float = dtype.kind == "f"
    small = 255.0 if white > 255 else _FRACTION
    too_low = is_float and 0 < high <= min(small, mean / _BELOW)
    if dtype == np.uint8:
        too_low = white > 255
    if too_low or high > white * (_BEYOND if is_float else 1):
        new = next((each for each in WHITES if high <= _FRACTION * each), high)
        raise ValueError(
            f"{owner} was fitted on images of {trained} in which white is {white:g}, "
            f"but X has {dtype} with values up to {high:g}. If white is {new:g} there, "
            f"pass X * ({white:g} / {new:g}); best read the images as those of the fit."
        )


def compare_appearance(appearance: dict[str, Any], X: Any) -> str:
    """Say how images differ from the training images.

    Parameters
    ----------
    appearance : dict
        From :func:`describe_appearance`, for the training images.
    X : array-like of shape (n_samples, height, width, channels)
        The images.

    Returns
    -------
    str
        Such as "darker (brightness 0.41, in training 0.62 ± 0.05)", the largest
        difference first; empty if no statistic differs.
    """
    mean, std = np.array(appearance["mean"]), np.array(appearance["std"])
    own = np.array(describe_appearance(X, appearance["white"])["mean"])
    distance = (own - mean) / np.maximum(std, 0.01)
    red = list(STATISTICS).index("red minus blue")
    phrases = []
    for k in np.argsort(-np.abs(distance)):
        name = list(STATISTICS)[k]
        word = STATISTICS[name][int(distance[k] > 0)]
        if abs(distance[k]) < _NOTABLE:
            break
        if name == "colourfulness" and own[k] < 0.01:
            word = "without colour"
        if k == red and abs(own[k] + mean[k]) < std[k] < abs(mean[k]):
            word += ", as if red and blue were exchanged"
        usual = f"in training {mean[k]:.2f} ± {std[k]:.2f}"
        phrases.append(f"{word} ({name} {own[k]:.2f}, {usual})")
    return "; ".join(phrases)
