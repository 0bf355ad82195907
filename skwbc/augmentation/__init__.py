"""Transformers of images: random changes while a classifier is trained, and rows.

No Keras is needed here.
"""

from skwbc.augmentation._lazy import AugmentedImages, StandardisedImages
from skwbc.augmentation.augmenter import ImageAugmenter
from skwbc.augmentation.colour_statistics import ColourStatistics
from skwbc.augmentation.flatten import FlattenImages

__all__ = [
    "AugmentedImages",
    "ColourStatistics",
    "FlattenImages",
    "ImageAugmenter",
    "StandardisedImages",
]
