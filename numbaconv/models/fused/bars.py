"""A picture of a program: a bar for each stage, as long as it takes, or as what it multiplies."""

from collections.abc import Sequence
from html import escape
from typing import Any

from ...objects.tuples import NamedTuple

# In pixels.
_ROW, _LETTER, _MARGIN, _LABEL, _BAR, _NUMBER = 20, 7.2, 12, 44, 420, 190
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
_OTHER = "#bbbbbb"


class Bar(NamedTuple):
    """A row of the picture: whose bar, how long in pixels, its colour, and the number beside it."""

    label: str
    length: float
    colour: str
    number: str


class Bars(NamedTuple):
    """All rows, what the colours stand for, and the size of it all."""

    title: str
    rows: list[Bar]
    legend: list[tuple[str, str]]
    left: float
    width: float
    height: float


def bars_of(report: Sequence[Any]) -> Bars:
    """The picture of a report: times where they were measured, multiplications otherwise."""
    measured = any(row.seconds is not None for row in report)
    values = [row.seconds if measured else row.multiplications for row in report]
    whole, most = sum(values), max([*values, 0]) or 1
    names = [row.kernel or "the layers themselves" for row in report]
    colours = {name: _COLOURS[i] if i < len(_COLOURS) else _OTHER for i, name in enumerate(dict.fromkeys(names))}
    rows = [
        Bar(_label(row), _BAR * value / most, colours[name], _number(row, value, whole, measured))
        for row, value, name in zip(report, values, names, strict=True)
    ]
    layers = sum(len(row.layers) for row in report)
    amount = f"{whole * 1e6:,.0f} microseconds" if measured else f"{whole:,} multiplications"
    title = f"{layers} operations of layers in {len(rows)} steps, {amount}"
    legend = list(colours.items())
    left = max((len(row.label) for row in rows), default=0) * _LETTER + 2 * _MARGIN
    return Bars(title, rows, legend, left, left + _BAR + _NUMBER, (len(rows) + len(legend) + 2) * _ROW + 2 * _MARGIN)


def svg(bars: Bars) -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {bars.width:.0f} {bars.height:.0f}" '
        f'width="{bars.width:.0f}" height="{bars.height:.0f}" font-family="monospace" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for x, y, width, colour in _boxes(bars):
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_ROW - 4}" fill="{colour}"/>')
    for x, y, text, right in _texts(bars):
        anchor = ' text-anchor="end"' if right else ""
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{anchor}>{escape(text)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def draw(bars: Bars, path: Any) -> None:
    """Write the picture with Matplotlib, in the format that the name's end says."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(bars.width / 72, bars.height / 72))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, bars.width), ylim=(bars.height, 0))
    axes.set_axis_off()
    for x, y, width, colour in _boxes(bars):
        axes.add_patch(Rectangle((x, y), width, _ROW - 4, facecolor=colour))
    for x, y, text, right in _texts(bars):
        style: dict[str, Any] = {"ha": "right" if right else "left", "family": "monospace", "fontsize": 10}
        # A name is no formula, whatever dollars it has.
        axes.text(x, y, text, parse_math=False, **style)
    figure.savefig(path, dpi=144)


def _boxes(bars: Bars) -> list[tuple[float, float, float, str]]:
    """Left side, top, width and colour of each bar, and of the squares that explain the colours."""
    left = bars.left
    boxes = [(left, _top(i + 1), max(row.length, 1.0), row.colour) for i, row in enumerate(bars.rows)]
    below = len(bars.rows) + 2
    return boxes + [(left, _top(below + i), _ROW - 4.0, colour) for i, (_, colour) in enumerate(bars.legend)]


def _texts(bars: Bars) -> list[tuple[float, float, str, bool]]:
    """Place and words of each text, and whether it ends there."""
    left = bars.left
    texts = [(left, _line(0), bars.title, False)]
    for i, row in enumerate(bars.rows):
        texts.append((left - _MARGIN / 2, _line(i + 1), row.label, True))
        texts.append((left + max(row.length, 1.0) + _MARGIN / 2, _line(i + 1), row.number, False))
    below = len(bars.rows) + 2
    return texts + [(left + _ROW, _line(below + i), name, False) for i, (name, _) in enumerate(bars.legend)]


def _top(row: int) -> float:
    return _MARGIN + row * _ROW


def _line(row: int) -> float:
    return _top(row) + _ROW - 8


def _label(row: Any) -> str:
    """The names of the joined layers, or the first of them and how many more there are."""
    names = " + ".join(row.layers)
    if len(names) > _LABEL:
        more = f" + {len(row.layers) - 1} more" if len(row.layers) > 1 else ""
        first = row.layers[0]
        names = (first if len(first + more) <= _LABEL else first[: _LABEL - len(more) - 1] + "…") + more
    return names


def _number(row: Any, value: float, whole: float, measured: bool) -> str:
    amount = f"{value * 1e6:,.1f} µs" if measured else f"{value:,}"
    share = f" ({value / whole:.0%})" if whole else ""
    return amount + share + (", Winograd" if row.algorithm == "Winograd" else "")
