"""The contents of a report as plain data, and the HTML file that shows them.

Each kind of report has its own template in ``templates/``, with its headings and notes;
``templates/report.html`` has the layout of all, and of each kind of block.
"""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sklearn.utils.validation import check_is_fitted

from skwbc._utils.files import check_writable, replacing
from skwbc._utils.names import counted, shown
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.sklearn_compat import HasMethods
from skwbc._utils.version import __version__
from skwbc.report._reproduce import loading_code, parameter_rows, version_rows


class Table(NamedTuple):
    """A table, from rows that map the names of the columns to values.

    The first column names the rows. The first `n_texts` columns contain text, the
    others numbers.
    """

    caption: str
    rows: Sequence[Mapping[str, Any]]
    n_texts: int = 1


class Picture(NamedTuple):
    """A figure as a data URI, its description in words, and its size in pixels."""

    title: str
    source: str
    alt: str
    width: int
    height: int
    note: str = ""


class Card(NamedTuple):
    """An image with a caption and the probabilities of classes."""

    source: str
    alt: str
    lines: Sequence[str] = ()
    bars: Sequence[tuple[str, float]] = ()
    flag: str = ""


class Cards(NamedTuple):
    """Images side by side."""

    title: str
    cards: Sequence[Card]
    note: str = ""
    small: bool = False


class Missing(NamedTuple):
    """The reason why a block could not be made."""

    title: str
    reason: str


# Constraints of the parameters of functions that write reports.
CONSTRAINTS: dict[str, list[Any]] = {
    "path": [str, os.PathLike],
    "estimator": [HasMethods(["fit", "predict_proba"])],
    "y": ["array-like"],
    "names": ["array-like", None],
    "groups": ["array-like", None],
    "command": [str, None],
    "model_file": [str, os.PathLike, None],
    "recipe_call": [str, None],
}
# A string is a paragraph.
Block = str | Table | Picture | Cards | Missing


class Finding(NamedTuple):
    """A warning that readers should know before they trust the metrics.

    Its text is in ``templates/findings.html``.
    """

    name: str
    details: Mapping[str, Any]


def check_installed() -> None:
    """Check for the packages of the extra ``report`` before anything is computed.

    Raises
    ------
    ImportError
        If Jinja2 or matplotlib is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        import_optional(module, "report", "A report")


def check_report(path: str | os.PathLike, estimator: Any) -> None:
    """Check packages, classifier and file before anything is computed."""
    check_installed()
    check_is_fitted(estimator)
    check_writable(path)


def write_page(
    path: str | os.PathLike,
    template: str,
    estimator: Any,
    *,
    model_file: str | os.PathLike | None = None,
    **contents: Any,
) -> None:
    """Write a report to a file as HTML in UTF-8.

    Parameters
    ----------
    path : str or path-like
        The file.
    template : str
        Name of the template of this kind of report.
    estimator : classifier
        The classifier that the report is about.
    model_file : str or path-like, default=None
        Its file, if known.
    **contents : dict
        What the template shows.
    """
    jinja2 = import_optional("jinja2", "report", "A report")
    environment = jinja2.Environment(
        # Names of classes and files may contain any characters.
        autoescape=True,
        finalize=_safe,
        loader=jinja2.PackageLoader("skwbc.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": _breakable, "counted": counted}
    module, load = loading_code(estimator, model_file)
    html = environment.get_template(template).render(
        contents,
        estimator=estimator,
        module=module,
        load=load,
        kind_of=lambda block: type(block).__name__,
        parameters=Table("Parameters", parameter_rows(estimator), n_texts=3),
        versions=Table("Versions that wrote this report", version_rows(), n_texts=2),
        version=__version__,
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8", newline="")


def _breakable(name: str) -> Any:
    """Let a long name be continued in the next line after "/" and "_"."""
    parts = re.split("(?<=[/_])", shown(name, "\n\t"))
    markupsafe = import_optional("markupsafe", "report", "A report")
    return markupsafe.Markup("<wbr>").join(parts)


def _safe(value: Any) -> Any:
    """Remove control characters from text, but not from HTML."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return shown(value, "\n\t") if is_text else value
