"""Warn of pages that would load external resources."""

import re
from pathlib import Path

from sphinx.util import logging

_EXTERNAL = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b[^>]*\brel=["']stylesheet["'][^>]*\bhref=["'](?:https?:)?//[^"']+"""
    r"""|url\(["']?(?:https?:)?//[^)]+"""
)


def _check(app, exception):
    if exception is not None:
        return
    for kind in ("*.html", "*.css"):
        for path in Path(app.outdir).rglob(kind):
            for source in _EXTERNAL.findall(path.read_text(encoding="utf-8")):
                logging.getLogger(__name__).warning("%s loads %s", path.name, source)


def setup(app):
    """Check the pages at the end of the build."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
