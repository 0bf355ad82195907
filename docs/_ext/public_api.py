"""What the reference shows of a class, and where names in docstrings lead."""

import re

from docutils import nodes
from sphinx.domains.python import PythonDomain

_ROOMS = ("skwbc", "skwbc.datasets", "skwbc.inspection", "skwbc.export", "skwbc.report")
_SKLEARN = "https://scikit-learn.org/stable/modules/generated/{}.html"


def _skip(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn makes for metadata routing."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def _resolve(app, env, node, contnode):
    """Find the public name, or scikit-learn's page, that a docstring means."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].removeprefix("skwbc.")
    if target.startswith("sklearn."):
        url = _SKLEARN.format(target)
        return nodes.reference("", "", contnode, internal=False, refuri=url)
    domain: PythonDomain = env.domains["py"]
    for room in _ROOMS:
        known = domain.objects.get(f"{room}.{target}")
        if known is not None:
            uri = app.builder.get_relative_uri(node["refdoc"], known.docname)
            return nodes.reference(
                "", "", contnode, internal=True, refuri=f"{uri}#{known.node_id}"
            )
    return None


def setup(app):
    """Connect them."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
