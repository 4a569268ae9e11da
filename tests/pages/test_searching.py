"""The search of the Chinese pages finds Chinese words, in a browser too."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not find_spec("sphinx"), reason='needs pip install -e ".[docs]"')

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
SEARCH = DOCS / "_build" / "html" / "zh_CN" / "search.html"


def test_text_is_indexed_by_what_a_query_asks_for():
    from extensions.searching import SearchChinese

    if not (node := shutil.which("node")):
        pytest.skip("needs node")
    queries = ["卷积核", "核", "Conv2D", "3x3 卷积核和 padding"]
    program = f"{SearchChinese.js_splitter_code}\nconsole.log(JSON.stringify({json.dumps(queries)}.map(splitQuery)))"
    printed = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True).stdout
    asked = json.loads(printed)
    assert asked == [["卷积", "积核"], ["核"], ["Conv2D"], ["3x3", "卷积", "积核", "核和", "padding"]]
    indexed = set(SearchChinese({}).split("一个 Conv2D 有 3x3 卷积核和 padding，此外没有别的。"))  # noqa: RUF001
    assert indexed.issuperset(word for words in asked for word in words)
    assert "积有" not in indexed


@pytest.mark.slow
@pytest.mark.skipif(not SEARCH.exists(), reason="the pages are not built: python -m sphinx docs docs/_build/html")
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize("query", ["寄存器块", "register_tile"])
def test_a_browser_finds_the_page(tmp_path, query):
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    address = f"{SEARCH.resolve().as_uri()}?q={query}"
    done = subprocess.run(
        [*command, "--virtual-time-budget=20000", "--dump-dom", address],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    assert 'href="ladder.html' in done.stdout
