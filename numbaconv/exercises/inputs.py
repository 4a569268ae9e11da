"""What the functions of the exercises are tried on.

Small whole numbers, so that a learner can follow each sum by hand; the last case in halves, so that it shows if results
are cut to whole numbers. No number is 0, because what is multiplied by 0 hides that it was forgotten. Axes are of
different lengths, so that it shows if one is taken for the other.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray
Inputs = Callable[[], Iterator[tuple[Any, ...]]]


def given(*rows: tuple[Any, ...]) -> Inputs:
    """These arguments; a list stands for an array of that shape, filled with whole numbers or, in the last, halves."""

    def inputs() -> Iterator[tuple[Any, ...]]:
        for number, row in enumerate(rows, 1):
            part = 2 if number == len(rows) > 1 else 1
            yield tuple(
                whole(value, place, number) / part if isinstance(value, list) else value
                for place, value in enumerate(row)
            )

    return inputs


def whole(shape: list[int], *seed: int) -> Array:
    """Numbers from -4 to 4 without 0, others for each seed."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, 5, shape) * rng.choice([-1, 1], shape)).astype(float)


def written(*sizes: tuple[int, ...]) -> Inputs:
    """Image, weights and an output that is still empty, of float32, from (OH, OW, KH, KW, C, F)."""

    def inputs() -> Iterator[tuple[Any, ...]]:
        for height, width, kernel_h, kernel_w, channels, filters in sizes:
            x = whole([height + kernel_h - 1, width + kernel_w - 1, channels], 0)
            weights = whole([kernel_h, kernel_w, channels, filters], 1)
            out = np.full((height, width, filters), np.nan, np.float32)
            yield x.astype(np.float32), weights.astype(np.float32), out

    return inputs


def tiles() -> Iterator[tuple[Any, ...]]:
    """The same in whole tiles of this machine, which are looked up only when somebody gets so far."""
    from ..machine.vectors import TILE_ROWS, panel_width

    width = panel_width(np.dtype(np.float32).itemsize)
    yield from written((2, TILE_ROWS, 3, 3, 4, width), (3, 2 * TILE_ROWS, 2, 3, 5, 2 * width))()


def functions() -> Iterator[tuple[Any, ...]]:
    """Functions of an array, and where their slopes are asked for."""
    yield (lambda x: float(np.sum(np.arange(1, 6) * x**2))), whole([5], 0)
    yield (lambda x: float(np.sum(np.sin(x)) * x[0, 1])), whole([2, 3], 1)
    yield (lambda x: float(x[0] ** 3)), np.array([2.0])
