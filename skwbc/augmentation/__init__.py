"""Transformers of images: random changes while a classifier is trained, and rows.

No Keras is needed here.
"""

from skwbc.augmentation._augmenter import ImageAugmenter
from skwbc.augmentation._colour_statistics import ColourStatistics
from skwbc.augmentation._flatten import FlattenImages
from skwbc.augmentation._lazy import AugmentedImages, StandardisedImages

__all__ = [
    "AugmentedImages",
    "ColourStatistics",
    "FlattenImages",
    "ImageAugmenter",
    "StandardisedImages",
]
