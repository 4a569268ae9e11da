"""The order of the house: floors import only lower floors, and nothing goes in a circle."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import numbaconv

ROOT = Path(numbaconv.__file__).parent
# From the ground up. CONTRIBUTING.md says what each is for.
FLOORS = (
    *("objects", "shapes", "config", "common", "files", "machine", "reference", "kernels", "activations", "calls"),
    *("initializers", "regularizers", "constraints", "functional", "graph", "layers", "losses", "metrics", "schedules"),
    *("optimizers", "callbacks", "history", "training", "models", "dask", "utils"),
    *("selfcheck", "commands", "exercises", "__main__"),
)
# Files and folders beside each other at the top; more of them would hide what users import.
MOST = 15


def name_of(path):
    """The module's name, as parts, and whether it is a package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts, parts[-1] == "__init__"


MODULES = {name_of(path)[0]: path for path in sorted(ROOT.rglob("*.py"))}


def imported(path):
    """The modules of this package that a file imports, for type checkers too."""
    parts, is_package = name_of(path)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
            yield from (name[1:] for name in names if name[0] == ROOT.name)
        if isinstance(node, ast.ImportFrom):
            base = tuple((node.module or "").split(".")) if node.module else ()
            if node.level:
                base = (*parts[: len(parts) - node.level + is_package], *base)
            elif base[0] == ROOT.name:
                base = base[1:]
            else:
                continue
            for alias in node.names:
                yield (*base, alias.name) if (*base, alias.name) in MODULES else base


@cache
def edges():
    return [(name, target) for name, path in MODULES.items() if name for target in imported(path)]


def test_the_floors_are_all_there_are():
    assert {name[0] for name in MODULES if name} == set(FLOORS)


def test_a_floor_imports_only_lower_floors():
    height = {floor: i for i, floor in enumerate(FLOORS)}
    rises = [
        f"{'.'.join(name)} imports {'.'.join(target) or ROOT.name}"
        for name, target in edges()
        if not target or height[target[0]] > height[name[0]]
    ]
    assert rises == []


@pytest.mark.parametrize("floor", FLOORS)
def test_nothing_goes_in_a_circle(floor):
    graph = {}
    for name, target in edges():
        if name[0] == floor == target[0] and name != target:
            graph.setdefault(name, set()).add(target)
    list(TopologicalSorter(graph).static_order())


def test_named_tuples_are_the_quick_ones():
    others = {name: path for name, path in MODULES.items() if name != ("objects", "tuples")}
    taken = [name for name, path in others.items() if re.search(r"typing import .*NamedTuple", path.read_text("utf-8"))]
    assert taken == []


def test_the_hall_holds_what_users_import():
    files = [path.name for path in ROOT.iterdir() if path.is_file()]
    assert len(files) <= MOST
    modules = {Path(name).stem for name in files} - {"__init__", "__main__", "py"}
    assert modules <= set(numbaconv.__all__)


def test_contributing_shows_every_floor_in_order():
    tree = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8").split("\nnumbaconv/\n")[1].split("```")[0]
    shown = [line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ") and line[2] != " "]
    assert shown == list(reversed(FLOORS))
