"""Adapt the links of pages that are included from elsewhere in the repository.

README, CHANGELOG and benchmarks/*.md link to files next to them. On the site, a link to
a file that is included in a page leads to that page, and other links download the file.
"""

import os
import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)\s#]+)(#[^)\s]*)?(?=\))")
# The page that includes each file.
_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "performance.md",
    "benchmarks/recognition.md": "recognition.md",
    "benchmarks/fold_ensemble.md": "fold_ensemble.md",
    "benchmarks/counting.md": "counting.md",
}


def _adapt(app, relative_path, parent_docname, content):
    source = (Path(app.srcdir) / relative_path).resolve()
    if source.suffix != ".md":
        return
    here = (Path(app.srcdir) / parent_docname).parent

    def adapt(match):
        target = (source.parent / match[1]).resolve()
        name = os.path.relpath(target, _ROOT)
        page = Path(app.srcdir) / _PAGES[name] if name in _PAGES else target
        path = os.path.relpath(page, here)
        is_page = page.suffix == ".md" or page.is_relative_to(
            Path(app.srcdir) / "images"
        )
        scheme = "" if is_page else "path:"
        return f"{scheme}{path}{match[2] or ''}"

    content[0] = _LINK.sub(adapt, content[0])


def setup(app):
    """Register the event handler."""
    app.connect("include-read", _adapt)
    return {"parallel_read_safe": True}
