"""The benchmarks' pages, once made local, load nothing from elsewhere."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

asv = pytest.importorskip("asv")
sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
import durations  # noqa: E402
import publish  # noqa: E402

LOADED = re.compile(r'<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]*)"')


@pytest.fixture
def pages(tmp_path):
    """The pages of asv as it publishes them, with one measurement, and packages that hold files of the right names."""
    html, packages = tmp_path / "html", tmp_path / "node_modules"
    shutil.copytree(Path(asv.__file__).parent / "www", html)
    (html / "graphs" / "summary").mkdir(parents=True)
    (html / "index.json").write_text('{"show_commit_url": "#", "benchmarks": {"one": {}, "failed": {}, "new": {}}}')
    (html / "graphs" / "summary" / "one.json").write_text("[[1, 0.5], [2, null]]")
    (html / "graphs" / "summary" / "failed.json").write_text("[[1, null]]")
    (html / "regressions.xml").touch()
    for name in [*publish.LIBRARIES.values(), "bootstrap/dist/fonts/glyphs.woff"]:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(name)
    return html, packages


def test_pages_load_nothing_from_elsewhere(pages):
    html, packages = pages
    before = LOADED.findall((html / "index.html").read_text())
    assert sum(name.startswith("https://") for name in before) == len(publish.LIBRARIES)
    publish.localize(html, packages)
    for page in html.glob("*.html"):
        text = page.read_text()
        assert "integrity" not in text
        for name in LOADED.findall(text):
            assert (html / name).is_file(), name
    assert (html / "lib" / "jquery.flot.min.js").read_text() == "jquery-flot/jquery.flot.js"
    assert (html / "fonts" / "glyphs.woff").is_file()


def test_pages_hold_their_data_and_frames_of_what_was_measured(pages):
    html, packages = pages
    publish.localize(html, packages)
    start = "const files = "
    first, _ = (html / "data.js").read_text().split(";\n", 1)
    assert json.loads(first.removeprefix(start)) == {
        "index.json": {"show_commit_url": "#", "benchmarks": {"one": {}}},
        "graphs/summary/one.json": [[1, 0.5], [2, None]],
        "graphs/summary/failed.json": [[1, None]],
    }


def test_charts_begin_logarithmic_with_all_cases_and_commits_are_links_by_one_rule(pages):
    html, packages = pages
    publish.localize(html, packages)
    for name, changes in publish.CHANGES.items():
        text = (html / name).read_text()
        assert all(new in text for _, new in changes)
    scripts = "".join(script.read_text() for script in html.glob("*.js"))
    assert scripts.count("commitUrl(") == 7
    assert not re.search(r"show_commit_url \+ [a-z]", scripts.replace("base + hash", ""))


def test_another_version_of_asvs_pages_is_an_error(pages):
    html, packages = pages
    script = html / "graphdisplay.js"
    script.write_text(script.read_text().replace("max_curves = 8", "most = 8"))
    with pytest.raises(ValueError, match="max_curves"):
        publish.localize(html, packages)


def test_unknown_script_is_an_error(pages):
    html, packages = pages
    index = html / "index.html"
    index.write_text(index.read_text().replace("md5.min.js", "sha3.min.js"))
    with pytest.raises(ValueError, match=r"asv's page loads sha3\.min\.js"):
        publish.localize(html, packages)


def test_packages_are_pinned():
    wanted = json.loads((publish.BENCH / "pages" / "package.json").read_text())["dependencies"]
    assert {name.split("/")[0] for name in publish.LIBRARIES.values()} == set(wanted)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_the_table_of_commands_is_that_of_the_script_that_times_them():
    readme = (Path(durations.__file__).parent / "README.md").read_text(encoding="utf-8")
    marked = readme.split("<!-- durations: begin -->\n")[1].split("\n<!-- durations: end -->")[0]
    cells = [line.split(" | ")[:2] for line in marked.splitlines()[2:]]
    assert cells == [line.split(" | ")[:2] for line in durations.table({}).splitlines()[2:]]
    times = durations.table({"python prove_gate.py": 250.0, "asv run HEAD^!": 99.4})
    assert "| 4 minutes |" in times and "| 99 s |" in times and "| 99 s, for each |" in times


def test_that_table_is_written_once_all_are_timed_and_no_command_failed(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="exit 1 has failed: 1"):
        durations.timed("exit 1")
    written = []
    monkeypatch.setattr(durations, "RECORD", tmp_path / ".asv" / "durations.json")
    monkeypatch.setattr(durations, "timed", lambda command: 60.0)
    monkeypatch.setattr(durations, "publish", lambda *given: written.append(given))
    monkeypatch.setattr(sys, "argv", ["durations.py", "--only", "quick", "--publish"])
    with pytest.raises(SystemExit, match=r"not timed yet.*python prove_gate\.py$"):
        durations.main()
    assert not written
    monkeypatch.setattr(sys, "argv", ["durations.py", "--publish"])
    durations.main()
    assert written == [
        (durations.table(json.loads(durations.RECORD.read_text())), "durations", durations.BENCH / "README.md")
    ]
