"""What `reliability` makes of marked tests, and that the marks name situations that exist."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reliability import MARKS, PAGE, SITUATIONS, Measured, render

TESTS = Path(__file__).parents[1]
MARKED = """
import pytest

@pytest.mark.situation("bounds")
@pytest.mark.parametrize("n", [1, 2])
def test_holds(n, record_property):
    record_property("cases", 1000 * n)
    record_property("growth in MB", 0.25 / n)
    record_property("ways", f"way {n}")

@pytest.mark.situation("leaks", "soak")
def test_fails():
    assert False

@pytest.fixture
def broken():
    yield
    raise OSError

@pytest.mark.situation("soak")
def test_fails_afterwards(broken):
    pass

@pytest.mark.slow
@pytest.mark.situation("Ctrl-C", "bounds")
def test_takes_long():
    pass

def test_measures_nothing():
    pass
"""


def run_marked(folder, *options):
    """The page that a run of `MARKED` writes."""
    (folder / "test_marked.py").write_text(MARKED)
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS / "support")])
    command = [sys.executable, "-m", "pytest", "-p", "reliability", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, f"--rootdir={folder}", "--reliability-report", "page.md", *options, "test_marked.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return (folder / "page.md").read_text()


def rows(page):
    table = page.split(MARKS[0])[1].split(MARKS[1])[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {name: rest for name, *rest in cells[2:]}


@pytest.mark.slow
def test_the_table_says_what_was_measured(tmp_path):
    page = run_marked(tmp_path)
    found = rows(page)
    assert list(found) == list(SITUATIONS)
    assert found["bounds"] == [
        SITUATIONS["bounds"],
        "2",
        "holds",
        "cases: 3,000, growth in MB: 0.25, ways: way 1; way 2, tests skipped: 1",
    ]
    assert found["leaks"][1:] == ["1", "**fails in 1**", ""]
    assert found["soak"][1:] == ["2", "**fails in 2**", ""]
    assert found["Ctrl-C"][1:] == ["0", "not measured", "tests skipped: 1"]
    assert found["save interrupted"][1:] == ["0", "not measured", ""]
    assert "slow tests left out" in page
    assert page.split(MARKS[0])[0] == PAGE.read_text(encoding="utf-8").split(MARKS[0])[0]
    assert str(tmp_path) not in page


@pytest.mark.slow
def test_slow_tests_run_when_asked_for(tmp_path):
    page = run_marked(tmp_path, "--slow")
    assert rows(page)["Ctrl-C"][1:] == ["1", "holds", ""]
    assert "slow tests included" in page


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="marks of the table once"):
        render("no marks", {}, "")


def test_render_replaces_only_what_was_measured():
    before = render(f"above\n{MARKS[0]}stale\n{MARKS[1]}\nbelow\n", {}, "environment A")
    again = render(before, {"soak": Measured({"a": "passed"})}, "environment B")
    assert again.startswith("above\n") and again.endswith("\nbelow\n")
    assert "stale" not in again and "environment A" not in again and "environment B" in again
    assert rows(again)["soak"][2] == "holds"


def test_marks_name_known_situations():
    named = {}
    for source in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "situation":
                named.update({ast.literal_eval(name): source.name for name in node.args})
    assert named
    assert {name: file for name, file in named.items() if name not in SITUATIONS} == {}
