"""Prepared calls of inverted residuals: what one convolution widens, others filter and narrow while it is in the cache.

Each task makes some rows of it, reads them, and then makes the next ones in the same memory.
"""

from math import ceil, gcd, prod

import numpy as np

from ..kernels.named import conv, separable_conv
from ..kernels.plan.axes import W, axis_table, strip_length
from ..kernels.plan.host import HOST
from ..kernels.plan.plans import Plan
from ..kernels.table import flat_plan, panel_table
from ..machine import threads
from ..machine.vectors import EDGE, SLIDE_ROWS, TILE_VECS, conv_width, panel_width
from ..objects.tuples import NamedTuple
from .conv import conv_call
from .epilogue import Epilogue
from .layouts import Ints
from .packed import Packed
from .window import Window, point_window, window_axes

# Taps of a row that windows which are neighbours share at least, and rows of windows of a block that are tried.
SHARED, ROWS = 3, 16


class BandsCall(NamedTuple):
    """A convolution of one tap and a separable one after it in one pass; no arguments where that takes no less time.

    The sums are those of two calls. All weights must be finite.
    """

    out_shape: Ints
    arguments: tuple | None
    serial: bool = False

    def run(
        self,
        image: np.ndarray,
        weights: tuple[Packed, Packed, Packed],
        epilogues: tuple[Epilogue, ...],
        out: np.ndarray,
    ) -> np.ndarray:
        """From canonical array to canonical array, with an epilogue for each of the three steps."""
        assert self.arguments is not None
        panels = (packed.panels for packed in weights)
        separable_conv(image, *panels, epilogues, out.reshape(-1), *self.arguments, serial=self.serial)
        return out


@threads.remember(maxsize=512)
def bands_call(
    x_shape: Ints, shapes_of: tuple[Ints, Ints, Ints], itemsize: int, window: Window, pitch: int = 0
) -> BandsCall:
    """Prepare a convolution of one tap, and after it a depthwise and another one of one tap, of images.

    ``shapes_of`` are those of their weights, and the window is the depthwise one's. For the pitch see `conv_call`.
    """
    (*_, channels, wide), (*taps, read, multiplier), (*_, filters) = shapes_of
    axes = window_axes((*x_shape[:3], wide), pitch or filters, window)
    call = BandsCall((*(axis.windows for axis in axes), filters), None)
    work = channels + (prod(taps) + filters) / prod(window.strides)
    width, lanes = conv_width(filters, itemsize), panel_width(itemsize, 1)
    # Tiles of one vector would be a kernel more to compile.
    usual = wide == read and multiplier == 1 and wide % lanes == 0 and width == conv_width(wide, itemsize) > lanes
    apart = conv_call(x_shape, shapes_of[0], itemsize, point_window(2))
    if not usual or work > HOST.band_work or getattr(apart, "kernel", None) is not conv:
        return call
    rows, tasks = _cut(axes, wide * itemsize)
    if not rows:
        return call
    plan = Plan(axis_table(axes, (1, 1, rows, axes[W].windows)), 1, tasks, False)
    panels = (panel_table(wide, panel_width(itemsize)), *(panel_table(count, width) for count in (filters, wide)))
    return call._replace(arguments=((TILE_VECS,) * TILE_VECS, flat_plan(plan, *panels)))


def _cut(axes: tuple, pixel: int) -> tuple[int, int]:
    """Rows of windows of a block, and tasks; no rows where a pass by itself, from far to far, takes no longer.

    ``pixel`` are the bytes of one that lies in between.
    """
    n, _, h, w = axes
    tasks = threads.count() // gcd(n.windows, threads.count()) * n.windows
    right = (w.windows - 1) * w.stride + w.taps - w.before - w.length
    # Windows that are neighbours read an image even around its edges, as `kernels.depthwise` says.
    near = w.windows >= SLIDE_ROWS and 0 <= w.before <= EDGE and right <= EDGE and h.dilation == w.dilation == 1
    if not near or not SHARED <= w.taps >= w.stride or h.stride > h.taps:
        return 0, 0
    if n.windows * h.length * w.length * pixel < HOST.band_bytes * threads.count():
        return 0, 0
    # Rows that two tasks make, beside all.
    if (tasks - n.windows) * (h.taps - h.stride) > HOST.band_share * n.windows * h.length:
        return 0, 0

    def time(rows: int) -> float:
        blocks = ceil(h.windows / rows) * n.windows
        return ceil(blocks / tasks) * (h.windows * n.windows / blocks + HOST.band_rows)

    def fits(rows: int) -> bool:
        near = strip_length(h, rows) * w.length * pixel <= HOST.l2_bytes * 5 // 8
        return near and ceil(h.windows / rows) * n.windows >= tasks

    found = [rows for rows in range(1, min(ROWS, h.windows) + 1) if fits(rows)]
    return (min(found, key=time), tasks) if found else (0, 0)
