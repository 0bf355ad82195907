"""Images that are there twice: copied, saved again, turned, or photographed again."""

import warnings
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import cv2
import numpy as np
from sklearn.utils import gen_batches

from skwbc._utils.lazy_arrays import read_rows
from skwbc._utils.sklearn_compat import Interval, num_samples, validate_params
from skwbc.augmentation._images import as_finite_float32, check_images
from skwbc.datasets import ImageFiles

# Smaller and larger thumbnails tell copies from like cells less well.
_SIDE = 16
# Bytes of images that are read, and of similarities that are held, at a time.
_AT_A_TIME = 2**25
_MOST_PAIRS = 100_000


@validate_params(
    {
        "X": "no_validation",
        "names": ["array-like", None],
        "splits": [list, tuple, None],
        "threshold": [Interval(Real, 0, 1, closed="right")],
    },
    prefer_skip_nested_validation=True,
)
def find_near_duplicates(
    X: Any,
    *,
    names: Sequence[Any] | None = None,
    splits: Sequence[tuple[Any, Any]] | None = None,
    threshold: float = 0.96,
) -> list[dict[str, Any]]:
    """Find pairs of images that are the same but for turning, flipping and quality.

    A cell of which one image is trained on and the other judged makes every score too
    good. Found are copies, also at another size, brightness or JPEG quality, or turned
    by quarters of a circle or flipped, and the same cell photographed again in nearly
    the same place. Cells that are shifted by more than two hundredths of the side,
    turned by other angles, or cut out otherwise are not found.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Images on any scale; lazy arrays and memory maps are read some at a time. Of
        those that are not RGB the mean over the channels is compared.
    names : sequence of str, default=None
        What to call each image. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and the positions in `X` otherwise.
    splits : list of (ndarray, ndarray), default=None
        Positions that were trained on and held out, ``ensemble.splits_`` for instance:
        it is then said which pairs leak from one to the other.
    threshold : float, default=0.96
        Least similarity, above 0 and at most 1, of a pair.

    Returns
    -------
    list of dict
        The pairs, most alike first, each with "first" and "second" (int, the positions
        in `X`, the lesser one first), "images" (a tuple of their names), "similarity"
        (float, at most 1) and "leaks" (bool, whether in some split one is trained on
        and the other held out; None without `splits`).

    Raises
    ------
    ValueError
        If `X` are no images or have NaN, or `names` or `splits` do not fit `X`.

    Warns
    -----
    UserWarning
        If there are more than 100,000 pairs. The search ends there.

    Notes
    -----
    Each image becomes a thumbnail of 16 × 16 pixels by averaging areas, less the mean
    of each channel. The similarity of two is the largest correlation [1]_ between one
    and the eight turned and flipped thumbnails of the other. An image of one colour has
    no such correlation, and is in no pair.

    The time grows with the square of the number of images. The memory is 3 kB an image,
    and 100 MB.

    References
    ----------
    .. [1] J. P. Lewis. "Fast normalized cross-correlation." Vision Interface, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.inspection import find_near_duplicates
    >>> X, _ = make_blood_cells(4, random_state=0)
    >>> X = np.concatenate([X, X[5:6, ::-1]])  # image 5 once more, upside down
    >>> pairs = find_near_duplicates(X, splits=[(range(12), [12])])
    >>> [(pair["first"], pair["second"], pair["leaks"]) for pair in pairs]
    [(5, 12, True)]
    """
    X = check_images(X, "find_near_duplicates")
    n = num_samples(X)
    if names is None:
        names = X.filenames if isinstance(X, ImageFiles) else range(n)
    called = [str(name) for name in names]
    if len(called) != n:
        raise ValueError(f"There are {len(called)} names for {n} images.")
    sides = None if splits is None else [_sides(split, n) for split in splits]
    thumbnails = _thumbnails(X)
    pairs = []
    for first, second, similarity in _alike(thumbnails, threshold):
        pairs.append((first, second, similarity))
        if len(pairs) > _MOST_PAIRS:
            warnings.warn(
                f"More than {_MOST_PAIRS:,} pairs of images are alike by "
                f"{threshold:g}; the others were not looked for. Give a threshold "
                "nearer to 1.",
                UserWarning,
                stacklevel=2,
            )
            break
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    return [
        {
            "first": first,
            "second": second,
            "images": (called[first], called[second]),
            "similarity": similarity,
            "leaks": None
            if sides is None
            else any(_leaks(side, first, second) for side in sides),
        }
        for first, second, similarity in pairs[:_MOST_PAIRS]
    ]


def _thumbnails(X: Any) -> np.ndarray:
    """Return thumbnails of shape (n, side, side, channels): mean 0, length 1, or 0."""
    n = num_samples(X)
    channels = X.shape[3] if X.shape[3] == 3 else 1
    out = np.empty((n, _SIDE, _SIDE, channels), np.float32)
    at_once = max(1, _AT_A_TIME // (4 * int(np.prod(X.shape[1:]))))
    for rows in gen_batches(n, at_once):
        images = as_finite_float32(
            read_rows(X, rows), "find_near_duplicates", first=rows.start
        )
        if channels == 1:
            images = images.mean(axis=-1, keepdims=True)
        for k, image in enumerate(images, start=rows.start):
            # What is smaller than a thumbnail is enlarged, for which areas do not do.
            how = cv2.INTER_AREA if min(image.shape[:2]) > _SIDE else cv2.INTER_LINEAR
            small = cv2.resize(image, (_SIDE, _SIDE), interpolation=how)
            out[k] = small.reshape(_SIDE, _SIDE, channels)
    scale = np.abs(out).max(axis=(1, 2, 3))
    out -= out.mean(axis=(1, 2), keepdims=True)
    lengths = np.linalg.norm(out.reshape(n, -1), axis=1)
    # Rounding errors of an image of one colour are no picture.
    lengths[lengths <= 1e-4 * scale] = np.inf
    out /= lengths[:, np.newaxis, np.newaxis, np.newaxis]
    return out


def _turned(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield square images turned and flipped in the eight ways."""
    for flipped in (images, images[:, :, ::-1]):
        for quarters in range(4):
            yield np.rot90(flipped, quarters, axes=(1, 2))


def _alike(
    thumbnails: np.ndarray, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of positions, and their similarity, that reach the threshold."""
    n = len(thumbnails)
    flat = thumbnails.reshape(n, -1)
    for rows in gen_batches(n, max(1, _AT_A_TIME // (4 * n))):
        later = flat[rows.start :].T
        best = np.full((rows.stop - rows.start, later.shape[1]), -1.0, np.float32)
        here = np.empty_like(best)
        for turned in _turned(thumbnails[rows]):
            np.matmul(turned.reshape(len(best), -1), later, out=here)
            np.maximum(best, here, out=best)
        # A copy's correlation may be rounded to a little less than 1.
        first, second = np.nonzero(best >= threshold - 1e-5)
        for row, column in zip(first.tolist(), second.tolist(), strict=True):
            if row < column:
                similarity = min(1.0, float(best[row, column]))
                yield rows.start + row, rows.start + column, similarity


def _sides(split: tuple[Any, Any], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each sample whether a split trains on it, and whether it is held out.

    A boolean mask instead of positions would be taken for the positions 0 and 1.
    """
    try:
        positions = [np.asarray(part, dtype=np.intp) for part in split]
        masks = [np.asarray(part).dtype == bool for part in split]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_SPLITS} {error}") from error
    if (
        len(positions) != 2
        or any(masks)
        or any(part.ndim != 1 for part in positions)
        or any(((part < 0) | (part >= n)).any() for part in positions)
    ):
        raise ValueError(f"{_SPLITS} There are {n} images.")
    sides = np.zeros((2, n), dtype=bool)
    for side, part in zip(sides, positions, strict=True):
        side[part] = True
    return sides[0], sides[1]


_SPLITS = (
    "splits has to hold pairs of arrays of positions of images, those trained on and "
    "those held out, as the splits_ of an ensemble do."
)


def _leaks(sides: tuple[np.ndarray, np.ndarray], first: int, second: int) -> bool:
    trained, held_out = sides
    return bool(
        (trained[first] and held_out[second]) or (trained[second] and held_out[first])
    )
