"""The Chinese README and pages say what the English ones say: no passage is older, code and pictures are the same."""

import hashlib
import re
import subprocess
import sys
from collections import Counter
from html import unescape
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
from drawings.chinese import in_chinese  # noqa: E402

loader = SourceFileLoader("translated", str(ROOT / ".ci" / "translated"))
translated = module_from_spec(spec_from_loader("translated", loader))
loader.exec_module(translated)

ORIGINAL, TRANSLATION = (path.read_text("utf-8") for path in (translated.ORIGINAL, translated.TRANSLATION))


def test_no_section_is_older_than_its_original():
    assert translated.stale(ORIGINAL, TRANSLATION) == [], "read these again, then .ci/translated --accept"


def test_changes_are_noticed_and_figures_are_none():
    changed = ORIGINAL.replace("Keras's convolutional networks", "Networks", 1).replace("0.69", "0.96")
    assert translated.stale(changed, TRANSLATION) == ["numbaconv"]
    fewer = ORIGINAL.replace("## Training\n", "")
    assert translated.stale(fewer, TRANSLATION) == ["A file of Keras's", "Training"]
    assert translated.stale(changed, translated.accepted(changed, TRANSLATION)) == []


def test_code_and_pictures_are_the_same():
    for what in (r"^```\w+\n.*?^```", r"!\[[^]]*\]\(([^)]*)\)"):
        of_both = [re.findall(what, text, re.MULTILINE | re.DOTALL) for text in (ORIGINAL, TRANSLATION)]
        assert of_both[0] == of_both[1]
        assert of_both[0]


def test_links_lead_where_those_of_the_original_do():
    places = [set(re.findall(r"(?<!!)\[[^]]*\]\(([^)]*)\)", text)) for text in (ORIGINAL, TRANSLATION)]
    assert places[1] - places[0] == {"README.md", "README.md#install", "README.md#speed"}
    assert places[0] - places[1] <= {"README.zh-CN.md"}


# In a passage: code, formulas, what a role refers to, where links lead, pictures, footnotes.
KEPT = r"(\{[\w:]+\}`[^`]+`|`[^`]+`|\$[^$]+\$|\]\([^)]*\)|\d+(?:[.,]\d+)*)"


@pytest.mark.parametrize("path", translated.CATALOGUES, ids=lambda path: path.stem)
def test_catalogue_is_whole_and_keeps_what_is_not_language(path):
    pytest.importorskip("babel")
    passages = [message for message in translated.read(path) if message.id]
    assert passages
    for message in passages:
        assert message.string and not message.fuzzy, f"not translated: {message.id}"
        assert Counter(re.findall(KEPT, message.string)) == Counter(re.findall(KEPT, message.id)), message.string
        assert "\ufffd" not in message.string
        # Without words of its own, a link to a section takes those of the original.
        assert not re.search(r"\[\]\([^)]*#", message.string), message.string


HTML = ROOT / "docs" / "_build" / "html"


def without_words(folder, found):
    """What pages show in any language; drawings have the same lines and numbers, with other words."""
    if re.fullmatch(r"_images/[0-9a-f]{16}\.svg", found):
        return " ".join(sorted(re.findall(r"\d+", unescape((folder / found).read_text("utf-8")))))
    return found.replace(".zh_CN.", ".")


@pytest.mark.skipif(
    not (HTML / "zh_CN").exists(), reason="the pages are not built: python -m sphinx docs docs/_build/html"
)
def test_built_pages_show_the_same_code_formulas_and_pictures():
    for path in translated.CATALOGUES:
        page = path.relative_to(translated.FOLDER).with_suffix(".html")
        of_both = []
        for folder in (HTML, HTML / "zh_CN"):
            text = (folder / page).read_text("utf-8")
            found = re.findall(r"<pre>.*?</pre>|<math.*?</math>|_images/[\w.-]+", text, re.DOTALL)
            # A sentence may have its formulas in another order.
            of_both.append(sorted(without_words(folder, one) for one in found))
        assert of_both[0] == of_both[1], page
    assert of_both[0]


def test_charts_are_as_new_as_those_with_english_words():
    pages = "\n".join(path.read_text("utf-8") for path in translated.CATALOGUES)
    # Its words are calls.
    shown = {*re.findall(r"^msgid .*\]\(([\w.]+\.(?:png|jpg))\)", pages, re.MULTILINE)} - {"photo.jpg"}
    assert shown >= {"ladder.png", "roofline.png"}
    for path in (ROOT / "docs" / name for name in shown):
        names = hashlib.sha256(path.read_bytes()).hexdigest().encode()
        assert names in path.with_suffix(f".zh_CN{path.suffix}").read_bytes(), (
            f"draw it by docs/drawings/charts.py: {path.name}"
        )


def test_drawings_have_words_in_chinese_for_all_that_they_say():
    assert in_chinese("tap 1, channel 0") == "抽头 1，通道 0"  # noqa: RUF001
    assert in_chinese("Conv1D: input 1, 2; kernel 3; output 3, 6; 0 positions of padding or cut off.") == (
        "Conv1D：输入 1, 2；卷积核 3；输出 3, 6；填充或裁掉的位置有 0 个。"  # noqa: RUF001
    )
    with pytest.raises(LookupError, match="lacks 'tap 1, lane 0'"):
        in_chinese("tap 1, lane 0")


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("myst_parser"), reason='needs pip install -e ".[docs]"')
def test_no_passage_of_the_pages_is_stale():
    result = subprocess.run([sys.executable, ROOT / ".ci" / "translated"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), ".ci/translated --update, then translate these"


@pytest.mark.skipif(not find_spec("sphinx"), reason='needs pip install -e ".[docs]"')
def test_measured_figures_leave_their_sentences_and_names_stay():
    from extensions.languages import FIGURE

    for words, figures in (
        ("2.0 GFLOP/s, 0% of the peak, 17.3 times", ["2.0", "0", "17.3"]),
        ("keras 3.15.1 takes 1,456 MB (Linux, x86_64, Python 3.11.7).", ["3.15.1", "1,456", "x86_64", "3.11.7"]),
        ("2.13.0+cpu, within 1.2e-06 of it", ["2.13.0+cpu", "1.2e-06"]),
        ("A 3x3 convolution, float32, in the L1 cache", []),
    ):
        assert FIGURE.findall(words) == figures


def test_changed_new_and_fuzzy_passages_are_stale():
    catalog = pytest.importorskip("babel.messages.catalog")
    now, kept = catalog.Catalog(), catalog.Catalog()
    for passage in ("the same", "changed now", "new"):
        now.add(passage)
    kept.add("the same", "同")
    kept.add("changed", "改")
    kept.add("new", "新", flags=["fuzzy"])
    assert translated.stale_passages(now, kept) == ["changed", "changed now", "new"]
