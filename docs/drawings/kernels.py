"""How the kernels do their work: tasks, caches, packed weights, the strip and the tile."""

import numpy as np

from numbaconv.calls.window import Window, window_axes
from numbaconv.kernels.pack import pack_panels
from numbaconv.kernels.plan.axes import BLOCK, H, W
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.plan.plans import make_plan, strip_pixels
from numbaconv.machine.vectors import TILE_ROWS, panel_width

from .grids import IMAGE
from .svg import BLUE, CELL, GREEN, INK, ORANGE, PALE, Picture

LEFT, TOP, SIDE = 20, 44, 252


def _plan_of(length, channels, filters, threads):
    """Axes of a 3x3 convolution of an image, its plan, and rows and columns of a task."""
    axes = window_axes((1, length, length, channels), filters, Window((3, 3), (1, 1), "same", (1, 1), "channels_last"))
    plan = make_plan(axes, channels, filters, 4, host=HOST._replace(threads=threads))
    return axes, plan, int(plan.axes[H, BLOCK]), int(plan.axes[W, BLOCK])


def draw_tasks(length=28, channels=128, filters=256, threads=8):
    """How a 3x3 convolution of an image is cut: blocks of outputs, and groups of panels of filters."""
    _, plan, rows, columns = _plan_of(length, channels, filters, threads)
    width = panel_width(4)
    panels = -(-filters // width)
    picture = Picture(
        f"{length}x{length} outputs in blocks of {rows}x{columns}; {filters} filters in {panels} panels of {width}, "
        f"{plan.group} to a task: {plan.tasks} tasks for {threads} threads."
    )
    one = SIDE / length
    picture.text(LEFT, TOP - 18, f"{length}x{length} outputs", 15, BLUE, "start")
    for top in range(0, length, rows):
        for left in range(0, length, columns):
            size = min(columns, length - left) * one, min(rows, length - top) * one
            picture.box(LEFT + left * one, TOP + top * one, *size, ORANGE if top == left == 0 else BLUE)
    right, high = LEFT + SIDE + 70, SIDE / panels
    picture.text(right, TOP - 18, f"{filters} filters: panels of {width}", 15, GREEN, "start")
    for panel in range(panels):
        picture.box(right, TOP + panel * high, 150, high, ORANGE if panel < plan.group else GREEN)
    words = f"A task: {rows}x{columns} outputs times {plan.group * width} filters. There are {plan.tasks}."
    picture.text(LEFT, TOP + SIDE + 24, words, 15, INK, "start")
    return picture


def draw_caches(length=28, channels=128, filters=256, threads=8):
    """Where a task of such a convolution has its numbers, from the registers to memory, and how large they are."""
    axes, plan, rows, columns = _plan_of(length, channels, filters, threads)
    width, taps, windows = panel_width(4), 9, rows * columns
    tiles, used = -(-windows // TILE_ROWS), min(TILE_ROWS, windows)
    strip = strip_pixels(axes, rows, columns) * channels
    levels = [
        (
            "registers",
            f"a tile of {used} windows x {width} filters",
            used * width,
            f"{taps * channels} products are added",
        ),
        ("L1 cache", "what the tile reads for one tap", used * channels, "the next tap reads most of it again"),
        (
            "L2 cache",
            "a panel of weights",
            taps * channels * width,
            f"read by {_many(tiles, 'tile')} in turn",
        ),
        ("L2 cache", "the strip", strip, f"read by {_many(plan.group, 'panel')} in turn"),
        (
            "L3 cache",
            "all weights",
            taps * channels * filters,
            f"read by {-(-plan.tasks * plan.group * width // filters)} blocks of windows",
        ),
        (
            "memory",
            "image and outputs",
            length * length * (channels + filters),
            "copied and written once",
        ),
    ]
    sizes = "; ".join(f"{name}: {what}, {_bytes(count)}, {used_for}" for name, what, count, used_for in levels)
    picture = Picture(f"Where the numbers of a task lie, near ones first. {sizes}.")
    colours = {"registers": ORANGE, "L1 cache": GREEN, "L2 cache": BLUE, "L3 cache": PALE, "memory": PALE}
    high = 46
    for i, (name, what, count, used_for) in enumerate(levels):
        y = TOP - 30 + i * (high + 8)
        picture.box(LEFT + 95, y, 300 + 30 * i, high, colours[name])
        if i == 0 or levels[i - 1][0] != name:
            picture.text(LEFT, y + high / 2, name, 16, INK, "start", bold=True)
        picture.text(LEFT + 105, y + 15, f"{what}: {_bytes(count)}", 15, INK, "start")
        picture.text(LEFT + 105, y + 34, used_for, 14, INK, "start")
    return picture


def _many(count, what):
    return f"{count} {what}" + "s" * (count > 1)


def _bytes(count):
    """How much memory so many numbers of float32 take."""
    kilobytes = 4 * count / 1024
    return f"{kilobytes:.0f} KB" if kilobytes < 1000 else f"{kilobytes / 1024:.1f} MB"


def draw_packing(taps=3, channels=2, filters=7, width=4):
    """Weights as Keras has them, and packed in panels; numbers are the places in Keras's array."""
    weights = np.arange(1, taps * channels * filters + 1).reshape(taps, channels, filters)
    packed = pack_panels(weights, width).reshape(-1, taps * channels, width)
    order = ", ".join(str(n) for n in packed.ravel()[: 2 * width])
    picture = Picture(
        f"Weights of {taps} taps, {channels} channels and {filters} filters as {taps * channels} rows of {filters}; "
        f"packed, they are {len(packed)} panels of {taps * channels} rows of {width}, read as {order} and so on."
    )
    left = LEFT + 130
    picture.text(left, TOP - 18, f"{filters} filters", 15, BLUE, "start")
    for row in range(taps * channels):
        tap, channel = divmod(row, channels)
        picture.text(LEFT, TOP + (row + 0.5) * CELL, f"tap {tap}, channel {channel}", 14, INK, "start")
        for column in range(filters):
            colour = (ORANGE, GREEN)[column // width % 2]
            picture.cell(left + column * CELL, TOP + row * CELL, str(weights.reshape(-1, filters)[row, column]), colour)
    for panel, rows in enumerate(packed):
        x = left + (filters + 1 + panel * (width + 0.5)) * CELL
        colour = (ORANGE, GREEN)[panel % 2]
        picture.text(x, TOP - 18, f"panel {panel}", 15, colour, "start")
        for row, column in np.ndindex(rows.shape):
            value = int(rows[row, column])
            at = x + column * CELL, TOP + row * CELL
            picture.cell(*at, str(value), colour if value else PALE, not value)
    words = f"in memory: {order} ... one panel behind the other"
    picture.text(LEFT, TOP + (taps * channels + 0.5) * CELL, words, 15, INK, "start")
    return picture


def draw_strip(rows=2):
    """What a task copies: the input of some rows of windows, with zeros where the image ends."""
    x = IMAGE[:5, :6]
    padded = np.pad(x, 1)
    strip = padded[: rows + 2]
    picture = Picture(
        f"An image of {x.shape[0]}x{x.shape[1]} numbers with a border of zeros; the first {rows} rows of 3x3 windows "
        f"read {strip.shape[0]} rows, which are copied into a strip of {strip.shape[0]}x{strip.shape[1]} numbers."
    )
    border = ((1, 1), (1, 1))
    picture.text(LEFT, TOP - 18, "image, and zeros that are imagined", 15, BLUE, "start")
    picture.grid(LEFT, TOP, padded, border=border)
    picture.frame(LEFT, TOP, padded.shape[1], len(strip))
    right = LEFT + (padded.shape[1] + 1.6) * CELL
    picture.text(right, TOP - 18, "strip: zeros like any others", 15, ORANGE, "start")
    picture.grid(right, TOP, strip, ORANGE)
    picture.line(LEFT + padded.shape[1] * CELL + 6, TOP + CELL, right - 6, TOP + CELL, ORANGE, 2.5)
    return picture


def draw_tile(rows=4, vectors=2, lanes=4):
    """One step of a tile: each value of the input times all weights of a line."""
    weights, values = np.arange(1, vectors * lanes + 1), (3, 1, 4, 1, 5, 9)[:rows]
    picture = Picture(
        f"A tile of {rows} rows by {vectors} vectors of {lanes}: {rows} values of the input at the left, "
        f"{len(weights)} weights above; each place of the tile adds their product."
    )
    left, top = LEFT + 2.2 * CELL, TOP + 1.4 * CELL
    picture.text(left, TOP - 18, f"weights of {len(weights)} filters, for one tap and channel", 15, ORANGE, "start")
    picture.text(LEFT - 6, top - 16, "input", 15, BLUE, "start")
    for column, weight in enumerate(weights):
        picture.cell(left + column * CELL, TOP, float(weight), ORANGE)
    for row, value in enumerate(values):
        picture.cell(LEFT, top + row * CELL, float(value), BLUE)
        for column, weight in enumerate(weights):
            picture.cell(left + column * CELL, top + row * CELL, f"+{value * weight}", GREEN, size=15)
    for vector in range(vectors):
        picture.frame(left + vector * lanes * CELL, TOP, lanes, 1, ORANGE)
        for row in range(rows):
            picture.frame(left + vector * lanes * CELL, top + row * CELL, lanes, 1, GREEN)
    words = f"{rows * vectors} registers of sums, {vectors} of weights, 1 for a value of the input"
    picture.text(left, top + rows * CELL + 24, words, 15, INK, "start")
    return picture
