"""One piece of memory for all values between stages: those that are never there at once lie in the same place.

There stages find their arrays again in each call, and kernels the same arguments.
"""

from collections import OrderedDict
from collections.abc import Iterable
from math import prod
from operator import attrgetter, is_
from typing import Any, NamedTuple

import numpy as np

from ...machine import threads
from ...machine.aligned import aligned_empty
from ...machine.compiler import door, recorded
from ...machine.vectors import CACHE_LINE

# Shapes that a network remembers.
MOST_SHAPES = 64
_weights_of = attrgetter("_weights")


class Lifetime(NamedTuple):
    """Bytes that are needed from one stage to another, both included."""

    size: int
    first: int
    last: int


def laid_out(lifetimes: Iterable[Lifetime]) -> tuple[list[int], int]:
    """Where each begins, in bytes, and how many there are in all; the largest ones choose first."""
    wanted = list(lifetimes)
    places = [0] * len(wanted)
    done: list[int] = []
    for i in sorted(range(len(wanted)), key=lambda i: -wanted[i].size):
        size, first, last = wanted[i]
        beside = (j for j in done if wanted[j].first <= last and first <= wanted[j].last)
        start = 0
        for at, end in sorted((places[j], places[j] + wanted[j].size) for j in beside):
            if start + size <= at:
                break
            start = max(start, -(-end // CACHE_LINE) * CACHE_LINE)
        places[i] = start
        done.append(i)
    return places, max((place + one.size for place, one in zip(places, wanted, strict=True)), default=0)


class Laid:
    """A runner in an arena: where the results of its turns go, and the calls of kernels that lead there.

    Between two kernels, Python would fetch as much of its own code and objects as the last one has driven out of the
    cache. So calls that are always the same are made without it: they are written down in the second run, since the
    first one may read weights as they lie, and hold until a weight changes.

    Attributes
    ----------
    steps : list
        For each turn itself, the array for its result, or None, and the calls that are all it does, or None.
    """

    def __init__(self, runner: Any, memory: np.ndarray) -> None:
        self.runner = runner
        self._arrays = [_array(turn, runner.dtype, memory) for turn in runner.turns]
        self.forget()

    def forget(self) -> None:
        """Begin anew: weights have changed."""
        self._runs, self._alone = 0, False
        self._held: list[Any] = []
        # Values that always lie in the same place.
        self._fixed: dict[int, np.ndarray] = {}
        self._calls: dict[int, list[Any]] = {}
        turns = zip(self.runner.turns, self._arrays, strict=True)
        self.steps: list[tuple[Any, Any, Any]] = [(turn, out, None) for turn, out in turns]
        self._found: list[Any] = [None] * self.runner.slots

    def changed(self) -> bool:
        """Whether calls that were written down are for other weights or threads than now."""
        weights, alone = map(_weights_of, self.runner.layers), threads.alone
        return self._runs > 1 and not (alone is self._alone and all(map(is_, weights, self._held)))

    def begun(self) -> list[Any]:
        """All values of a run that begins, by slot, as far as they are known."""
        if self._runs == 1:
            self._held, self._alone = [*map(_weights_of, self.runner.layers)], threads.alone
        return self._found.copy()

    def result(self, turn: Any, out: Any, values: list[Any]) -> Any:
        """What a turn gives; in the second run, its calls are written down where they will be the same."""
        fixed, view = self._fixed, turn.stage.kind == "view"
        if self._runs != 1:
            result, place = turn.run(out, *values), fixed.get(turn.outputs[0])
            if place is None or place is result:
                return result
            # Others have written down where they read it.
            np.copyto(place, result)
            return place
        with recorded() as calls:
            result = turn.run(out, *values)
        known = all(fixed.get(slot) is x for slot, x in zip(turn.inputs, values, strict=True))
        if (view and known) or (result is out and turn.place >= 0):
            fixed[turn.outputs[0]] = result
            if known and (view or turn.steady):
                self._calls[id(turn)] = [(door(kernel, arguments), arguments) for kernel, arguments in calls]
        return result

    def ended(self) -> None:
        """A run has come to its end."""
        if self._runs == 1:
            self.steps = [(turn, out, self._calls.get(id(turn))) for turn, out, _ in self.steps]
            for slot, array in self._fixed.items():
                self._found[slot] = array
        self._runs = min(2, self._runs + 1)


class Arena:
    """Memory of one call at a time, and for each runner what lies in it."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)
        self._laid: OrderedDict[int, Laid] = OrderedDict()

    def laid(self, runner: Any) -> Laid:
        """A runner in this memory."""
        if runner.room > self._memory.size:
            # What was there goes first: there are never both.
            self._laid.clear()
            self._memory = np.empty(0, np.uint8)
            self._memory = aligned_empty((runner.room,), np.uint8)
        known = self._laid.get(id(runner))
        if known is None or known.runner is not runner:
            if len(self._laid) >= MOST_SHAPES:
                self._laid.popitem(last=False)
            known = self._laid[id(runner)] = Laid(runner, self._memory)
        elif known.changed():
            # None is to hold weights that are gone.
            for one in self._laid.values():
                one.forget()
        return known


def _array(turn: Any, dtype: np.dtype, memory: np.ndarray) -> np.ndarray | None:
    if turn.place is None or turn.place < 0:
        return None
    end = turn.place + prod(turn.shape) * dtype.itemsize
    return memory[turn.place : end].view(dtype).reshape(turn.shape)
