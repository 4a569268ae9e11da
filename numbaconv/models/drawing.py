"""A picture of a network: boxes in rows, each below what feeds it, and lines between them."""

from collections.abc import Sequence
from html import escape
from typing import Any

from ..common.structures import leaves
from ..graph.operation import is_shape
from ..objects.tuples import NamedTuple

# In pixels.
_LINE, _GAP, _ROW, _LETTER, _MARGIN = 16, 24, 44, 7.2, 12
_SWEEPS = 8
_INPUT, _PLAIN, _MODEL = "#d9ead3", "#eef3fb", "#fdebd0"


class Box(NamedTuple):
    """A layer in the picture, with its place; without text, a bend of a line."""

    text: tuple[str, ...]
    colour: str
    row: int
    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


class Picture(NamedTuple):
    """Boxes, the pairs of them that lines join, and the size of it all."""

    boxes: list[Box]
    lines: list[tuple[int, int]]
    width: float
    height: float


def picture_of(model: Any, show_shapes: bool = True) -> Picture:
    """Where the layers of a model and the lines between them stand."""
    texts, fed_by = _layers_of(model, show_shapes)
    rows = _rows_of(fed_by)
    colours = [_colour(layer) for layer, _, _ in model._rows()]
    # A line over several rows bends in each of them, so that it passes between the boxes.
    nodes = [(text, colour) for text, colour in zip(texts, colours, strict=True)]
    lines: list[tuple[int, int]] = []
    for end, sources in enumerate(fed_by):
        for start in sources:
            before = start
            for row in range(rows[start] + 1, rows[end]):
                rows.append(row)
                nodes.append(((), ""))
                lines.append((before, len(nodes) - 1))
                before = len(nodes) - 1
            lines.append((before, end))
    widths = [max((len(line) for line in text), default=0) * _LETTER + (_MARGIN if text else 0) for text, _ in nodes]
    order = _ordered(rows, lines)
    lefts = _placed(order, widths, lines)
    height = (max(len(text) for text in texts)) * _LINE + 10
    boxes = [
        Box(text, colour, row, left + _MARGIN, _MARGIN + row * (height + _ROW), width, height)
        for (text, colour), row, left, width in zip(nodes, rows, lefts, widths, strict=True)
    ]
    right = max(box.left + box.width for box in boxes) + _MARGIN
    return Picture(boxes, lines, right, max(box.top for box in boxes) + height + _MARGIN)


def svg(picture: Picture) -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {picture.width:.0f} {picture.height:.0f}" '
        f'width="{picture.width:.0f}" height="{picture.height:.0f}" font-family="monospace" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for start, end in picture.lines:
        points = _curve(picture.boxes[start], picture.boxes[end])
        numbers = [f"{x:.1f} {y:.1f}" for x, y in points]
        parts.append(f'<path d="M{numbers[0]} C{", ".join(numbers[1:])}" fill="none" stroke="#666"/>')
    for box in picture.boxes:
        if not box.text:
            top, bottom = box.top, box.top + box.height
            parts.append(f'<path d="M{box.middle:.1f} {top:.1f} V{bottom:.1f}" stroke="#666"/>')
            continue
        parts.append(
            f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
            f'fill="{box.colour}" stroke="#888"/>'
        )
        for i, line in enumerate(box.text):
            y = box.top + _LINE * (i + 1)
            parts.append(f'<text x="{box.middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def draw(picture: Picture, path: Any) -> None:
    """Write the picture with Matplotlib, in the format that the name's end says."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path

    figure = Figure(figsize=(picture.width / 72, picture.height / 72))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    curves = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    for start, end in picture.lines:
        way = Path(_curve(picture.boxes[start], picture.boxes[end]), curves)
        axes.add_patch(PathPatch(way, fill=False, edgecolor="#666"))
    for box in picture.boxes:
        if not box.text:
            axes.plot([box.middle] * 2, [box.top, box.top + box.height], color="#666", linewidth=1)
            continue
        corner, shape = (box.left, box.top), "round,pad=0,rounding_size=4"
        look: dict[str, Any] = {"facecolor": box.colour, "edgecolor": "#888", "zorder": 2}
        axes.add_patch(FancyBboxPatch(corner, box.width, box.height, shape, **look))
        for i, line in enumerate(box.text):
            y = box.top + _LINE * (i + 1)
            style: dict[str, Any] = {"ha": "center", "va": "baseline", "family": "monospace", "fontsize": 9}
            # A name is no formula, whatever dollars it has.
            axes.text(box.middle, y, line, zorder=3, parse_math=False, **style)
    figure.savefig(path, dpi=144)


def _layers_of(model: Any, show_shapes: bool) -> tuple[list[tuple[str, ...]], list[list[int]]]:
    """The text of each layer, and which others feed it."""
    rows = model._rows()
    places = {layer.name: i for i, (layer, _, _) in enumerate(rows)}
    texts = []
    for layer, shape, _ in rows:
        kinds = (f"{layer.name}", type(layer).__name__)
        texts.append((*kinds, *(_shown(shape) if show_shapes and shape is not None else ())))
    if all(not sources for _, _, sources in rows):
        return texts, [[i - 1] if i else [] for i in range(len(rows))]
    return texts, [sorted({places[name] for name in sources}) for _, _, sources in rows]


def _shown(shape: Any) -> tuple[str, ...]:
    return tuple(str(tuple(one)) for one in leaves(shape, is_shape))


def _colour(layer: Any) -> str:
    if type(layer).__name__ == "InputLayer":
        return _INPUT
    return _MODEL if hasattr(layer, "_program") else _PLAIN


def _rows_of(fed_by: Sequence[Sequence[int]]) -> list[int]:
    """A row for each, below all that feed it: they come before it in the list."""
    rows: list[int] = []
    for sources in fed_by:
        rows.append(max((rows[source] + 1 for source in sources), default=0))
    return rows


def _ordered(rows: Sequence[int], lines: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes of each row from left to right, each near the middle of those it is joined to."""
    order: list[list[int]] = [[] for _ in range(max(rows) + 1)]
    for box, row in enumerate(rows):
        order[row].append(box)
    above, below = _neighbours(len(rows), lines)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for boxes_of_row in order if down else order[::-1]:
            place = {box: i / max(len(boxes) - 1, 1) for boxes in order for i, box in enumerate(boxes)}
            boxes_of_row.sort(key=lambda box: _mean([place[one] for one in near[box]], place[box]))
    return order


def _placed(order: list[list[int]], widths: Sequence[float], lines: Sequence[tuple[int, int]]) -> list[float]:
    """The left sides: rows as narrow as they can be, moved towards what their boxes are joined to."""
    lefts = [0.0] * len(widths)
    for row in order:
        x = -sum(widths[box] + _GAP for box in row) / 2
        for box in row:
            lefts[box], x = x, x + widths[box] + _GAP
    above, below = _neighbours(len(widths), lines)
    for sweep in range(_SWEEPS):
        near = above if sweep % 2 == 0 else below
        for row in order if sweep % 2 == 0 else order[::-1]:
            middles = [
                _mean([lefts[one] + widths[one] / 2 for one in near[box]], lefts[box] + widths[box] / 2) for box in row
            ]
            _spread(row, [middle - widths[box] / 2 for middle, box in zip(middles, row, strict=True)], lefts, widths)
    first = min(lefts)
    return [left - first for left in lefts]


def _spread(row: list[int], wanted: list[float], lefts: list[float], widths: Sequence[float]) -> None:
    """Put the boxes of a row where they are wanted, as far as they do not overlap."""
    forth, back = list(wanted), list(wanted)
    for i in range(1, len(row)):
        forth[i] = max(forth[i], forth[i - 1] + widths[row[i - 1]] + _GAP)
    for i in range(len(row) - 2, -1, -1):
        back[i] = min(back[i], back[i + 1] - widths[row[i]] - _GAP)
    for box, a, b in zip(row, forth, back, strict=True):
        lefts[box] = (a + b) / 2


def _neighbours(count: int, lines: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for start, end in lines:
        above[end].append(start)
        below[start].append(end)
    return above, below


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _curve(start: Box, end: Box) -> list[tuple[float, float]]:
    top, bottom = start.top + start.height, end.top
    half = (top + bottom) / 2
    return [(start.middle, top), (start.middle, half), (end.middle, half), (end.middle, bottom)]
