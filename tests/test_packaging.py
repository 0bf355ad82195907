"""Metadata and pages agree with the package."""

import ast
import importlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import skwbc

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skwbc"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_is_the_same_everywhere():
    (cited,) = re.findall(r"^version: (\S+)$", read("CITATION.cff"), re.MULTILINE)
    assert cited == skwbc.__version__
    assert metadata.version("skwbc") == skwbc.__version__
    newest = re.search(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)[1]
    assert newest in {"Unreleased", skwbc.__version__}


def test_citation_has_the_required_fields():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["project"]["license"]
    names = [author["name"] for author in citation["authors"]]
    assert names == [author["name"] for author in PROJECT["project"]["authors"]]


@pytest.fixture(scope="module")
def nodes():
    """Return all imports and calls of the package with their places."""
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
    ]


def test_every_imported_package_is_a_requirement(nodes):
    modules = set()
    for _, node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module.partition(".")[0])
    requirements = list(PROJECT["project"]["dependencies"])
    for extra in EXTRAS - {"benchmark", "docs", "test"}:
        requirements += PROJECT["project"]["optional-dependencies"][extra]
    required = {re.match(r"[\w-]+", each)[0].lower() for each in requirements}
    # Users who choose another backend of Keras have installed it.
    required |= {"skwbc", "jax", "torch"}
    homes = metadata.packages_distributions()
    missing = [
        module
        for module in sorted(modules - sys.stdlib_module_names)
        if not required & {home.lower() for home in homes.get(module, [module])}
    ]
    assert missing == []


def test_every_extra_that_a_message_names_exists(nodes):
    named = {
        place: node.args[1].value
        for place, node in nodes
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", None) == "import_optional"
    }
    assert {"plot", "onnx"} <= set(named.values())
    assert {place: extra for place, extra in named.items() if extra not in EXTRAS} == {}


@pytest.mark.parametrize("page", ["README.md", "README.ja.md", "CONTRIBUTING.md"])
def test_every_extra_and_file_that_a_page_names_exists(page):
    text = read(page)
    extras = re.findall(r"pip install '(?:\.|skwbc)\[([\w,]+)\]'", text)
    assert {extra for each in extras for extra in each.split(",")} <= EXTRAS
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_type_hints_are_announced():
    assert (PACKAGE / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]


def test_source_distribution_holds_what_the_repository_does():
    include = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [each for each in include if not (ROOT / each.lstrip("/")).exists()] == []
    pages = {f"/{path.name}" for path in ROOT.glob("*.md")} - {"/README.md"}
    assert pages | {"/skwbc", "/tests", "/docs", "/CITATION.cff"} <= set(include)


def test_the_page_on_security_lists_each_direct_dependency():
    optional = PROJECT["project"]["optional-dependencies"]
    needed = [*PROJECT["project"]["dependencies"]]
    for extra in ("plot", "report", "dask", "onnx"):
        needed += [each for each in optional[extra] if not each.startswith("skwbc")]
    rows = re.findall(
        r"^\| \**([a-z0-9-]+)\**( \(`\w+`\))? \|", read("SECURITY.md"), re.M
    )
    listed = [name for name, _ in rows if name != "package"]
    assert {re.match(r"[\w.-]+", each)[0] for each in needed} <= {*listed}


def test_the_command_exists():
    module, _, name = PROJECT["project"]["scripts"]["skwbc"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
