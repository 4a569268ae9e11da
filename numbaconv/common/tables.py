"""Tables as text, and as notebooks show them."""

from collections.abc import Container, Iterable, Sequence
from html import escape


def text_lines(rows: Sequence[Sequence[str]], numbers: Container[int] = ()) -> list[str]:
    """Rows as lines; the columns whose places are in ``numbers`` are read from the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if place in numbers else "<" for place in range(len(widths))]
    lines = ((f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)) for row in rows)
    return ["  ".join(cells).rstrip() for cells in lines]


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Container[int] = ()) -> str:
    """A table with a title; the columns whose places are in ``numbers`` are read from the right.

    Every text is escaped, since names may come from files of strangers.
    """
    sides = ["right" if place in numbers else "left" for place in range(len(head))]
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
