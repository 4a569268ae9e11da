"""One piece of memory for all values between stages: those that are never there at once lie in the same place.

There stages find their arrays again in each call, and kernels the same arguments.
"""

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from math import prod
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ...common import again
from ...layers.settings import Changes
from ...machine import threads
from ...machine.aligned import aligned_empty, noted
from ...machine.compiler import door, recorded
from ...machine.vectors import CACHE_LINE
from ...objects.tuples import NamedTuple

# Shapes that a network remembers.
MOST_SHAPES = 64
# Memory that values may take to lie where threads wrote before, of the least.
MOST_MORE = 17 / 16
_weights_of = attrgetter("_weights")


class Lifetime(NamedTuple):
    """Bytes that are needed from one stage to another, both included."""

    size: int
    first: int
    last: int


def laid_out(lifetimes: Iterable[Lifetime]) -> tuple[list[int], int]:
    """Where each begins, in bytes, and how many there are in all.

    Threads deal a value out from its beginning to its end. Two threads find their halves of one in the halves that they
    had of another with the same middle: what another core has written comes from far, and is far for writing, too. That
    is worth a little more memory.
    """
    wanted = list(lifetimes)
    near, least = (_laid_out(wanted, middles) for middles in (True, False))
    return near if near[1] <= least[1] * MOST_MORE else least


def _laid_out(wanted: list[Lifetime], middles: bool) -> tuple[list[int], int]:
    """The largest ones choose first, be it the middle of one before or the first place."""
    places = [0] * len(wanted)
    done: list[int] = []
    for i in sorted(range(len(wanted)), key=lambda i: -wanted[i].size):
        size, first, last = wanted[i]
        beside = [j for j in done if wanted[j].first <= last and first <= wanted[j].last]
        taken = sorted((places[j], places[j] + wanted[j].size) for j in beside)
        inner = (places[j] + (wanted[j].size - size) // 2 // CACHE_LINE * CACHE_LINE for j in done if middles)
        for start in dict.fromkeys(inner):
            if all(start + size <= at or end <= start for at, end in taken):
                break
        else:
            start = 0
            for at, end in taken:
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
    first one may read weights as they lie, and hold until a weight changes. Where a turn reads an input of the network,
    they are written down but for that array. Its steps are, for each turn, itself, the array for its result, or None,
    and the calls that are all it does, or None.
    """

    def __init__(self, runner: Any, memory: np.ndarray) -> None:
        self.runner = runner
        dtype = runner.dtype
        self._arrays = [_array(turn.place, turn.shape, dtype, memory) for turn in runner.turns]
        rooms = [(turn, turn.between) for turn in runner.turns if turn.between]
        self._between = {id(turn): _array(place, (count,), dtype, memory) for turn, (place, count) in rooms}
        self.forget()

    def forget(self) -> None:
        """Begin anew: weights have changed."""
        self._runs, self._alone = 0, False
        # The weights that they are for, and what said that none had been replaced.
        self._held: list[Any] = []
        self._seen: Any = None
        # Values that always lie in the same place.
        self._fixed: dict[int, np.ndarray] = {}
        self._calls: dict[int, list[Any]] = {}
        # Arrays of arguments in which an input has to be filled in: the arguments, where, which slot, and what shape.
        self._open: list[tuple[list[Any], int, int, tuple[int, ...]]] = []
        turns = zip(self.runner.turns, self._arrays, strict=True)
        self.steps: list[tuple[Any, Any, Any]] = [(turn, out, None) for turn, out in turns]
        self._found: list[Any] = [None] * self.runner.slots

    def changed(self) -> bool:
        """Whether calls that were written down are for other weights or threads than now."""
        if self._runs < 2 or (Changes.weights is self._seen and threads.alone is self._alone):
            return False
        seen, weights = Changes.weights, map(_weights_of, self.runner.layers)
        if threads.alone is self._alone and all(map(is_, weights, self._held)):
            self._seen = seen
            return False
        return True

    def begun(self) -> list[Any]:
        """All values of a run that begins, by slot, as far as they are known."""
        if self._runs == 1:
            self._seen, self._alone = Changes.weights, threads.alone
            self._held = [*map(_weights_of, self.runner.layers)]
        return self._found.copy()

    def result(self, turn: Any, out: Any, values: list[Any]) -> Any:
        """What a turn gives; in the second run, its calls are written down where they will be the same."""
        fixed, view = self._fixed, turn.stage.kind == "view"
        run = partial(turn.run, between=self._between[id(turn)]) if turn.between else turn.run
        if self._runs != 1:
            result, place = run(out, *values), fixed.get(turn.outputs[0])
            if place is None or place is result:
                return result
            # Others have written down where they read it.
            np.copyto(place, result)
            return place
        with noted() as rooms, recorded() as calls, again.noted(calls, fixed=True):
            result = run(out, *values)
        others = [(slot, x) for slot, x in zip(turn.inputs, values, strict=True) if fixed.get(slot) is not x]
        if (view and not others) or (result is out and turn.place >= 0):
            fixed[turn.outputs[0]] = result
            if view or turn.steady:
                cleared = [(room.fill, (False,)) for room in rooms if room.dtype == np.bool_]
                written = cleared + [(door(kernel, arguments), arguments) for kernel, arguments in calls]
                if not others or self._left_open(written, others):
                    self._calls[id(turn)] = written
        return result

    def _left_open(self, calls: list[Any], others: list[tuple[int, np.ndarray]]) -> bool:
        """Have calls wait for the input of the network that they read; False where they read something else besides."""
        ((slot, x), *more), found = others, []
        if more or slot not in self.runner.entries:
            return False
        for number, (kernel, arguments) in enumerate(calls):
            held = [*arguments]
            for i, argument in enumerate(arguments):
                if _reads(argument, x):
                    if not (_is_plain(x, x.dtype) and _is_all_of(argument, x)):
                        return False
                    found.append((held, i, slot, argument.shape))
            calls[number] = kernel, held
        # Of two that lie there, one may be something else.
        if len({id(held) for held, *_ in found}) != len(found):
            return False
        self._open += found
        return True

    def entered(self, found: list[Any]) -> list[tuple[Any, Any, Any]]:
        """The steps of a run with these inputs."""
        if all(_is_plain(found[slot], self.runner.dtype) for _, _, slot, _ in self._open):
            for arguments, i, slot, shape in self._open:
                arguments[i] = found[slot].reshape(shape)
            return self.steps
        apart = self.runner.entries.isdisjoint
        return [(turn, out, calls if apart(turn.inputs) else None) for turn, out, calls in self.steps]

    def ended(self) -> None:
        """A run has come to its end."""
        for arguments, i, *_ in self._open:
            # Inputs are the caller's.
            arguments[i] = None
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


def _reads(argument: Any, x: np.ndarray) -> bool:
    """Whether an argument of a kernel is an array in the memory of ``x``, or holds one."""
    if isinstance(argument, tuple):
        return any(_reads(one, x) for one in argument)
    return isinstance(argument, np.ndarray) and np.may_share_memory(argument, x)


def _is_all_of(argument: Any, x: np.ndarray) -> bool:
    """Whether an argument is the same array in another shape."""
    alike = _is_plain(argument, x.dtype) and argument.size == x.size
    return alike and argument.__array_interface__["data"] == x.__array_interface__["data"]


def _is_plain(x: Any, dtype: np.dtype) -> bool:
    """Whether kernels take an array as they take those of the arena."""
    return type(x) is np.ndarray and x.dtype == dtype and x.flags.carray


def _array(place: int | None, shape: tuple[int, ...], dtype: np.dtype, memory: np.ndarray) -> np.ndarray | None:
    if place is None or place < 0:
        return None
    return memory[place : place + prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
