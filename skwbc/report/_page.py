"""What a report is made of, as plain data, and the file that is made of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from skwbc._utils.optional_imports import import_optional
from skwbc._utils.version import __version__


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it.

    The first `n_texts` columns are words, the others figures.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_texts: int = 1


@dataclass(frozen=True)
class Picture:
    """A drawing: its data URI, what it shows in words, and its size in pixels."""

    kind: ClassVar[str] = "picture"
    title: str
    source: str
    alt: str
    width: int
    height: int
    note: str = ""


@dataclass(frozen=True)
class Card:
    """An image, what is to be said of it, and probabilities of classes."""

    source: str
    alt: str
    lines: Sequence[str]
    bars: Sequence[tuple[str, float]] = ()
    flag: str = ""


@dataclass(frozen=True)
class Cards:
    """Images side by side, as many in a row as there is room for."""

    kind: ClassVar[str] = "cards"
    title: str
    cards: Sequence[Card]
    note: str = ""
    small: bool = False


@dataclass(frozen=True)
class Code:
    """Something to type, or to read as it stands."""

    kind: ClassVar[str] = "code"
    title: str
    code: str


@dataclass(frozen=True)
class Missing:
    """Something that could not be made, and why."""

    kind: ClassVar[str] = "missing"
    title: str
    reason: str


Block = Text | Table | Picture | Cards | Code | Missing


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Finding:
    """Something that the reader should know before trusting a figure."""

    title: str
    text: str


@dataclass(frozen=True)
class Key:
    """A figure for the top of the page."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    keys: Sequence[Key]
    findings: Sequence[Finding]
    looked_for: str
    sections: Sequence[Section]
    version: str = __version__
    written: str = field(
        default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    )


def check_installed() -> None:
    """Say what is missing before anything is computed.

    Raises
    ------
    ImportError
        If Jinja2 or matplotlib is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        import_optional(module, "report", "A report")


def write_page(page: Page, path: Path | str | os.PathLike) -> None:
    """Lay a page out as HTML and write it to a file as it is, in UTF-8."""
    jinja2 = import_optional("jinja2", "report", "A report")
    environment = jinja2.Environment(
        # Names of classes and files come from anywhere.
        autoescape=True,
        loader=jinja2.PackageLoader("skwbc.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html").render(page=page)
    # Names of files may be no text.
    Path(path).write_bytes(html.encode("utf-8", errors="backslashreplace"))
