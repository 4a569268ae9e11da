"""Formulas as MathML, which browsers draw without a script from the network."""

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def _visit_math(writer, node):
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _visit_math_block(writer, node):
    writer.body.append(tex2mathml(node.astext()).replace("<math ", '<math display="block" ', 1))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math_block, None))
    return {"parallel_read_safe": True}
