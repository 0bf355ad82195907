"""Search for near-duplicate images: copied, saved again, rotated or flipped."""

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from numbers import Real
from typing import Any

import cv2
import numpy as np
from sklearn.utils import gen_batches

from skwbc._utils.lazy_arrays import as_index, read_rows
from skwbc._utils.sklearn_compat import Interval, validated
from skwbc.augmentation._images import check_images, float_batches
from skwbc.inspection._samples import sample_names

# Side of the images that are compared.
_SIDE = 96
# Standard deviations of the filters between which details lie.
_FINE, _COARSE = 1.2, 4.0
# Highest frequency of the spectra, in periods per image.
_HIGHEST = 20
# Similarity of spectra from which a pair is looked at again, most such pairs, and
# pixels by which one image is then slid over the other.
_CANDIDATE, _MOST_LOOKS, _SLIDE = 0.87, 10_000, 10
_HOW = cv2.TM_CCOEFF_NORMED
# Images of the second look that are kept in memory.
_KEPT = 2_000
# Bytes of images, and of similarities, that are held in memory at a time.
_AT_A_TIME = 2**25
_MOST_PAIRS = 100_000


@validated(
    names=["array-like", None],
    splits=[list, tuple, None],
    threshold=[Interval(Real, 0, 1, closed="right")],
)
def find_near_duplicates(
    X: Any,
    *,
    names: Sequence[Any] | None = None,
    splits: Sequence[tuple[Any, Any]] | None = None,
    threshold: float = 0.85,
) -> list[dict[str, Any]]:
    """Find pairs of images that are equal up to rotation, flipping and quality.

    If one image of such a pair is used for training and the other for evaluation,
    scores are too good. The search finds copies, including those with a different
    size, brightness or JPEG quality, those rotated by multiples of 90° or flipped, and
    those cut out otherwise, by up to a tenth of their side; and photographs of the same
    cell taken twice at nearly the same position. It does not find other angles.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width, channels)
        Images on any scale; lazy arrays and memory maps are read in batches. Unless the
        images are RGB, the means over the channels are compared.
    names : sequence of str, default=None
        Names of the images. By default the files of `X` if it is an
        :class:`~skwbc.datasets.ImageFiles`, and positions in `X` otherwise.
    splits : list of (ndarray, ndarray), default=None
        Positions of training and held-out images, for instance ``ensemble.splits_``.
        With them, each pair shows whether it leaks between the two.
    threshold : float, default=0.85
        Minimum similarity of a pair, above 0 and at most 1.

    Returns
    -------
    list of dict
        The pairs, the most similar first: "first" and "second" (int, the positions in
        `X`, the smaller first), "images" (a tuple of their names), "similarity" (float,
        at most 1) and "leaks" (bool, whether any split trains on one image and holds
        out the other; None without `splits`).

    Raises
    ------
    ValueError
        If `X` does not hold images or has NaN, or `names` or `splits` do not match `X`.

    Warns
    -----
    UserWarning
        If there are more than 100,000 pairs. The search stops there.

    Notes
    -----
    Images are compared by their details: the mean over the channels at 96 × 96 pixels,
    and of that the difference of Gaussians of 1.2 and 4 pixels. The amplitudes of a
    Fourier spectrum do not change when an image is slid, so pairs are candidates if
    the correlation between one spectrum, up to 20 periods per image, and one of the
    rotations and reflections of the other is at least 0.87. The 10,000 best are looked
    at again: the similarity of two images is the largest correlation [1]_ between
    their details when the inner part of one is slid over the other in eight
    orientations. An image of uniform colour is never part of a pair.

    The time grows with the square of the number of images. The memory is 7 kB per image
    plus 200 MB.

    References
    ----------
    .. [1] J. P. Lewis. "Fast normalized cross-correlation." Vision Interface, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.inspection import find_near_duplicates
    >>> X, _ = make_blood_cells(4, random_state=0)
    >>> X = np.concatenate([X, X[5:6, ::-1]])  # append image 5 upside down
    >>> pairs = find_near_duplicates(X, splits=[(range(12), [12])])
    >>> [(pair["first"], pair["second"], pair["leaks"]) for pair in pairs]
    [(5, 12, True)]
    """
    X = check_images(X, "find_near_duplicates")
    names = sample_names(X, names)
    masks = [_as_masks(each, len(names)) for each in splits or ()]
    candidates = list(islice(_similar(_spectra(X), _CANDIDATE), _MOST_PAIRS + 1))
    if len(candidates) > _MOST_PAIRS:
        warnings.warn(
            f"More than {_MOST_PAIRS:,} pairs of images look alike; the search stopped "
            "there. Search in parts of the images.",
            stacklevel=2,
        )
    candidates.sort(key=lambda pair: -pair[2])
    looked_at = _looked_at_again(X, candidates[:_MOST_LOOKS])
    # Rounding can make the correlation of a copy slightly smaller than 1.
    pairs = [pair for pair in looked_at if pair[2] >= threshold - 1e-4]
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))

    def leaks(a: int, b: int) -> bool:
        return any((t[a] and h[b]) or (t[b] and h[a]) for t, h in masks)

    return [
        {
            "first": first,
            "second": second,
            "images": (names[first], names[second]),
            "similarity": similarity,
            "leaks": None if splits is None else leaks(first, second),
        }
        for first, second, similarity in pairs
    ]


def _looked_at_again(
    X: Any, pairs: Sequence[tuple[int, int, float]]
) -> Iterator[tuple[int, int, float]]:
    """Yield pairs with the correlation of their details in place of the similarity."""

    @lru_cache(_KEPT)
    def details(row: int) -> np.ndarray:
        return _details(read_rows(X, slice(row, row + 1))[0])

    for first, second, _ in pairs:
        whole = details(first)
        inner = details(second)[np.newaxis, _SLIDE:-_SLIDE, _SLIDE:-_SLIDE]
        turned = (np.ascontiguousarray(each) for (each,) in _orientations(inner))
        scores = (cv2.matchTemplate(whole, each, _HOW).max() for each in turned)
        yield first, second, min(1.0, float(max(scores)))


def _details(image: np.ndarray) -> np.ndarray:
    image = image.astype(np.float32).mean(axis=-1)
    how = cv2.INTER_AREA if min(image.shape) > _SIDE else cv2.INTER_LINEAR
    image = cv2.resize(image, (_SIDE, _SIDE), interpolation=how)
    fine, coarse = (cv2.GaussianBlur(image, None, s) for s in (_FINE, _COARSE))
    return (fine - coarse) / max(float(np.abs(image).max()), 1e-30)


def _spectra(X: Any) -> np.ndarray:
    """Return amplitudes with mean 0 and norm 1, or 0 for images of uniform colour.

    Their shape is (n_samples, side, side), with frequency 0 in the middle.
    """
    window = np.hanning(_SIDE + 2)[1:-1].astype(np.float32)
    middle = slice(_SIDE // 2 - _HIGHEST, _SIDE // 2 + _HIGHEST + 1)
    out = np.empty((len(X), 2 * _HIGHEST + 1, 2 * _HIGHEST + 1), np.float32)
    images = chain.from_iterable(float_batches(X, "find_near_duplicates"))
    for k, image in enumerate(images):
        amplitudes = np.abs(np.fft.fft2(_details(image) * np.outer(window, window)))
        out[k] = np.fft.fftshift(amplitudes)[middle, middle]
    out -= out.mean(axis=(1, 2), keepdims=True)
    norms = np.linalg.norm(out, axis=(1, 2), keepdims=True)
    # In an image of uniform colour only rounding errors are left.
    norms[norms <= 1e-2] = np.inf
    return out / norms


def _orientations(images: np.ndarray, quarters: int = 4) -> Iterator[np.ndarray]:
    """Yield square images and their reflections, rotated by up to 3 quarters."""
    for flipped in (images, images[:, :, ::-1]):
        for k in range(quarters):
            yield np.rot90(flipped, k, axes=(1, 2))


def _similar(spectra: np.ndarray, threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of positions whose similarity reaches the threshold, and that."""
    n_samples = len(spectra)
    flat = spectra.reshape(n_samples, -1)
    for rows in gen_batches(n_samples, max(1, _AT_A_TIME // (4 * n_samples))):
        later = flat[rows.start :].T
        best = np.full((rows.stop - rows.start, later.shape[1]), -1.0, np.float32)
        correlations = np.empty_like(best)
        # A half turn changes no amplitude.
        for oriented in _orientations(spectra[rows], quarters=2):
            np.matmul(oriented.reshape(len(best), -1), later, out=correlations)
            np.maximum(best, correlations, out=best)
        for row, column in np.argwhere(best >= threshold).tolist():
            if row < column:
                similarity = min(1.0, float(best[row, column]))
                yield rows.start + row, rows.start + column, similarity


def _as_masks(split: tuple[Any, Any], n_samples: int) -> np.ndarray:
    """Return masks of the training and the held-out samples of a split.

    Raises
    ------
    ValueError
        If these are not two arrays of positions. Boolean masks are refused, because
        they would be read as positions 0 and 1.
    """
    masks = np.zeros((2, n_samples), dtype=bool)
    try:
        for mask, positions in zip(masks, split, strict=True):
            positions = as_index(positions)
            if positions.dtype.kind not in "iu" or (positions < 0).any():
                raise TypeError(f"{positions!r} is not an array of positions.")
            mask[positions] = True
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            "splits has to contain pairs of arrays: positions of training images and "
            f"of held-out images, as in the splits_ of an ensemble. {error} There are "
            f"{n_samples} images."
        ) from error
    return masks
