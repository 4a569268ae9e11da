"""The search for the cheapest blocks: all sensible ones are tried."""

from math import ceil, isqrt, prod

import numpy as np

from ...objects.tuples import NamedTuple
from .axes import MANY_TAPS, axis_table

# Lengths of blocks that are tried on either side of the square root, however long an axis is.
MOST_LENGTHS = 2**16
# Parts of several rows that are tried where windows have more rows than this.
PARTS = 2, 4, 8, 16


class Cut(NamedTuple):
    """What `cheapest` finds: the axis table for the kernel, panels of a task, tasks, and the time that they take."""

    axes: np.ndarray
    group: int
    tasks: int
    time: float


def cheapest(axes, panels, time, fits, several_images=False, several_planes=False, whole_rows=False):
    """Find the blocks that take least time, among those whose tasks fit the cache: a `Cut`.

    A task takes a group of the panels of output channels, and maybe several images whole, each of one plane of windows,
    or several planes of an image and images of any number of them; with ``whole_rows``, no part of a row. ``time`` is
    how long all tasks take, a function of the rows and columns of windows of each, its group, and their number;
    ``fits`` whether a task fits, of all but the last.
    """
    best = None
    for block in _blocks(*axes, several_images, several_planes, whole_rows):
        blocks = prod(ceil(axis.windows / length) for axis, length in zip(axes, block, strict=True))
        images, planes, rows, columns = block
        for groups in range(1, panels + 1):
            if panels % groups:
                continue
            size, tasks = (images * planes * rows, columns, panels // groups), blocks * groups
            taken = time(*size, tasks)
            # The first calls of a network try thousands of blocks, few of which are faster than one that fits.
            if best is not None and best[0] <= (False, taken):
                continue
            key = not fits(*size), taken
            if best is None or key < best[0]:
                best = key, block, size[2], tasks
    (_, least), block, group, tasks = best
    return Cut(axis_table(axes, block), group, tasks, least)


def _blocks(n, d, h, w, several_images, several_planes, whole_rows):
    """Blocks worth trying: rows, parts of one row, or whole planes or images."""
    for rows in _block_lengths(h.windows):
        # Parts of rows only where whole rows are too long or too few: a block's edges are copied twice.
        for columns in _block_lengths(w.windows) if rows == 1 and not whole_rows else [max(w.windows, 1)]:
            yield 1, 1, rows, columns
    if h.taps > MANY_TAPS and not whole_rows:
        # Few rows would copy most of what they read for each of them anew.
        for rows in _block_lengths(h.windows):
            for parts in PARTS:
                yield 1, 1, rows, ceil(max(w.windows, 1) / parts)
    plane = max(h.windows, 1), max(w.windows, 1)
    if several_planes:
        for planes in _block_lengths(d.windows):
            yield 1, planes, *plane
    if several_planes or (several_images and d.windows == 1):
        for images in _block_lengths(n.windows):
            yield images, max(d.windows, 1), *plane


def _block_lengths(windows):
    """Lengths worth trying for blocks of an axis of ``windows``: those of few even blocks, and short ones."""
    root, numbers = min(isqrt(windows), MOST_LENGTHS) + 1, [1]
    while numbers[-1] < root:
        # Of large ones, which differ little, some.
        numbers.append(numbers[-1] + max(1, numbers[-1] // 16))
    return sorted({*(ceil(windows / i) for i in numbers), *(i for i in numbers if i <= windows)} - {0}) or [1]
