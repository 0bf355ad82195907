"""Transformers of images: random changes while training, standardisation, rows.

Nothing in this folder needs Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
