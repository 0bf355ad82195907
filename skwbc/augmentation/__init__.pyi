from ._augmenter import ImageAugmenter as ImageAugmenter
from ._colour_statistics import ColourStatistics as ColourStatistics
from ._flatten import FlattenImages as FlattenImages
from ._lazy import (
    AugmentedImages as AugmentedImages,
    StandardisedImages as StandardisedImages,
)
from ._plan import AugmentationPlan as AugmentationPlan
