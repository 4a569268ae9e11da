"""The directive `stages`: what `explain_program` says of the ``model`` that the Python blocks before it have made."""

import re
from math import prod
from pathlib import Path

from docutils import nodes
from drawings.chinese import in_chinese
from extensions.drawn import figure
from extensions.languages import LANGUAGE
from sphinx.util.docutils import SphinxDirective

from numbaconv.models.fused import bars
from numbaconv.models.fused.running import Fused

KINDS = {"picture": "_picture", "table": "_table", "memory": "_memory"}
# What of a picture's words is neither a layer's name nor a kernel's.
TITLE = re.compile(r"\d+ operations of layers in .*|A bar for each step, .*")


class Svg(str):
    """A picture as text."""

    alt = "A bar for each step, as long as the step takes"


class Stages(SphinxDirective):
    """The argument says what is shown: ``picture``, with the time of each stage, ``table`` or ``memory``."""

    required_arguments = 1

    def run(self):
        page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        before = page.split(f"```{{stages}} {self.arguments[0]}")[0]
        made = {}
        for block in re.findall(r"^```python\n(.*?)^```", before, re.MULTILINE | re.DOTALL):
            exec(block, made)
        return getattr(self, KINDS[self.arguments[0]])(made["model"])

    def _picture(self, model):
        kept = Path(self.env.srcdir) / "_drawn" / "stages.svg"
        # The same times in both languages.
        if self.config.language != LANGUAGE or not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(bars.svg(bars.bars_of(model.explain_program(measure=True))), encoding="utf-8")
        picture = Svg(kept.read_text(encoding="utf-8"))
        return [figure(self, picture, "", lambda words: in_chinese(words) if TITLE.fullmatch(words) else words)]

    def _table(self, model):
        text = str(model.explain_program())
        return [nodes.literal_block(text, text, language="text")]

    def _memory(self, model):
        translated = in_chinese if self.config.language == LANGUAGE else str
        rows = {translated(what): f"{number:,}" for what, number in memory_of(model).items()}
        head = translated("of this network")
        text = "\n".join(f"| {what} | {number} |" for what, number in [(head, ""), ("---", "---:"), *rows.items()])
        found = self.parse_text_to_nodes(text)
        for cell in (cell for table in found for cell in table.findall(nodes.paragraph)):
            cell["translatable"] = False
        return found


def memory_of(model):
    """Bytes of all values between layers, of those that are left between steps, and of the memory that holds them."""
    shapes = [(1, *one.shape[1:]) for one in model.inputs]
    runner = Fused(model._program()).runner(shapes)
    size = runner.dtype.itemsize
    parts = [part for turn in runner.turns for part in turn.stage.parts]
    return {
        "layers, each counted with what it does": len(parts),
        "steps": len(runner.turns),
        "bytes of the results of all layers": sum(prod((1, *one[1:])) for one in _results(model)) * size,
        "bytes of the results of all steps": sum(prod(runner.shapes[turn.outputs[0]]) for turn in runner.turns) * size,
        "bytes of the arena": runner.room,
    }


def _results(model):
    return [layer.compute_output_shape(layer.input_shape) for layer in model.layers]


def setup(app):
    app.add_directive("stages", Stages)
    return {"parallel_read_safe": True}
