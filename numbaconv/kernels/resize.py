"""Which positions of an axis each position of a resized one is made from, and their shares.

An axis of n positions becomes one of m. Positions are cells: output o covers the input from ``o * n / m`` on, and its
centre lies over the input coordinate ``(o + 1/2) * n / m - 1/2``.
"""

import numpy as np

from .recipe import Recipe, recipe

# How far the kernels reach.
RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
# TensorFlow looks cubic weights up in a table of so many steps from one position to the next.
CUBIC_STEPS = 1024


def resized(length: int, out_length: int, interpolation: str, antialias: bool, start: int = 0) -> Recipe:
    """The recipe of an axis that is resized: from ``start`` on, so many positions become others.

    ``antialias`` says whether kernels are stretched where the axis becomes shorter.
    """
    n, m = length, out_length
    outputs = np.arange(m, dtype=np.int64)
    if interpolation == "nearest":
        # In float32, as TensorFlow does: where a centre lies between two positions, rounding decides.
        centre = (outputs.astype(np.float32) + np.float32(0.5)) * (np.float32(n) / np.float32(m))
        return recipe(m, outputs, start + np.minimum(np.floor(centre).astype(np.int64), n - 1), 1.0)
    if interpolation == "area":
        first, last = outputs * n // m, ((outputs + 1) * n - 1) // m
        read = first[:, None] + np.arange((last - first).max(initial=0) + 1)
        # What the output's cell covers of each position, in whole m-ths of it.
        begin, end = np.maximum(read * m, outputs[:, None] * n), np.minimum((read + 1) * m, (outputs[:, None] + 1) * n)
        weights = np.maximum(end - begin, 0)
        return recipe(m, outputs[:, None], read + start, weights / n)
    radius = RADIUS[interpolation]
    stretch = max(n / m, 1.0) if antialias else 1.0
    centre = (outputs + 0.5) * n / m - 0.5
    first = np.clip(np.ceil(centre - radius * stretch), 0, n - 1).astype(np.int64)
    last = np.clip(np.floor(centre + radius * stretch), 0, n - 1).astype(np.int64)
    read = first[:, None] + np.arange((last - first).max(initial=0) + 1)
    if interpolation == "bicubic" and not antialias:
        distance = read - _on_the_table(n, m)[:, None]
    else:
        # Whole numbers but for the last step, so that what is a whole distance away has no share at all.
        distance = ((2 * read + 1) * m - (2 * outputs[:, None] + 1) * n) / (2 * (m if stretch == 1.0 else n))
    weights = np.where(read <= last[:, None], _weights(np.abs(distance), radius), 0.0)
    return recipe(m, outputs[:, None], read + start, weights / weights.sum(1, keepdims=True))


def _on_the_table(n: int, m: int) -> np.ndarray:
    """Centres of the outputs, in float32 and rounded to the steps of TensorFlow's table of cubic weights."""
    half = np.float32(0.5)
    centre = (np.arange(m, dtype=np.float32) + half) * (np.float32(n) / np.float32(m)) - half
    below = np.floor(centre)
    steps = np.rint((centre - below) * np.float32(CUBIC_STEPS))
    return below.astype(np.float64) + steps.astype(np.float64) / CUBIC_STEPS


def _weights(distance: np.ndarray, radius: int) -> np.ndarray:
    """A kernel at these distances, not negative, in units of a position: tent, Keys's cubic or Lanczos's."""
    d = distance
    if radius == 1:
        return np.maximum(1 - d, 0)
    if radius == 2:
        near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        return np.where(d < 1, near, np.where(d < 2, far, 0.0))
    weights = np.where(d < radius, np.sinc(d) * np.sinc(d / radius), 0.0)
    return np.where(d == np.rint(d), d == 0, weights)
