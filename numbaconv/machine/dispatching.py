"""Numba's dispatchers for the loops of this package: what `compiler` hands to Numba, once it is needed."""

import numba

from . import launching, tiles  # noqa: F401
from .cache import keep_on_disk
from .private import lost_without
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES
from .words import made_of_numba

parts = None
with lost_without("compiling takes longer, and Ctrl-C or a fork may break into it"):
    from . import parts


def _dispatcher(function, **options):
    return numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True, **options)(function)


def kernel(function, parallel):
    """A dispatcher that Python calls."""
    dispatcher = _dispatcher(made_of_numba(function), parallel=parallel)
    if parts:
        parts.bend_kernel(dispatcher)
    keep_on_disk(dispatcher, parallel, VECTOR_BYTES, TILE_ROWS, TILE_VECS)
    return dispatcher


def helper(function, inline):
    """A dispatcher that compiled code calls."""
    dispatcher = _dispatcher(function)
    if parts:
        parts.bend_helper(dispatcher, inline)
    return dispatcher
