"""Choose the methods in the API reference, and resolve names in docstrings."""

import re

from docutils import nodes
from sphinx.domains.python import PythonDomain

_MODULES = (
    "skwbc",
    "skwbc.datasets",
    "skwbc.inspection",
    "skwbc.export",
    "skwbc.report",
)
_SKLEARN = "https://scikit-learn.org/stable/modules/generated/{}.html"


def _skip(app, what, name, obj, skip, options):
    """Leave out what other libraries add to a class, such as ``set_fit_request``."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or "skwbc"
    is_foreign = not module.startswith("skwbc")
    if is_foreign or not obj.__doc__ or re.fullmatch(r"set_\w+_request", name):
        return True
    return None


def _resolve(app, env, node, contnode):
    """Link a name in a docstring to its page here or in scikit-learn's reference."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].removeprefix("skwbc.")
    if target.startswith("sklearn."):
        url = _SKLEARN.format(target)
        return nodes.reference("", "", contnode, internal=False, refuri=url)
    domain: PythonDomain = env.domains["py"]
    for module in _MODULES:
        entry = domain.objects.get(f"{module}.{target}")
        if entry is not None:
            uri = app.builder.get_relative_uri(node["refdoc"], entry.docname)
            return nodes.reference(
                "", "", contnode, internal=True, refuri=f"{uri}#{entry.node_id}"
            )
    return None


def setup(app):
    """Register the event handlers."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
