"""Drawings of what layers do: geometry from `numbaconv.shapes`, numbers from `numbaconv.reference`."""

from .axis import draw_axis, draw_stack
from .grids import draw_scatter, draw_slide
from .winograd import draw_winograd

__all__ = ["draw_axis", "draw_scatter", "draw_slide", "draw_stack", "draw_winograd"]
