"""The README: short, with figures from the page on benchmarks, and readable where no file lies beside it."""

import configparser
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import numbaconv

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "asv_bench"))
import paste  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")


def described(*base):
    pytest.importorskip("setuptools")
    spec = importlib.util.spec_from_file_location("setup_of_numbaconv", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.description(README, *base)


def test_readme_is_short_and_has_two_commands():
    assert len(README.splitlines()) <= 170
    found = subprocess.run([sys.executable, ROOT / ".ci" / "readme_commands"], check=True, stdout=subprocess.PIPE)
    assert [line.split()[-1] for line in found.stdout.decode().splitlines()] == ["examples/photo.py", "2"]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_to_files(name):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / link).is_file(), link


def test_no_page_includes_the_readme():
    pages = [*(ROOT / "docs").rglob("*.md")]
    assert not [page.name for page in pages if "{include} ../README" in page.read_text(encoding="utf-8")]


def test_figures_are_those_of_the_page(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(re.sub(r"\d\.\d\d", "9.99", README), encoding="utf-8")
    paste.shorten(readme=copy)
    _, _, speed = README.partition("## Speed")
    assert copy.read_text(encoding="utf-8").endswith(speed)


def test_short_figures_of_layers():
    table = """Time, below 1. The share of peak counts.

| | time | ms |
| --- | ---: | ---: |
| **dense** | **0.50** | |
| 3x3 | 0.25 | 1 |
| 1x1 | 1.00 | 2 |
| **pooling** | **2.00** | |
| max | 2.00 | 3 |
| **geometric mean of all** | **0.79** | |
"""
    assert paste.layers_in_short(table).splitlines()[4:] == [
        "| dense | 0.50 | 0.25 | 1.00 |",
        "| pooling | 2.00 | 2.00 | 2.00 |",
        "| all | 0.79 | 0.25 | 2.00 |",
    ]


def test_text_goes_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\n<!-- x: end -->\nafter\n", encoding="utf-8")
    for text in ("old", "new \\1"):
        paste.publish(text, "x", page)
    assert page.read_text(encoding="utf-8") == "before\n<!-- x: begin -->\nnew \\1\n<!-- x: end -->\nafter\n"
    with pytest.raises(ValueError, match="marks of y"):
        paste.publish("text", "y", page)


def test_description_breaks_nowhere():
    text = described()
    assert "![" not in text and "<!--" not in text and "\n中文\n" not in text
    assert re.findall(r"\]\((?!https?:)", text) == []
    # What is no link stands as it is.
    blocks = re.findall(r"^```.*?^```", README, re.MULTILINE | re.DOTALL)
    assert blocks == re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    absolute = described("https://example.org/numbaconv/")
    assert "[Installing](https://example.org/numbaconv/docs/installing.md)" in absolute
    links = re.findall(r"(?<!!)\[[^]]*\]\((?!https?:)", README)
    assert absolute.count("](https://example.org/numbaconv/") == len(links) > 10


def test_an_index_renders_the_description():
    try:
        renderer = importlib.import_module("readme_renderer.markdown")
    except (ImportError, UserWarning):  # a warning where it lacks what it renders with
        pytest.skip('needs pip install -e ".[release]"')
    text = described()
    page = renderer.render(text)
    assert "<img" not in page and re.findall('href="(?!#|https:)', page) == []
    assert page.count("<table") == len(re.findall(r"^\| --", text, re.MULTILINE)) > 2
    assert page.count("<pre") == text.count("\n```\n") > 5


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall("^version: (.*)$", citation, re.MULTILINE) == [numbaconv.__version__]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(?!Unreleased)(.*?)\]", changes, re.MULTILINE)[0] == numbaconv.__version__


def test_groups_are_extras():
    tomllib = pytest.importorskip("tomllib")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for name, wanted in groups.items():
        assert setup["options.extras_require"][name].split() == wanted
