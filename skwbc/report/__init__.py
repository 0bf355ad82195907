"""Training and evaluation reports, each one self-contained HTML file.

They need the extra ``report``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
