"""The fold ensemble and the soft vote. They know nothing of images or Keras."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
