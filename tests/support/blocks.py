"""Python blocks of the pages, and what they print, which stands below them in a block of text.

    python tests/support/blocks.py    # runs the blocks of all pages and writes below each what it prints

What a block prints must not depend on the machine, on chance or on the blocks before it.
"""

import io
import os
import re
import tempfile
from collections import defaultdict
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from numbaconv import layers
from numbaconv.models import Sequential
from numbaconv.objects import naming

ROOT = Path(__file__).parents[2]
FOUND = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    page: Path
    code: str
    shown: str


def pages():
    built = {"_build", "gallery", "reference"}
    return [p for p in sorted((ROOT / "docs").rglob("*.md")) if not built & {*p.relative_to(ROOT).parts}]


def blocks(page):
    """The blocks of a page, each with the output that it shows."""
    return [Block(page, *found.groups("")) for found in FOUND.finditer(page.read_text(encoding="utf-8"))]


def printed(block):
    """What a block prints when it is run by itself; if it loads a network, there is one in the current folder."""
    out = io.StringIO()
    with redirect_stdout(out), mock.patch.object(naming, "_counters", defaultdict(count)):
        if 'load_model("model.keras")' in block.code:
            Sequential([layers.Input((32, 32, 3)), layers.Conv2D(4, 3)], name="model").save("model.keras")
        exec(compile(block.code, str(block.page), "exec"), {})
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def write(page):
    """Put what each block prints below it."""

    def complete(found):
        out = printed(Block(page, found[1], ""))
        return f"```python\n{found[1]}```\n" + (f"\n```text\n{out}```\n" if out else "")

    page.write_text(FOUND.sub(complete, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for each in pages():
            write(each)
