"""Whole fields of a smear: find the cells, crop them, and count them by class."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
