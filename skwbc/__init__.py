"""Classify small sets of microscope images with scikit-learn and Keras.

The names below are loaded on first use, so ``import skwbc`` costs next to nothing and
``from skwbc import KFoldEnsembleClassifier`` imports neither Keras nor TensorFlow.
"""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc import cnn, datasets, export, inspection, report, uncertainty
    from skwbc.augmentation import (
        AugmentedImages,
        ColourStatistics,
        FlattenImages,
        ImageAugmenter,
    )
    from skwbc.cnn import CNNClassifier, build_article_cnn, build_compact_cnn
    from skwbc.ensemble import KFoldEnsembleClassifier
    from skwbc.persistence import load_model, save_model
    from skwbc.recipes import make_cell_classifier
    from skwbc.voting import SoftVotingClassifier

__version__ = "0.1.0"

_HOMES = {
    "AugmentedImages": "skwbc.augmentation",
    "CNNClassifier": "skwbc.cnn",
    "ColourStatistics": "skwbc.augmentation",
    "FlattenImages": "skwbc.augmentation",
    "ImageAugmenter": "skwbc.augmentation",
    "KFoldEnsembleClassifier": "skwbc.ensemble",
    "SoftVotingClassifier": "skwbc.voting",
    "build_article_cnn": "skwbc.cnn",
    "build_compact_cnn": "skwbc.cnn",
    "load_model": "skwbc.persistence",
    "make_cell_classifier": "skwbc.recipes",
    "save_model": "skwbc.persistence",
}
_ROOMS = ("cnn", "datasets", "export", "inspection", "report", "uncertainty")

__all__ = [
    "AugmentedImages",
    "CNNClassifier",
    "ColourStatistics",
    "FlattenImages",
    "ImageAugmenter",
    "KFoldEnsembleClassifier",
    "SoftVotingClassifier",
    "__version__",
    "build_article_cnn",
    "build_compact_cnn",
    "cnn",
    "datasets",
    "export",
    "inspection",
    "load_model",
    "make_cell_classifier",
    "report",
    "save_model",
    "uncertainty",
]


__getattr__, __dir__ = lazy_door(__name__, _HOMES, _ROOMS)
