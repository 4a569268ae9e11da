"""Winograd's algorithm along one axis: two outputs of three taps, with four multiplications."""

import numpy as np

from .svg import BLUE, CELL, GREEN, INK, ORANGE, PALE, Picture, number

INPUTS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
OUTPUTS = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
LEFT, TOP, STEP, GAP = 130, 20, 96, 64


def draw_winograd(inputs=(3, 1, 4, 1), kernel=(1, 2, 3)):
    """Picture of the numbers on their way: inputs, sums of them, products, outputs."""
    sums, weights = INPUTS @ inputs, WEIGHTS @ kernel
    products = sums * weights
    rows = {"inputs": inputs, "sums": sums, "products": products, "outputs": OUTPUTS @ products}
    told = "; ".join(f"{name} {', '.join(map(number, map(float, row)))}" for name, row in rows.items())
    picture = Picture(f"Winograd's algorithm for a kernel of {', '.join(map(str, kernel))}: {told}.")
    tops = [TOP + level * (CELL + GAP) for level in range(len(rows))]
    # Two outputs lie between the four products.
    places = [[LEFT + STEP * (i + (len(row) == 2)) for i in range(len(row))] for row in rows.values()]
    for level, matrix in ((0, INPUTS), (2, OUTPUTS)):
        for to, row in enumerate(matrix):
            for at, sign in enumerate(row):
                if sign:
                    ends = places[level][at] + CELL / 2, tops[level] + CELL, places[level + 1][to] + CELL / 2
                    picture.line(*ends, tops[level + 1], BLUE if sign > 0 else ORANGE, 2)
    for place, weight in zip(places[1], weights, strict=True):
        picture.line(place + CELL / 2, tops[1] + CELL, place + CELL / 2, tops[2], PALE, 2)
        picture.badge(place + CELL / 2, tops[1] + CELL + GAP / 2, float(weight), INK)
    colours = (BLUE, PALE, PALE, GREEN)
    for (name, row), row_places, top, colour in zip(rows.items(), places, tops, colours, strict=True):
        picture.text(LEFT - 18, top + CELL / 2, name, 15, INK, "end")
        for value, place in zip(row, row_places, strict=True):
            picture.cell(place, top, float(value), colour)
    picture.text(LEFT - 18, tops[1] + CELL + GAP / 2, "times", 15, INK, "end")
    return picture
