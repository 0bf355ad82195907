"""The contents of a report as plain data, and the HTML file that shows them.

Each kind of block has its own layout in ``templates/report.html``.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from skwbc._utils.names import shown
from skwbc._utils.optional_imports import import_optional
from skwbc._utils.version import __version__


class Text(NamedTuple):
    """A paragraph."""

    text: str


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


class Code(NamedTuple):
    """Commands or source code."""

    title: str
    code: str


class Missing(NamedTuple):
    """The reason why a block could not be made."""

    title: str
    reason: str


Block = Text | Table | Picture | Cards | Code | Missing


class Section(NamedTuple):
    """Blocks with a common heading."""

    name: str
    title: str
    blocks: Sequence[Block]


class Finding(NamedTuple):
    """A warning that readers should know before they trust the metrics."""

    title: str
    text: str


class Key(NamedTuple):
    """A number at the top of the page."""

    label: str
    value: str
    note: str = ""


class Page(NamedTuple):
    """A whole report."""

    title: str
    subtitle: str
    keys: Sequence[Key]
    findings: Sequence[Finding]
    checked_for: str
    sections: Sequence[Section]


def check_installed() -> None:
    """Check for the packages of the extra ``report`` before anything is computed.

    Raises
    ------
    ImportError
        If Jinja2 or matplotlib is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        import_optional(module, "report", "A report")


def write_page(page: Page, path: str | os.PathLike) -> None:
    """Write a page to a file as HTML in UTF-8."""
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
    html = environment.get_template("report.html").render(
        page=page,
        kind_of=lambda block: type(block).__name__,
        version=__version__,
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    Path(path).write_text(html, encoding="utf-8", newline="")


def _safe(value: Any) -> Any:
    """Remove control characters from text, but not from HTML."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return shown(value, "\n\t") if is_text else value
