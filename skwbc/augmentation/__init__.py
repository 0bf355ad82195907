"""Transformers of images: random changes while training, standardisation, rows.

Nothing in this folder needs Keras.
"""

from skwbc.augmentation._augmenter import ImageAugmenter
from skwbc.augmentation._colour_statistics import ColourStatistics
from skwbc.augmentation._flatten import FlattenImages
from skwbc.augmentation._lazy import AugmentedImages, StandardisedImages
from skwbc.augmentation._plan import AugmentationPlan as AugmentationPlan

__all__ = [
    "AugmentedImages",
    "ColourStatistics",
    "FlattenImages",
    "ImageAugmenter",
    "StandardisedImages",
]
