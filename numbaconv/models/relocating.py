"""Calls that are made again and again, with their arrays moved to one piece of memory.

While calls are noted each array has memory of its own. Most are needed from one call to another only, so that
afterwards those share memory that are never needed at once, as in `fused.arena`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..common.again import Calls
from ..common.arrays import address_of, ends_of
from ..machine.aligned import aligned_empty
from .fused.arena import Lifetime, laid_out

# Bytes of arrays that stay where they are.
SMALL = 64 * 1024


def relocated(calls: Calls, kept: Iterable[Any]) -> tuple[Calls, int]:
    """The same calls with other arrays, and the bytes of what these lie in.

    What is ``kept`` stays where it is: arrays, in lists or not, that are written or read elsewhere.
    """
    spans: dict[int, list[int]] = {}
    held = [*kept]
    for i, call in enumerate(calls):
        for array in _arrays(call):
            start, end = ends_of(array)
            first = spans.setdefault(id(_root(array)), [start, end, i, i])
            first[:] = min(start, first[0]), max(end, first[1]), first[2], i
        held += _hidden(call)
    stay = {id(_root(array)) for array in _arrays(tuple(held))}
    moved = {root: span for root, span in spans.items() if root not in stay and span[1] - span[0] > SMALL}
    places, size = laid_out(Lifetime(end - start, first, last) for start, end, first, last in moved.values())
    memory = aligned_empty((size,), np.uint8)
    shifts = {root: place - span[0] for (root, span), place in zip(moved.items(), places, strict=True)}
    mover = _Mover(memory, shifts)
    return [mover.moved(call) for call in calls], size


class _Mover:
    """What puts arrays in the place of others, in whatever holds them."""

    def __init__(self, memory: np.ndarray, shifts: dict[int, int]) -> None:
        self._memory, self._shifts = memory, shifts
        # Lists that several calls share are one list afterwards, too.
        self._lists: dict[int, tuple[Any, list[Any]]] = {}

    def moved(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            shift = self._shifts.get(id(_root(value)))
            if shift is None:
                return value
            return np.ndarray(value.shape, value.dtype, self._memory, address_of(value) + shift, value.strides)
        if type(value) is tuple:
            return tuple(map(self.moved, value))
        if type(value) is list:
            if id(value) not in self._lists:
                self._lists[id(value)] = value, [self.moved(one) for one in value]
            return self._lists[id(value)][1]
        if type(value) is partial:
            return partial(value.func, *map(self.moved, value.args), **value.keywords)
        if isinstance(getattr(value, "__self__", None), np.ndarray):
            return getattr(self.moved(value.__self__), value.__name__)
        return value


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """All that `_Mover` would move."""
    if isinstance(value, np.ndarray):
        yield value
    elif type(value) in (tuple, list):
        for one in value:
            yield from _arrays(one)
    elif type(value) is partial:
        yield from _arrays(value.args)
    elif isinstance(getattr(value, "__self__", None), np.ndarray):
        yield value.__self__


def _hidden(value: Any) -> list[Any]:
    """What objects among arguments hold, as packed weights do: there nobody would find other arrays."""
    if type(value) in (tuple, list):
        return [one for part in value for one in _hidden(part)]
    if type(value) is partial:
        return _hidden(value.args)
    if isinstance(value, tuple):
        return [*value]
    found = getattr(value, "__dict__", None) if not callable(value) else None
    return [tuple(one) if isinstance(one, tuple) else one for one in found.values()] if found else []


def _root(array: np.ndarray) -> np.ndarray:
    """The array whose memory it has."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
