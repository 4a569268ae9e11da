"""Pictures as SVG text: grids of numbers, lines between them, and parts that are seen for some of the time."""

from html import escape

CELL = 40
# Of Okabe and Ito's palette, which the colour-blind tell apart too; each with a tint to lie under black numbers.
INK, MUTED, PALE = "#1f2933", "#616e7c", "#9aa5b1"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#00795a"
TINTS = {BLUE: "#dcecf7", ORANGE: "#fbe3d2", GREEN: "#d7f0e7", PALE: "#f1f3f5"}

STYLE = """
text { font-family: system-ui, "DejaVu Sans", Arial, sans-serif; text-anchor: middle; dominant-baseline: central }
.timed { animation-duration: %gs; animation-timing-function: step-end; animation-iteration-count: infinite }
@media (prefers-reduced-motion: reduce) { .timed { animation: none } }
"""


class Picture:
    """A drawing that grows with what is put into it.

    Where it moves, it runs through ``frames`` frames; parts drawn inside `during` are seen in some of them only. Who
    does not want motion sees the last one.

    Attributes
    ----------
    alt : str
        What the picture shows, for those who do not see it.
    """

    def __init__(self, alt, frames=1, seconds=1.5):
        self.alt, self.frames, self.seconds = alt, frames, seconds
        self._parts, self._times, self._right, self._bottom = [], set(), 0, 0

    def _add(self, right, bottom, part):
        self._right, self._bottom = max(self._right, right), max(self._bottom, bottom)
        self._parts.append(part)

    def text(self, x, y, words, size=18, colour=INK, anchor="middle", bold=False):
        style = f'font-size="{size}" fill="{colour}"' + (' font-weight="bold"' if bold else "")
        if anchor != "middle":
            style += f' style="text-anchor:{anchor}"'
        reach = {"middle": 0.3, "start": 0.6, "end": 0}[anchor] * size * len(str(words))
        self._add(x + reach, y + size / 2, f'<text x="{x:g}" y="{y:g}" {style}>{escape(str(words))}</text>')

    def cell(self, x, y, value="", colour=BLUE, dashed=False, size=18):
        """A square with a number in it; its upper left corner lies at (x, y)."""
        line = ' stroke-dasharray="4 3"' if dashed else ""
        square = (
            f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" fill="{TINTS[colour]}" stroke="{colour}"{line}/>'
        )
        self._add(x + CELL, y + CELL, square)
        words = number(value)
        self.text(x + CELL / 2, y + CELL / 2, words, size if len(words) < 4 else 13, MUTED if dashed else INK)

    def grid(self, x, y, values, colour=BLUE, border=((0, 0), (0, 0))):
        """Cells in rows and columns, as many of them at each end as ``border`` says being padding."""
        rows, columns = len(values), len(values[0])
        for r, row in enumerate(values):
            for c, value in enumerate(row):
                inside = border[0][0] <= r < rows - border[0][1] and border[1][0] <= c < columns - border[1][1]
                self.cell(x + c * CELL, y + r * CELL, value, colour if inside else PALE, not inside)

    def frame(self, x, y, columns, rows, colour=ORANGE):
        """A thick border around so many cells."""
        size = f'width="{columns * CELL}" height="{rows * CELL}"'
        self._add(
            x + columns * CELL,
            y + rows * CELL,
            f'<rect x="{x:g}" y="{y:g}" {size} fill="none" stroke="{colour}" stroke-width="3"/>',
        )

    def box(self, x, y, width, height, colour):
        """A plain rectangle."""
        size = f'width="{width:g}" height="{height:g}" fill="{TINTS[colour]}" stroke="{colour}" stroke-width="1.5"'
        self._add(x + width, y + height, f'<rect x="{x:g}" y="{y:g}" {size}/>')

    def line(self, x, y, to_x, to_y, colour=PALE, width=1.5):
        ends = f'x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}"'
        self._add(max(x, to_x), max(y, to_y), f'<line {ends} stroke="{colour}" stroke-width="{width}"/>')

    def dot(self, x, y, colour, filled):
        """A small circle."""
        fill = ORANGE if filled else "#ffffff"
        self._add(x + 8, y + 8, f'<circle cx="{x:g}" cy="{y:g}" r="8" fill="{fill}" stroke="{colour}"/>')

    def badge(self, x, y, value, colour=ORANGE):
        """A small disc with a number."""
        self._add(x + 10, y + 10, f'<circle cx="{x:g}" cy="{y:g}" r="10" fill="{colour}"/>')
        self.text(x, y, number(value), 13, "#ffffff", bold=True)

    def during(self, first, last=None):
        """Context in which everything drawn is seen from frame ``first`` up to, not including, frame ``last``."""
        return _During(self, first, first + 1 if last is None else last)

    def __str__(self):
        width, height = self._right + 12, self._bottom + 12
        rules = [STYLE % (self.frames * self.seconds)]
        for first, last in sorted(self._times):
            states = {0: "hidden", first: "visible"} | ({last: "hidden"} if last < self.frames else {})
            steps = " ".join(f"{100 * at / self.frames:g}% {{ visibility: {state} }}" for at, state in states.items())
            rules.append(f"@keyframes from{first}to{last} {{ {steps} }}")
        size = f'width="{width:g}" height="{height:g}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:g} {height:g}" role="img">'
        back = f'<rect {size} rx="6" fill="#ffffff"/>'
        style = f"<style>{''.join(rules)}</style>"
        return "\n".join([head, f"<title>{escape(self.alt)}</title>", style, back, *self._parts, "</svg>"])


class _During:
    def __init__(self, picture, first, last):
        self.picture, self.first, self.last = picture, first, last

    def __enter__(self):
        if (self.first, self.last) == (0, self.picture.frames):
            self.picture._parts.append("<g>")
            return
        self.picture._times.add((self.first, self.last))
        state = "visible" if self.last == self.picture.frames else "hidden"
        name = f"from{self.first}to{self.last}"
        self.picture._parts.append(f'<g class="timed" visibility="{state}" style="animation-name: {name}">')

    def __exit__(self, *error):
        self.picture._parts.append("</g>")


def number(value):
    """A number as short as it can be written."""
    return value if isinstance(value, str) else f"{value:.3g}"
