"""The pages that have a catalogue in `docs/locale` are built in Chinese, too, in a folder of the others.

The second build reads the same sources. Links to pages without a catalogue lead back to the first.
"""

import itertools
import posixpath
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms import SphinxTransform
from sphinx.transforms.i18n import Locale

LANGUAGE = "zh_CN"
CATALOGUES = Path(__file__).parents[1] / "locale" / LANGUAGE / "LC_MESSAGES"
PAGES = sorted(path.relative_to(CATALOGUES).with_suffix("").as_posix() for path in CATALOGUES.rglob("*.po"))
# What may be another one in another run.
FIGURE = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[-+]\d+|\+\w+)?(?!\w)|\b(?:x86_64|aarch64|arm64)\b")
# What makes pages of their own stays in the first build.
OMITTED = ("numpydoc", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery", "extensions.api")


def translate(settings):
    """Change the settings of conf.py into those of the second build."""
    settings.update(
        language=LANGUAGE,
        locale_dirs=["locale"],
        gettext_compact=False,
        gettext_location=False,
        include_patterns=[f"{page}.md" for page in PAGES],
        extensions=[name for name in settings["extensions"] if name not in OMITTED] + ["sphinx.ext.intersphinx"],
        autosummary_generate=False,
        intersphinx_mapping={},
        html_title="numbaconv",
        html_theme_options=settings["html_theme_options"]
        | {"header_dropdown_text": "更多", "search_bar_text": "搜索这些页面"},
    )


def _translated(app):
    return app.config.language == LANGUAGE


def _build_second(app, exception):
    if exception is None and app.builder.format == "html" and not _translated(app):
        options = ["-W", "--keep-going"] if app.warningiserror else []
        command = [sys.executable, "-m", "sphinx", "-q", "-t", LANGUAGE, *options, app.srcdir, app.outdir / LANGUAGE]
        if subprocess.run(command).returncode:
            raise ExtensionError(f"the pages in {LANGUAGE} are not built")


def _find_inventory(app, config):
    inventory = app.outdir.parent / "objects.inv"
    if config.language == LANGUAGE and inventory.exists():
        config.intersphinx_mapping = {"first": ("..", str(inventory))}


def _leave_out(app, docname, source):
    """Lists of pages have those that are translated."""
    if _translated(app):
        source[0] = re.sub(r"^```\{toctree\}\n.*?^```\n", _shorter, source[0], flags=re.MULTILINE | re.DOTALL)


def _shorter(found):
    lines = found[0].splitlines(keepends=True)
    kept = [line for line in lines if not re.fullmatch(r"[\w/]+\n", line) or line.strip() in PAGES]
    return "".join(kept) if any(line.strip() in PAGES for line in kept) else ""


def _lead_back(app, doctree):
    if not _translated(app) or app.builder.format != "html":
        return
    for link in list(doctree.findall(addnodes.pending_xref)):
        target = link["reftarget"]
        if link.get("refdomain") == "doc" and target not in app.env.found_docs:
            place = f"#{link['reftargetid']}" if link["reftargetid"] else ""
            title = InventoryAdapter(app.env).main_inventory["std:doc"][target].display_name
            text = link.children if link.astext() else [nodes.Text(title)]
            address = posixpath.relpath(f"../{target}.html", posixpath.dirname(app.env.docname) or ".")
            link.replace_self(nodes.reference("", "", *text, refuri=address + place))


def _name_other(app, pagename, templatename, context, doctree):
    """Where the same page is in the other language; the first page there, if it is not."""
    if _translated(app):
        label, language, other = "English", "en", f"../{pagename}"
    else:
        label, language = "中文", "zh-CN"
        other = f"{LANGUAGE}/{pagename if pagename in PAGES else 'index'}"
    start = posixpath.dirname(pagename) or "."
    context["other_language"] = {"label": label, "code": language, "url": posixpath.relpath(f"{other}.html", start)}


def _next(places, _):
    return next(places)


class Untranslated(SphinxTransform):
    """Takes out of the catalogues what is the same in each language, what `explain` says, and measured figures.

    A measured sentence has `{0}`, `{1}` and so on in the catalogues.
    """

    default_priority = 10

    def apply(self, **kwargs):
        measured = False
        for node in self.document.findall(nodes.TextElement):
            mark = re.fullmatch(r"<!-- \w+: (begin|end) -->", node.astext().strip())
            if mark:
                measured = mark[1] == "begin"
            elif not isinstance(node, nodes.Inline):
                words = re.sub(r"`[^`]*`|\$[^$]*\$|\[\]\([^)]*\)|\d+x\d+", "", FIGURE.sub("", node.rawsource))
                if isinstance(node, nodes.math_block | nodes.line) or not re.search(r"[^\W\d_]", words):
                    node["translatable"] = False
                elif measured and FIGURE.search(node.rawsource):
                    node["figures"] = FIGURE.findall(node.rawsource)
                    places = map("{{{}}}".format, itertools.count())
                    node.rawsource = FIGURE.sub(partial(_next, places), node.rawsource)


class Figures(SphinxTransform):
    """Puts measured figures into their sentences, once these are translated."""

    default_priority = Locale.default_priority + 1

    def apply(self, **kwargs):
        for node in self.document.findall(lambda node: isinstance(node, nodes.Element) and "figures" in node):
            for text in list(node.findall(nodes.Text)):
                words = re.split(r"\{(\d+)\}", text)
                words[1::2] = [node["figures"][int(number)] for number in words[1::2]]
                text.parent.replace(text, nodes.Text("".join(words)))


def setup(app):
    app.add_transform(Untranslated)
    app.add_transform(Figures)
    # Before intersphinx looks at its settings.
    app.connect("config-inited", _find_inventory, priority=100)
    app.connect("source-read", _leave_out)
    app.connect("doctree-read", _lead_back)
    app.connect("html-page-context", _name_other)
    app.connect("build-finished", _build_second)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
