"""Every Python block of the README and of the pages runs as it stands; drawings show what the layers compute."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from blocks import blocks, pages, printed, write

from numbaconv import layers

ROOT = Path(__file__).parents[2]
HTML = ROOT / "docs" / "_build" / "html"
BLOCKS = [
    pytest.param(block, id=f"{page.name}: {block.code.splitlines()[0]}")
    for page in (ROOT / "README.md", *pages())
    for block in blocks(page)
]
sys.path.insert(0, str(ROOT / "docs"))


@pytest.mark.parametrize("block", BLOCKS)
def test_block_prints_what_the_page_shows(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if 'load_model("model.keras")' in block.code:
        pytest.importorskip("h5py")
    if "dask" in block.code:
        pytest.importorskip("dask.array")
    out = printed(block)
    # The README is short.
    assert out == block.shown or block.page.name == "README.md"


def test_outputs_are_written_below_blocks(tmp_path):
    page = tmp_path / "page.md"
    begin = "# Page\n\n```python\nprint(1)  \nprint()\n```\n"
    for old in ("", "\n```text\nold\n```\n"):
        page.write_text(f"{begin}{old}\nmore\n\n```python\nx = 2\n```\n\n```python\nprint(x)\n```\n", encoding="utf-8")
        with pytest.raises(NameError):
            write(page)
        page.write_text(f"{begin}{old}\nmore\n\n```python\nx = 2\n```\n", encoding="utf-8")
        write(page)
        assert page.read_text(encoding="utf-8") == f"{begin}\n```text\n1\n\n```\n\nmore\n\n```python\nx = 2\n```\n"
        assert blocks(page)[0].shown == "1\n\n"


def test_pages_have_blocks():
    assert len(BLOCKS) >= 15


@pytest.mark.parametrize(
    ("layer", "n"),
    [
        (layers.Conv1D(1, 3), 8),
        (layers.Conv1D(1, 3, strides=2, padding="same"), 9),
        (layers.Conv1D(1, 3, padding="causal", dilation_rate=2), 8),
        (layers.MaxPooling1D(2, padding="same"), 7),
        (layers.AveragePooling1D(3, 2, padding="same"), 7),
        (layers.GlobalAveragePooling1D(), 6),
        (layers.Cropping1D((1, 2)), 7),
        (layers.ZeroPadding1D((1, 2)), 5),
        (layers.UpSampling1D(2), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_drawn_axis_is_what_the_layer_computes(layer, n):
    from drawings.axis import DIGITS, axis_of

    x = DIGITS[None, :n, None]
    layer.build(x.shape)
    if layer.weights:
        layer.set_weights([np.arange(1.0, 4).reshape(3, 1, 1), np.zeros(1)])
    axis = axis_of(layer, n)
    np.testing.assert_allclose([value for _, value, _ in axis.outputs.values()], layer(x).ravel())


@pytest.mark.parametrize("settings", [{}, {"padding": "same"}, {"padding": "same", "output_padding": 1}])
def test_drawn_scatter_is_what_the_layer_computes(settings):
    from drawings.axis import DIGITS, axis_of

    layer = layers.Conv2DTranspose(1, 3, strides=2, **settings)
    # Only the middle row of the kernel is not zero, so that each row is scattered into one alone.
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, :, 0, 0] = 1, 2, 3
    x = np.zeros((1, 4, 4, 1))
    x[0, 1, :, 0] = DIGITS[:4]
    layer.build(x.shape)
    layer.set_weights([kernel, np.zeros(1)])
    outputs = axis_of(layer, 4).outputs.values()
    row = layer(x)[0, :, :, 0].sum(0)
    np.testing.assert_allclose([value for _, value, inside in outputs if inside], row)


class References(HTMLParser):
    """The anchors of a page, where it leads to, and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found.get("id"), found.get("name")}
        for name in ("href", "src"):
            if found.get(name):
                (self.links if tag == "a" else self.loaded).add(found[name])


@pytest.mark.skipif(not HTML.exists(), reason="the pages are not built: python -m sphinx docs docs/_build/html")
def test_built_pages_lead_somewhere_and_load_nothing_from_the_network():
    # The theme's own files hold a template.
    written = (page for page in HTML.rglob("*.html") if "_static" not in page.parts)
    pages = {page.resolve(): References(page) for page in written}
    assert len(pages) > 100
    wrong = []
    for page, references in pages.items():
        wrong += [f"{page.name} loads {url}" for url in references.loaded if urlsplit(url).netloc]
        for url in references.links | references.loaded:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                wrong.append(f"{page.name} leads to {url}")
    for style in HTML.rglob("*.css"):
        wrong += [f"{style.name} loads {url}" for url in re.findall(r"url\(\W*https?:[^)]*", style.read_text("utf-8"))]
    assert not wrong
