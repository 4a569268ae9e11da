"""Memory of results whose last reference is gone, kept for new results.

The system hands out memory a page at a time, at its first touch, and clears it: a third of a network's time. So large
results are lent memory that comes back when neither they nor any view of them exist any more. What is lent and what
lies idle take ``NUMBACONV_RECYCLED_BYTES`` together at most; 0 switches recycling off. The default is an eighth of the
machine's memory, or 512 MB if that is less. A result that finds no room gets memory of its own.

No lock is held and no Python code runs when memory comes back, so that it may do so in any thread, at any time.
"""

import mmap
import os
import weakref
from collections import deque
from contextlib import contextmanager

import numpy as np

from .vectors import CACHE_LINE

# Bytes below which malloc itself keeps memory.
SMALLEST = 128 * 1024
# Bytes of a large page, which the processor finds sooner than many small ones, and the system clears at once.
PAGE = 2 * 1024 * 1024
# Sizes from one power of two to the next: memory serves results of nearly equal size.
STEPS = 8


def _limit():
    most = 512 * 2**20
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        most = min(most, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8)
    return int(os.environ.get("NUMBACONV_RECYCLED_BYTES", most))


limit = _limit()
# Lower ones, of callers that have promised to take no more.
_promises: list[int] = []


class _Memory(np.ndarray):
    """Memory that is lent, and its leases: views of it, one for each result, to which that and all its views refer.

    Between arrays of its own type, NumPy would leave the lease out.
    """

    # Where in it a cache line begins.
    start: int


class _Return(weakref.ref):
    """What is left of a lease that has ended."""

    __slots__ = ("memory",)


# Idle memory by its size, last used sizes last; leases by size and the number of their return; those that have ended.
_idle: dict[int, list[_Memory]] = {}
_lent: dict[int, dict[int, _Return]] = {}
_returned: deque[_Return] = deque()


def rounded(size):
    """Bytes of the memory that serves so many, from where a cache line begins."""
    if size < SMALLEST:
        return size + CACHE_LINE
    step = 1 << max(0, size.bit_length() - STEPS.bit_length())
    return -(-size // step) * step + CACHE_LINE


def recycled_empty(shape, dtype, size):
    """Like `numpy.empty`, beginning with a cache line, in memory of a `rounded` size; None where there is no room."""
    _take_back()
    try:
        memory = _idle[size].pop()
    except (KeyError, IndexError):
        if not _room(size):
            return None
        try:
            memory = fresh(size).view(_Memory)
        except MemoryError:
            return None
        memory.start = -memory.__array_interface__["data"][0] % CACHE_LINE
    lease = memory.view()
    ended = _Return(lease, _returned.append)
    ended.memory = memory
    _lent.setdefault(size, {})[id(ended)] = ended
    return np.ndarray(shape, dtype, lease, memory.start)


def fresh(size):
    """So many bytes of new memory, in large pages as far as it fills them and the system has them."""
    if size < PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, np.uint8)
    try:
        pages = mmap.mmap(-1, size + PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory = np.frombuffer(pages, np.uint8)
        start = -memory.__array_interface__["data"][0] % PAGE
        # Of a page that little is used of, all would be cleared.
        pages.madvise(mmap.MADV_HUGEPAGE, start, (size + PAGE // 2) // PAGE * PAGE)
    except OSError:
        return np.empty(size, np.uint8)
    return memory[start : start + size]


def give_back():
    """Let the system have all idle memory."""
    _take_back()
    _idle.clear()


@contextmanager
def at_most(size):
    """Context in which no more than so many bytes besides what is lent now are lent or lie idle."""
    _take_back()
    promise = _bytes(_lent) + size
    _promises.append(promise)
    try:
        yield
    finally:
        _promises.remove(promise)


def _take_back():
    while _returned:
        try:
            ended = _returned.popleft()
        except IndexError:
            # Another thread was faster.
            return
        if _lent.get(ended.memory.size, {}).pop(id(ended), None):
            kept = _idle.pop(ended.memory.size, [])
            kept.append(ended.memory)
            _idle[ended.memory.size] = kept


def _room(size):
    """Whether there is room for so many bytes more; memory of other sizes, longest idle, makes it."""
    lent, most = _bytes(_lent), min([limit, *_promises])
    if lent + size > most:
        return False
    idle = _bytes(_idle)
    for kept, memories in list(_idle.items()):
        while memories and lent + idle + size > most:
            memories.pop()
            idle -= kept
        if not memories:
            _idle.pop(kept, None)
    return True


def _bytes(memories):
    """Of all sizes, of which there are few however many memories there are."""
    return sum(size * len(those) for size, those in list(memories.items()))
