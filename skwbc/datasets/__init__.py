"""Images to work on: the article's raw files, folders of classes, synthetic cells."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
