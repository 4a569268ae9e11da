"""README.zh-CN.md says what the README says: no section is older, and code and pictures are the same."""

import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
