"""Check the text of the gallery's scripts; `make docs` runs them."""

import ast
import re
from pathlib import Path

import pytest

from skwbc import inspection

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(FOLDER.glob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_has_a_title_a_text_and_public_imports(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))

    title, line, *text = ast.get_docstring(tree).splitlines()
    assert len(line) == len(title)
    assert set(line) == {"="}
    assert len(" ".join(text)) > 100
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    from_skwbc = [node for node in imported if node.module.split(".")[0] == "skwbc"]
    assert from_skwbc
    for node in from_skwbc:
        # Examples only use what a user can import.
        module = __import__(node.module, fromlist=["*"])
        assert {alias.name for alias in node.names} <= set(module.__all__)


def test_every_plot_and_the_classes_of_the_article_are_in_an_example():
    text = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)

    names = {name for name in inspection.__all__ if re.match("plot_|.*Display$", name)}
    names |= {"CNNClassifier", "ImageAugmenter", "KFoldEnsembleClassifier"}
    missing = {name for name in names if not re.search(rf"\b{name}\b", text)}
    assert not missing
