"""Classify small sets of microscope images with scikit-learn and Keras.

The names below are loaded on first use, so ``import skwbc`` costs next to nothing and
``from skwbc import KFoldEnsembleClassifier`` imports neither Keras nor TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skwbc import cnn, datasets, inspection, uncertainty
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
_ROOMS = ("cnn", "datasets", "inspection", "uncertainty")

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
    "inspection",
    "load_model",
    "make_cell_classifier",
    "save_model",
    "uncertainty",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"skwbc.{name}")
    else:
        raise AttributeError(f"module 'skwbc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
