"""Random changes to images while a classifier is trained. No Keras is needed here."""

from skwbc.augmentation._lazy import AugmentedImages
from skwbc.augmentation.augmenter import ImageAugmenter

__all__ = ["AugmentedImages", "ImageAugmenter"]
