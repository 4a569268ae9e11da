"""Measures when each thread has a core of its own: some systems put all of a program's threads on one for seconds.

Then every call takes as many times its time, and a ratio between two programs tells which of them was met. So a
measurement is taken again when two threads together take longer than one of them. That looks at neither side's times.
"""

import functools
import time
from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

from numbaconv.machine.peak import STEPS, update_tiles
from numbaconv.machine.vectors import TILE_ROWS, panel_width

T = TypeVar("T")
SHARED = 1.4
TRIES = 20
PAUSE = 0.5


class Cores:
    """Tells whether this process's threads have cores of their own, and counts what was measured again.

    Attributes
    ----------
    measured, again : int
        How many measurements there were, and how often one was put off or taken again.
    """

    def __init__(self) -> None:
        self.measured = self.again = 0
        self._threads = numba.get_num_threads()
        self._usual = min(self._seconds(1) for _ in range(50))

    def _seconds(self, tasks: int) -> float:
        """Of some threads, each with the same work."""
        width, places, rounds = panel_width(4), np.arange(TILE_ROWS), 1000
        x, weights, zeros = (np.ones(n, np.float32) for n in (TILE_ROWS * STEPS, STEPS * width, width))
        out = np.empty((tasks, TILE_ROWS * width), np.float32)
        start = time.perf_counter()
        update_tiles(x, places * STEPS, weights, out, places * width, zeros, rounds)
        return time.perf_counter() - start

    def own(self) -> bool:
        """Whether each thread has a core now; one of three tries is enough, since others work here, too."""
        return any(self._seconds(self._threads) < SHARED * self._usual for _ in range(3))

    def measure(self, call: Callable[[], T]) -> T:
        """What a call returns before and after which each thread had a core; after 20 tries, what it returns."""
        self.measured += 1
        for _ in range(TRIES):
            if self.own():
                found = call()
                if self.own():
                    return found
            self.again += 1
            time.sleep(PAUSE)
        # Perhaps two threads share each core of this machine for ever.
        self._usual = self._seconds(self._threads)
        return call()

    def told(self) -> str:
        """A sentence for below a table."""
        return f"Of {self.measured} measurements {self.again} were taken again, as threads shared a core."


@functools.cache
def cores() -> Cores:
    """Those of this process."""
    return Cores()
