"""The page of the ladder, which has the measured table, gets a section for each rung that the table lists."""

import ast
import re
from pathlib import Path

RUNGS = Path(__file__).parents[2] / "examples" / "ladder"


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _as_markdown(text):
    """Docstrings have their own marks for code and for names of this library."""
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"{autolink}`\1`", text).replace("``", "`")


def rungs(page):
    """A section for each rung in the table: its idea and limits from its docstring, its figures, and its code."""
    lines = page.splitlines()
    (header,) = (_cells(line) for line in lines if line.startswith("| | rung |"))
    sections = []
    for row in (_cells(line) for line in lines if re.match(r"\| \d+ \| `\w+\.py` \|", line)):
        figures = dict(zip(header, row, strict=True))
        path = RUNGS / figures["rung"].strip("`")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        title, _, text = ast.get_docstring(tree).partition("\n\n")
        name, _, idea = title.partition(": ")
        gain = figures["times the rung before"]
        measured = f"{figures['GFLOP/s']} GFLOP/s, {figures['share of peak']} of the peak"
        measured += f", {gain} times the rung before" if gain else ""
        text = text.replace("What limits it:", "**What limits it:**")
        first = tree.body[1].lineno
        sections += [
            f"## {row[0]}. {name}",
            f"*{idea[0].upper()}{idea[1:]}*",
            f"<!-- rung: begin -->\n**{measured}.**\n<!-- rung: end -->",
            _as_markdown(text),
            f"```{{literalinclude}} ../examples/ladder/{path.name}\n:lines: {first}-\n:lineno-match:\n```",
        ]
    return "\n\n".join(sections)


def _complete(app, docname, source):
    if docname == "ladder":
        source[0] += "\n\n" + rungs(source[0]) + "\n"


def setup(app):
    app.connect("source-read", _complete)
    return {"parallel_read_safe": True}
