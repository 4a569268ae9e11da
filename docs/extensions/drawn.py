"""Directives for pictures and sentences that are made when the pages are built, from the same settings."""

import hashlib
import re
from html import escape, unescape
from pathlib import Path
from typing import ClassVar

import drawings
from docutils import nodes
from docutils.parsers.rst import directives
from drawings.chinese import in_chinese
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from numbaconv import layers

from . import languages

LANG = languages.LANGUAGE.replace("_", "-")
NAMES = {name: getattr(module, name) for module in (drawings, layers) for name in module.__all__}


def figure(directive, picture, caption, translate=in_chinese):
    """A figure of a picture, which is kept in a file named after what is in it."""
    text, alt = str(picture), picture.alt
    if directive.config.language == languages.LANGUAGE:
        alt = translate(alt)
        text = re.sub("(?<=>)([^<>]+)(?=</t(ext|itle)>)", lambda found: escape(translate(unescape(found[1]))), text)
        # The same characters have other forms in other languages.
        text = text.replace("<svg ", f'<svg xml:lang="{LANG}" ', 1)
    moves = "@keyframes" in text
    found = nodes.figure("", _image(directive, text, alt, ["moving"] * moves), classes=["drawing"])
    if moves:
        # Paper shows how it ends.
        found += _image(directive, text.replace('class="timed" ', ""), alt, ["still"])
    if caption:
        found += inline(directive, nodes.caption, caption)
    return found


def _image(directive, text, alt, classes):
    folder = Path(directive.env.srcdir) / "_drawn"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.svg"
    path.write_text(text, encoding="utf-8")
    return nodes.image(uri=f"/_drawn/{path.name}", drawn=alt, classes=classes)


def inline(directive, kind, text, **attributes):
    """A node of a line of text, which knows where it stands, as catalogues of translations want it."""
    children, _ = directive.parse_inline(text)
    found = kind(text, "", *children, **attributes)
    directive.set_source_info(found)
    return found


class Alternative(SphinxPostTransform):
    """What a picture shows, in words, which are made like the picture and are not for translation."""

    default_priority = 500
    formats = ("html",)

    def run(self, **kwargs):
        for image in self.document.findall(nodes.image):
            if "drawn" in image:
                image["alt"] = image["drawn"]


class Drawing(SphinxDirective):
    """A picture: the argument is a call of a function of `drawings`, the content its caption."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        return [figure(self, eval(self.arguments[0], NAMES), " ".join(self.content))]


class Explained(SphinxDirective):
    """A layer on an input shape, ``Conv1D(1, 3), (None, 7, 1)``: its last axis, drawn, and what `explain` says."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"mark": directives.nonnegative_int}

    def run(self):
        layer, shape = eval(self.arguments[0], NAMES)
        call = f"{self.arguments[0].rpartition(', (')[0]}.explain({shape})"
        code = nodes.literal_block(call, call, language="python")
        said = nodes.line_block("", *(nodes.line("", line) for line in layer.explain(shape).splitlines()))
        picture = drawings.draw_axis(layer, shape[-2], self.options.get("mark", 0))
        return [figure(self, picture, ""), nodes.container("", code, said, classes=["explained"])]


def setup(app):
    app.add_directive("drawing", Drawing)
    app.add_directive("explained", Explained)
    app.add_post_transform(Alternative)
    return {"parallel_read_safe": True}
