"""How the kernels do their work: tasks, the strip and the tile."""

import numpy as np

from numbaconv.calls.window import Window, window_axes
from numbaconv.kernels.plan.axes import BLOCK, H, W
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.plan.plans import make_plan
from numbaconv.machine.vectors import panel_width

from .grids import IMAGE
from .svg import BLUE, CELL, GREEN, INK, ORANGE, PALE, Picture

LEFT, TOP, SIDE = 20, 44, 252


def draw_tasks(length=14, channels=256, filters=512, threads=8):
    """How a 3x3 convolution of an image is cut: blocks of outputs, and groups of panels of filters."""
    axes = window_axes((1, length, length, channels), filters, Window((3, 3), (1, 1), "same", (1, 1), "channels_last"))
    plan = make_plan(axes, channels, filters, 4, host=HOST._replace(threads=threads))
    rows, columns = int(plan.axes[H, BLOCK]), int(plan.axes[W, BLOCK])
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
    picture.text(left, top + rows * CELL + 24, words, 15, PALE, "start")
    return picture
