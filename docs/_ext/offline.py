"""A warning for each page that would load something from elsewhere when it is read."""

import re
from pathlib import Path

from sphinx.util import logging

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b[^>]*\brel=["']stylesheet["'][^>]*\bhref=["'](?:https?:)?//[^"']+"""
    r"""|url\(["']?(?:https?:)?//[^)]+"""
)


def _look(app, exception):
    if exception is not None:
        return
    for kind in ("*.html", "*.css"):
        for path in Path(app.outdir).rglob(kind):
            for found in _LOADED.findall(path.read_text(encoding="utf-8")):
                logging.getLogger(__name__).warning("%s loads %s", path.name, found)


def setup(app):
    """Look when all pages are there."""
    app.connect("build-finished", _look)
    return {"parallel_read_safe": True}
