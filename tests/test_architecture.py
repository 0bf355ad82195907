"""The imports of the package are those that docs/architecture.md lists and draws."""

import ast
import re

import pytest
from code_blocks import ROOT

PACKAGE = ROOT / "skwbc"
PAGE = ROOT / "docs" / "architecture.md"
DRAWING = ROOT / "docs" / "_drawings" / "house.svg"
TOOLS = "_utils"
KERAS = {"keras", "scikeras", "tensorflow"}


def part_of(module):
    """Return the folder, or the module of the root, that a module is in."""
    return module.split(".")[1]


def public_home(name):
    """Return the part that a public name of the package comes from."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if name in [alias.name for alias in node.names]:
            return (node.module or name).split(".")[0]
    return name


def imports(path):
    """Yield the modules that a file imports, except those for type checkers only."""
    todo = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "skwbc":
                yield from (f"skwbc.{public_home(alias.name)}" for alias in node.names)
            else:
                yield node.module or ""
        else:
            todo += ast.iter_child_nodes(node)


@pytest.fixture(scope="module")
def house():
    """Return what each part imports: names of other parts, and of other packages."""
    parts: dict[str, tuple[set, set]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if module == "skwbc.__init__":
            continue
        own, others = parts.setdefault(part_of(module), (set(), set()))
        for name in imports(path):
            package = name.partition(".")[0]
            if package != "skwbc":
                others.add(package)
            elif "." in name:
                own.add(part_of(name))
    for part, (own, _) in parts.items():
        own.discard(part)
    return parts


def table():
    """Return the page's table, a set of imports per part, from top to bottom."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\|([^|]*)\|$", text, re.MULTILINE)
    return {part: set(re.findall(r"`(\w+)`", cell)) for part, cell in rows}


def test_the_table_lists_all_imports(house):
    assert table() == {
        part: imported - {TOOLS}
        for part, (imported, _) in house.items()
        if part != TOOLS
    }


def test_imports_point_downward():
    rows = list(table())
    for part, others in table().items():
        for other in others:
            assert rows.index(other) > rows.index(part), f"{part} imports {other}"


def test_tools_import_nothing_else(house):
    assert house[TOOLS][0] == set()


def test_only_networks_import_keras(house):
    for part, (_, others) in house.items():
        assert part == "cnn" or not others & KERAS, part


def test_drawing_shows_the_imports(house):
    """Each arrow is an import, and each import is an arrow or follows from arrows."""
    arrow = r'data-from="(\w+)" data-to="(\w+)"'
    arrows = set(re.findall(arrow, DRAWING.read_text(encoding="utf-8")))
    real = {(part, other) for part, others in table().items() for other in others}
    assert arrows <= real
    reached = set(arrows)
    for _ in table():
        reached |= {(a, d) for a, b in reached for c, d in arrows if b == c}
    assert real <= reached


def test_export_and_report_import_little_of_the_root(house):
    root = {path.stem for path in PACKAGE.glob("*.py")}
    for part in ("export", "report"):
        assert house[part][0] & root <= {"uncertainty"}


def test_names_of_files():
    """Modules in public folders begin with an underscore, those in private ones not."""
    for path in PACKAGE.glob("*/**/*.py"):
        private_folder = any(
            part.startswith("_") for part in path.relative_to(PACKAGE).parts[:-1]
        )
        assert path.name.startswith("__") or (
            path.name.startswith("_") != private_folder
        ), path
