"""How calls are timed: many in a row where they are short."""

from collections.abc import Callable
from functools import cache
from time import perf_counter, process_time

import numba

# Seconds that a sample takes at least.
LEAST = 0.001
# On one thread a call waits for nobody, and what else the machine does need not count.
CLOCK = process_time if numba.config.NUMBA_NUM_THREADS == 1 else perf_counter


class Burst:
    """A benchmark of a call whose samples are means over as many calls in a row as take a millisecond.

    asv sets up anew before each sample, and so would time one call at a time. A short one then depends most on whether
    the other cores' threads, which wait for work for some 50 us before they sleep, are still awake.
    """

    repeat: tuple[int, int, float] = (5, 50, 0.5)

    def take(self, call: Callable) -> None:
        """Have `run` time ``call``."""
        self.call, self.times = call, _times(call)
        # asv reads its clock before and after the burst: this one runs slower, so that it tells the time of one call.
        self.timer = lambda: CLOCK() / self.times

    def run(self) -> None:
        for _ in range(self.times):
            self.call()


@cache
def _times(call: Callable) -> int:
    took = []
    for _ in range(3):
        start = CLOCK()
        call()
        took.append(CLOCK() - start)
    return max(1, round(LEAST / min(took)))
