"""The search for the cheapest blocks: all sensible ones are tried."""

from math import ceil, isqrt, prod

from .axes import axis_table

# Lengths of blocks that are tried on either side of the square root, however long an axis is.
MOST_LENGTHS = 2**16


def cheapest(axes, panels, cost, fits, cores, several_images=False):
    """Find the blocks that take least time, among those whose tasks fit the cache.

    Parameters
    ----------
    axes : tuple of Axis
    panels : int
        Panels of output channels; a task takes a group of them.
    cost, fits : callable
        What a task costs, and whether it fits, from its rows and columns of windows and its group.
    cores : tuple of int
        Numbers of cores that all count alike.
    several_images : bool
        Whether a task may take several images whole.

    Returns
    -------
    axes : int64 array (4, 9)
        The table for the kernel.
    group : int
        Panels of a task.
    tasks : int
    """
    best = None
    for block in _blocks(*axes, several_images):
        blocks = prod(ceil(axis.windows / length) for axis, length in zip(axes, block, strict=True))
        images, _, rows, columns = block
        for groups in range(1, panels + 1):
            if panels % groups:
                continue
            group = panels // groups
            tasks = blocks * groups
            rounds = sum(ceil(tasks / count) * count for count in cores)
            key = not fits(images * rows, columns, group), rounds * cost(images * rows, columns, group)
            if best is None or key < best[0]:
                best = key, block, group, tasks
    _, block, group, tasks = best
    return axis_table(axes, block), group, tasks


def _blocks(n, d, h, w, several_images):
    """Blocks worth trying: rows, parts of one row, or whole images."""
    for rows in _block_lengths(h.windows):
        # Parts of rows only where whole rows are too long or too few: a block's edges are copied twice.
        for columns in _block_lengths(w.windows) if rows == 1 else [max(w.windows, 1)]:
            yield 1, 1, rows, columns
    if several_images and d.windows == 1:
        for images in _block_lengths(n.windows):
            yield images, 1, max(h.windows, 1), max(w.windows, 1)


def _block_lengths(windows):
    """Lengths worth trying for blocks of an axis of ``windows``: those of few even blocks, and all short ones."""
    root = min(isqrt(windows), MOST_LENGTHS) + 1
    even = (ceil(windows / i) for i in range(1, root + 1))
    return sorted({*even, *range(1, min(root, windows) + 1)} - {0}) or [1]
