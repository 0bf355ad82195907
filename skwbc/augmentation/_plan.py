"""From the options of an augmenter to changed and standardised images."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, NamedTuple

import cv2
import numpy as np

from skwbc.augmentation._affine import Moves, RandomAffine, ShiftRange, Warps
from skwbc.augmentation._colour import Colours, RandomColour
from skwbc.augmentation._images import as_finite_float32
from skwbc.augmentation._standardise import Standardisation, Whitening

# Bytes of float32 images that go through all steps together: few enough to stay in the
# processor's cache, enough to make the time between the steps negligible.
_AT_A_TIME = 2**21
# OpenCV shares images with at least this many pixels among its threads.
_LARGE = 2**15


class Draws(NamedTuple):
    """Drawn parameters of images."""

    warps: Warps
    colours: Colours


class AugmentationPlan:
    """Everything that is done to images: warps, changes of colour, standardisation.

    It is made, and pickled, from plain data, so that its classes may change without
    breaking old model files.

    Parameters
    ----------
    options : dict
        Parameters of `ImageAugmenter` by name.
    image_shape : tuple of int
        Shape of each image, in the order of the option ``data_format``.
    learnt : dict, default={}
        Learnt from images, if the options need it: ``white_level``, ``mean``, ``std``,
        ``zca_components`` and ``zca_scale``, as in the attributes of `ImageAugmenter`.
    owner : str, default="ImageAugmenter"
        Name of the estimator, for error messages.

    Attributes
    ----------
    affine : RandomAffine
        Distribution of warps.
    colour : RandomColour
        Distribution of changes of colour.
    standardisation : Standardisation
        The last steps, which are not random.
    channels_first : bool
        True if images are (channels, height, width).
    channel_axis : int
        Axis of the channels in arrays of images.

    Raises
    ------
    ValueError
        If the value of an option is out of range.
    """

    __module__ = "skwbc.augmentation"  # where pickles look for it

    # Uniform numbers that each image takes, whatever the options are.
    NUMBERS = RandomAffine.NUMBERS + RandomColour.NUMBERS

    def __init__(
        self,
        options: Mapping[str, Any],
        image_shape: tuple[int, ...],
        learnt: Mapping[str, Any] | None = None,
        owner: str = "ImageAugmenter",
    ) -> None:
        learnt = learnt or {}
        self._arguments = dict(options), image_shape, dict(learnt), owner
        self._owner = owner
        self.channels_first = options["data_format"] == "channels_first"
        self.channel_axis = 1 if self.channels_first else 3
        height, width = image_shape[1:] if self.channels_first else image_shape[:2]
        self.affine = RandomAffine(
            rotation=float(options["rotation_range"]),
            shift=(
                _shift_range("height_shift_range", options, height),
                _shift_range("width_shift_range", options, width),
            ),
            shear=float(options["shear_range"]),
            zoom=_zoom_range(options["zoom_range"]),
            flip=(bool(options["vertical_flip"]), bool(options["horizontal_flip"])),
            fill_mode=options["fill_mode"],
            cval=float(options["cval"]),
        )
        self.colour = RandomColour(
            stain=_stain_jitter(options["stain_jitter"]),
            channel_shift=float(options["channel_shift_range"]),
            brightness=_brightness_range(options["brightness_range"]),
            white=learnt.get("white_level", 1.0),
        )
        whitening = None
        if "zca_scale" in learnt:
            whitening = Whitening(learnt["zca_components"], learnt["zca_scale"])
        divide = options["samplewise_std_normalization"]
        self.standardisation = Standardisation(
            preprocessing_function=options["preprocessing_function"],
            rescale=options["rescale"],
            samplewise_center=options["samplewise_center"] or divide,
            samplewise_std=divide,
            mean=self.per_channel(learnt["mean"]) if "mean" in learnt else None,
            std=self.per_channel(learnt["std"]) if "std" in learnt else None,
            whitening=whitening,
        )

    def __reduce__(self) -> tuple:
        return AugmentationPlan, self._arguments

    @property
    def is_random(self) -> bool:
        """True if a draw can change an image."""
        return not (self.affine.is_identity and self.colour.is_identity)

    def draw(self, numbers: np.ndarray) -> Draws:
        """Turn uniform numbers from 0 to 1, of shape (n, NUMBERS), into parameters."""
        split = RandomAffine.NUMBERS
        return Draws(
            self.affine.draw(numbers[:, :split]), self.colour.draw(numbers[:, split:])
        )

    def apply(
        self,
        images: Any,
        draws: Draws | None = None,
        positions: np.ndarray | None = None,
    ) -> np.ndarray:
        """Change, and then standardise, each image.

        Parameters
        ----------
        images : ndarray of shape (n, height, width, channels)
            Images of any real type, or with the channels first. They are not changed.
        draws : Draws or None
            Parameters of the random changes; None for no changes.
        positions : ndarray of shape (n,), int, default=None
            Position of each image in the user's array, for error messages.

        Returns
        -------
        ndarray of the shape of `images`, float32
            A new array.
        """
        out = np.empty(images.shape, np.float32)
        if positions is None:
            positions = np.arange(len(out))
        size = max(1, _AT_A_TIME // (4 * int(np.prod(images.shape[1:]))))
        height, width = images.shape[2:] if self.channels_first else images.shape[1:3]
        if draws is not None:
            moves = self.affine.compose(draws.warps, height, width)
        with _opencv_threads(height * width):
            for first in range(0, len(out), size):
                part = slice(first, first + size)
                target = out[part]
                if draws is None:
                    as_finite_float32(
                        images[part], self._owner, positions=positions[part], out=target
                    )
                else:
                    loaded = self._load(images[part], positions[part])
                    colours = Colours(*(values[part] for values in draws.colours))
                    moves_part = Moves(*(values[part] for values in moves))
                    self._change(loaded, moves_part, colours, target)
                self.standardisation.apply(target)
        return out

    def _load(self, images: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return checked, contiguous images of a type that OpenCV warps."""
        if images.dtype in (np.uint8, np.uint16):
            return np.ascontiguousarray(images)
        return as_finite_float32(images, self._owner, positions=positions)

    def _change(
        self, images: np.ndarray, moves: Moves, colours: Colours, out: np.ndarray
    ) -> None:
        if self.channels_first:
            images = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        changed = np.empty(images.shape, np.float32) if self.channels_first else out
        if self.affine.is_identity:
            changed[...] = images
        else:
            self.affine.apply(images, moves, changed)
        self.colour.apply(changed, colours)
        if self.channels_first:
            out[...] = np.moveaxis(changed, -1, 1)

    def per_channel(self, values: np.ndarray) -> np.ndarray:
        """Return one float32 value per channel in a shape that fits images."""
        shape = (-1, 1, 1) if self.channels_first else (1, 1, -1)
        return values.astype(np.float32).reshape(shape)


def _shift_range(name: str, options: Mapping[str, Any], side: int) -> ShiftRange:
    """Read the range of a shift as Keras does, in pixels of a side of this length."""
    value = options[name]
    if isinstance(value, Integral):
        return ShiftRange(choices=tuple(map(float, range(int(value)))))
    if isinstance(value, Real):
        return ShiftRange(limit=float(value) * (side if value < 1 else 1))
    choices = _numbers(value)
    if not len(choices):
        raise ValueError(
            f"{name}={value!r}: expected a fraction below 1, a number of pixels, or a "
            "list of such numbers to choose from."
        )
    if np.abs(choices).max() < 1:
        choices = choices * side
    return ShiftRange(choices=tuple(choices.tolist()))


def _zoom_range(value: Any) -> tuple[float, float]:
    """Return the factors from and to; a number z is short for 1 - z and 1 + z."""
    if isinstance(value, Real):
        return 1.0 - float(value), 1.0 + float(value)
    expected = (
        "a number from 0 to 1 (excluded), or a pair of factors (from, to) with "
        "0 < from <= to"
    )
    return _pair("zoom_range", value, lambda low, high: 0 < low <= high, expected)


def _brightness_range(value: Any) -> tuple[float, float]:
    """Return the factors from and to; None leaves brightness alone."""
    if value is None:
        return 1.0, 1.0
    expected = (
        "None or a pair of factors (from, to) with 0 <= from <= to, such as (0.8, 1.2)"
    )
    return _pair(
        "brightness_range", value, lambda low, high: 0 <= low <= high, expected
    )


def _stain_jitter(value: Any) -> tuple[float, float]:
    """Return the ranges of scale and shift; a single number stands for both."""
    if isinstance(value, Real):
        return float(value), float(value)
    expected = (
        "a number from 0 to 1 (excluded), or a pair (scale, shift) of numbers not "
        "below 0, the first of them below 1"
    )
    return _pair(
        "stain_jitter",
        value,
        lambda scale, shift: 0 <= scale < 1 and shift >= 0,
        expected,
    )


def _pair(
    name: str, value: Any, is_valid: Callable[[float, float], bool], expected: str
) -> tuple[float, float]:
    pair = _numbers(value).tolist()
    if len(pair) != 2 or not is_valid(*pair):
        raise ValueError(f"{name}={value!r}: expected {expected}.")
    return pair[0], pair[1]


def _numbers(value: Any) -> np.ndarray:
    """Return a flat list of finite numbers as an array, anything else as empty."""
    try:
        numbers = np.asarray(value)
    except ValueError:
        return np.empty(0)
    if numbers.ndim != 1 or numbers.dtype.kind not in "uif":
        return np.empty(0)
    return numbers.astype(float) if np.isfinite(numbers).all() else np.empty(0)


_lock = threading.Lock()
_users = 0
_n_threads = 1


@contextmanager
def _opencv_threads(n_pixels: int) -> Iterator[None]:
    """Let OpenCV use one thread for small images, and its own choice for large ones.

    Sharing a small image among threads takes longer than warping it. The number of
    threads is one setting for the whole process, so the last user restores it. The
    setting holds for all steps, since OpenCV has to start its threads anew after it.
    """
    global _users, _n_threads
    if n_pixels >= _LARGE:
        yield
        return
    with _lock:
        if _users == 0:
            _n_threads = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_n_threads)
