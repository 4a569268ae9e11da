"""Tables as notebooks show them."""

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """A table with a title; the columns whose places are in ``numbers`` are read from the right.

    Every text is escaped, since names may come from files of strangers.
    """
    sides = ["right" if place in set(numbers) else "left" for place in range(len(head))]
    lines = [f"<caption>{escape(title)}</caption>", f"<thead>{_row('th', head, sides)}</thead>", "<tbody>"]
    lines += [_row("td", row, sides) for row in rows]
    return "\n".join(["<table>", *lines, "</tbody>", "</table>"])


def _row(kind: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    # Shapes stay on one line: a notebook lets wide tables scroll.
    style = "padding: 2px 8px; white-space: nowrap; text-align:"
    marked = (
        f'<{kind} style="{style} {side}">{escape(cell)}</{kind}>' for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(marked)}</tr>"
