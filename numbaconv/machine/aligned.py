"""Arrays that begin with a cache line."""

from contextlib import contextmanager
from math import prod
from threading import local

import numpy as np

from . import recycling
from .vectors import CACHE_LINE

# Elements below which an array need not be aligned.
SMALL = 1024


class _Noting(local):
    """The list of the arrays that this thread is given, if there is one."""

    arrays = None


_noting = _Noting()


@contextmanager
def noted():
    """A list of the arrays that `aligned_empty` and `cleared` make for this thread meanwhile."""
    before, _noting.arrays = _noting.arrays, []
    try:
        yield _noting.arrays
    finally:
        _noting.arrays = before


def aligned_empty(shape, dtype, room=None):
    """Like ``numpy.empty``, but beginning with a cache line, so that no vector straddles two of them.

    Small arrays begin anywhere: finding the place would take longer than it saves. ``room`` is `room_of` the array,
    where it is known: to work it out takes longest of all after a kernel that has filled the cache.
    """
    array = _aligned(shape, dtype, room_of(shape, dtype) if room is None else room)
    if _noting.arrays is not None:
        _noting.arrays.append(array)
    return array


def cleared(count):
    """An array of so many False."""
    array = np.zeros(count, np.bool_)
    if _noting.arrays is not None:
        _noting.arrays.append(array)
    return array


def room_of(shape, dtype):
    """Bytes of the memory for such an array; 0 for a small one."""
    count = prod(shape)
    return recycling.rounded(count * np.dtype(dtype).itemsize) if count >= SMALL else 0


def _aligned(shape, dtype, room):
    if not room:
        return np.empty(shape, dtype)
    if room >= recycling.SMALLEST and (array := recycling.recycled_empty(shape, dtype, room)) is not None:
        return array
    try:
        memory = recycling.fresh(room)
    except MemoryError:
        recycling.give_back()
        memory = recycling.fresh(room)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE
    return np.ndarray(shape, dtype, memory, start)
