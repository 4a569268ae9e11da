"""Drawings of what layers do: geometry from `numbaconv.shapes`, numbers from `numbaconv.reference`."""

from .axis import draw_axis, draw_stack
from .grids import draw_scatter, draw_slide
from .kernels import draw_caches, draw_packing, draw_strip, draw_tasks, draw_tile
from .winograd import draw_winograd

__all__ = [
    "draw_axis",
    "draw_caches",
    "draw_packing",
    "draw_scatter",
    "draw_slide",
    "draw_stack",
    "draw_strip",
    "draw_tasks",
    "draw_tile",
    "draw_winograd",
]
