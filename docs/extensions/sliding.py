"""A directive for figures with sliders; without scripts, and until they have run, a drawing stands in their place."""

from html import escape
from typing import ClassVar

import drawings
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from numbaconv.layers import Conv1D, Conv2DTranspose

from .drawn import figure, inline

LAYERS = {"forward": Conv1D, "transposed": Conv2DTranspose, "backward": Conv1D}
NUMBERS = {"n": 7, "taps": 3, "stride": 1, "dilation": 1}


class Sliding(SphinxDirective):
    """One axis with sliders: the argument is forward, transposed or backward, the content the caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {**dict.fromkeys(NUMBERS, directives.positive_int), "padding": directives.unchanged}

    def run(self):
        mode = self.arguments[0]
        given = {**NUMBERS, "padding": "valid", **self.options}
        steps = {"strides": given["stride"], "dilation_rate": given["dilation"], "padding": given["padding"]}
        layer = LAYERS[mode](1, given["taps"], **steps)
        data = "".join(f' data-{name}="{escape(str(value))}"' for name, value in {"mode": mode, **given}.items())
        return [
            nodes.raw("", f'<div class="sliding"{data}>', format="html"),
            figure(self, drawings.draw_axis(layer, given["n"]), ""),
            nodes.raw("", "</div>", format="html"),
            inline(self, nodes.paragraph, " ".join(self.content), classes=["sliding-caption"]),
        ]


def setup(app):
    app.add_directive("sliding", Sliding)
    app.add_js_file("sliding.js")
    return {"parallel_read_safe": True}
