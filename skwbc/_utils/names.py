"""Make names of files and classes, which may hold any characters, safe to show.

Others choose them. Raw, an escape sequence in a name controls the terminal, a line
break forges a line of output, and ``=`` begins a formula in a spreadsheet.
"""

import json
import re
import unicodedata
from typing import Any

# Control characters, invisible ones that change the order of others, halves of
# characters, and two separators of lines. The joiners of scripts and emoji stay.
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
# In a spreadsheet these begin a formula, also behind another separator.
_FORMULA = re.compile(r"(^|[;,])('*[=+\-@＝＋－＠])")
_QUOTED = re.compile(r"(^|[;,])'('*[=+\-@＝＋－＠])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def _is_unsafe(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _UNSAFE and character not in _JOINERS


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _replaced(text: str, keep: str, escape: Any) -> str:
    if text.isprintable():  # nearly always, and fast
        return text
    return "".join(escape(c) if _is_unsafe(c) and c not in keep else c for c in text)


def shown(name: Any, keep: str = "") -> str:
    r"""Return text for a terminal, a figure or a page, with escapes such as ``\x1b``.

    Parameters
    ----------
    name : object
        Text, or what is shown as ``str(name)``.
    keep : str, default=""
        Characters that are kept, such as line breaks in text of several lines.

    Returns
    -------
    str
    """
    return _replaced(str(name), keep, _escaped)


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 image" or "1,200 images".

    Parameters
    ----------
    n : int
        The number.
    noun : str
        The noun, or several words, for one.
    plural : str, default=""
        The same for other numbers; by default `noun` with an "s".
    """
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def shown_json(text: str) -> str:
    r"""Return a JSON document with escapes of JSON, such as ``\u009b``."""
    return _replaced(text, "\n", lambda each: json.dumps(each)[1:-1])


def in_table(name: Any) -> str:
    """Return a value for a table, from which :func:`from_table` makes it again.

    A spreadsheet takes none for a formula: an apostrophe precedes what looks like one.
    """
    text = _ESCAPE.sub(lambda match: r"\x5c" + match[0][1:], str(name))
    if _NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(r"\1'\2", shown(text))


def from_table(value: str) -> str:
    """Return the name for which :func:`in_table` wrote a value."""

    def character(match: re.Match) -> str:
        code = int(match[1] or match[2] or match[3], 16)
        if code > 0x10FFFF:
            return match[0]
        return chr(code) if code == ord("\\") or _is_unsafe(chr(code)) else match[0]

    return _ESCAPE.sub(character, _QUOTED.sub(r"\1\2", value))
