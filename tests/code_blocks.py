"""Code blocks of Markdown pages, and the commands in them."""

import glob
import re
import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<reason>\S.*?)\s*-->\s*", re.DOTALL)
_NEEDS = re.compile(r"<!--\s*needs:\s*(?P<package>\w+)(?P<images> images)?\s*-->\s*")
_MADE = {"_build", "auto_examples", "generated"}


@dataclass
class Block:
    """A fenced block: language, text, first line, and why it is not run, if so.

    `needs` is a package without which it is not run; `images_only`, that it takes no
    tables.
    """

    language: str
    text: str
    line: int
    not_run: str | None = None
    needs: str | None = None
    images_only: bool = False

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command line of a sh or console block."""
        text = self.text.replace("\\\n", " ")
        if self.language == "console":
            lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
        else:
            lines = [line.removeprefix("$ ") for line in text.splitlines()]
        words = [shlex.split(line, comments=True) for line in lines]
        return [command for command in words if command]


@dataclass
class Page:
    """A Markdown file and its code blocks."""

    path: Path
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


def read_page(path: Path) -> Page:
    page = Page(path)
    not_run = needs = None
    # A mark applies only to the code block directly after it.
    for token in MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8")):
        if token.type == "fence":
            assert token.map is not None
            words = token.info.split() or [""]
            line = token.map[0] + 2
            block = Block(words[0], token.content, line, not_run)
            if needs:
                block.needs, block.images_only = needs["package"], bool(needs["images"])
            page.blocks.append(block)
        is_mark = token.type == "html_block"
        mark = _NOT_RUN.fullmatch(token.content) if is_mark else None
        needs = _NEEDS.fullmatch(token.content) if is_mark else None
        not_run = mark["reason"] if mark else None
    return page


def pages_to_run() -> list[Page]:
    """Read all README files, and the pages of the documentation."""
    files = [*ROOT.glob("README*.md")]
    for path in (ROOT / "docs").rglob("*.md"):
        if not _MADE & set(path.relative_to(ROOT).parts):
            files.append(path)
    return [read_page(path) for path in sorted(files)]


def pages_to_check() -> list[Page]:
    """Read the pages whose commands are checked but not run."""
    names = [
        "CONTRIBUTING.md",
        "SECURITY.md",
        *glob.glob("benchmarks/*.md", root_dir=ROOT),
    ]
    return [read_page(ROOT / name) for name in names if (ROOT / name).is_file()]


def complaint(command: list[str]) -> str | None:
    """Describe what is wrong with a command that is not run; None if it is valid."""
    program, *rest = command
    program = program.removeprefix(".venv/bin/")
    options = [word.partition("=")[0] for word in rest if word.startswith("--")]
    names = [word for word in rest if not word.startswith("-")]
    if program in ("git", "cd"):
        return None
    if program == "make":
        targets = re.findall(
            r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
        missing = [name for name in names if "=" not in name and name not in targets]
        return f"the Makefile has no {missing}" if missing else None
    if program.startswith("python") and rest[:2] == ["-m", "pip"]:
        program, rest = "pip", rest[2:]
    if program == "pip" and rest[0] == "install":
        return _unknown_extra(rest)
    if program.startswith("python") and rest[:2] == ["-m", "pytest"]:
        gone = [name for name in names[1:] if not (ROOT / name).exists()]
        return f"{gone} do not exist" if gone else None
    if program.startswith("python") and names and names[0].endswith(".py"):
        script = ROOT / names[0]
        if not script.is_file():
            return f"{names[0]} does not exist"
        sources = "".join(path.read_text() for path in script.parent.glob("*.py"))
        unknown = [
            name for name in options if f'"{name[2:]}' not in sources.replace("--", "")
        ]
        return f"{names[0]} has no options {unknown}" if unknown else None
    if program == "python":
        return None
    return "unknown command"


def _unknown_extra(words: list[str]) -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in words:
        extras = re.fullmatch(r"(?:\.|skwbc)\[(.+)\]", word)
        for extra in extras[1].split(",") if extras else ():
            if extra not in project["optional-dependencies"]:
                return f"there is no extra {extra}"
    return None
