"""Classify small sets of microscope images with scikit-learn and Keras.

The public names are listed in ``__init__.pyi`` and loaded on first use, so ``import
skwbc`` is fast and ``from skwbc import KFoldEnsembleClassifier`` imports neither Keras
nor TensorFlow.
"""

import lazy_loader

# Pickles of fitted estimators contain its address.
from skwbc._utils.versions import read_stamp as read_stamp

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
