"""All that is done to images: drawn warps and colours, then standardisation."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skwbc.augmentation._affine import Moves, RandomAffine, Warps
from skwbc.augmentation._colour import Colours, RandomColour
from skwbc.augmentation._images import as_finite_float32
from skwbc.augmentation._opencv import threads_for
from skwbc.augmentation._standardise import Standardisation

# Bytes of float32 images that are taken through all steps together: few enough to stay
# in the processor's cache, enough not to spend the time between the steps.
_AT_A_TIME = 2**21


class Draws(NamedTuple):
    """Drawn parameters of images."""

    warps: Warps
    colours: Colours


@dataclass(frozen=True, eq=False)
class Plan:
    """What is done to images, in the order of the fields.

    Attributes
    ----------
    affine : RandomAffine
        What warps are drawn from.
    colour : RandomColour
        What changes of colour are drawn from.
    standardisation : Standardisation
        Not random.
    channels_first : bool
        Whether images are (channels, height, width).
    owner : str
        Name of the estimator, for messages.
    """

    affine: RandomAffine = field(default_factory=RandomAffine)
    colour: RandomColour = field(default_factory=RandomColour)
    standardisation: Standardisation = field(default_factory=Standardisation)
    channels_first: bool = False
    owner: str = "ImageAugmenter"

    # How many uniform numbers each image takes, whatever the options are.
    NUMBERS = RandomAffine.NUMBERS + RandomColour.NUMBERS

    @property
    def is_random(self) -> bool:
        """Whether a draw can change an image."""
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
            Of any real type, or with the channels first. Left as they are.
        draws : Draws or None
            Parameters of the random changes; without them there are none.
        positions : ndarray of shape (n,), int, default=None
            What messages call each image, if not by its number.

        Returns
        -------
        ndarray of the shape of `images`, float32
            New.
        """
        out = np.empty(images.shape, np.float32)
        if positions is None:
            positions = np.arange(len(out))
        size = max(1, _AT_A_TIME // (4 * int(np.prod(images.shape[1:]))))
        height, width = images.shape[2:] if self.channels_first else images.shape[1:3]
        if draws is not None:
            moves = self.affine.compose(draws.warps, height, width)
        with threads_for(height, width):
            for first in range(0, len(out), size):
                part = slice(first, first + size)
                target = out[part]
                if draws is None:
                    self._load(images[part], positions[part], out=target)
                else:
                    loaded = self._load(images[part], positions[part])
                    colours = draws.colours.select(part)
                    self._change(loaded, moves.select(part), colours, target)
                self.standardisation.apply(target)
        return out

    def _load(
        self, images: np.ndarray, positions: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Return checked, contiguous images of a type that OpenCV warps."""
        if out is None and images.dtype in (np.uint8, np.uint16):
            return np.ascontiguousarray(images)
        return as_finite_float32(images, self.owner, positions=positions, out=out)

    def _change(
        self, images: np.ndarray, moves: Moves, colours: Colours, out: np.ndarray
    ) -> None:
        if self.channels_first:
            images = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        changed = out
        if self.channels_first:
            changed = np.empty(images.shape, np.float32)
        if self.affine.is_identity:
            changed[...] = images
        else:
            self.affine.apply(images, moves, changed)
        self.colour.apply(changed, colours)
        if self.channels_first:
            out[...] = np.moveaxis(changed, -1, 1)
