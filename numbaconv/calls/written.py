"""Calls written down: what a layer's steps in Python come to, once they are known, as one function.

A small kernel takes 2 us, and the dozen functions that choose it and its arguments four times as long; after a kernel
that has filled the L2 cache, from which they are gone then, they take twenty times as long. For one shape and the same
weights they always choose the same, and for the same number of threads, where several share a kernel. So two calls are
recorded: an argument is the input, memory that they asked for, or a constant, which both have in common. The function
is made of this, a line a kernel:

    def written(x):
        if spread() != 2:
            return None
        m0 = aligned_empty((1, 1, 56, 56, 8), dtype)
        k0(False, x.reshape((1, 1, 56, 56, 8)), c0, c1, m0.reshape((25088,)), c2, c3)
        return m0.reshape((1, 56, 56, 8))
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..common import again
from ..common.again import UnlikeError
from ..machine.aligned import SMALL, aligned_empty, noted
from ..machine.compiler import door, recorded
from ..machine.threads import spread

Call = Callable[[np.ndarray], np.ndarray | None]
# Values of an input and of the memory for it, from which on kernels take so long that nothing else counts.
MOST_VALUES = 2**24


def written(call: Call, x: np.ndarray) -> Call | None:
    """A function that does for arrays like ``x`` what ``call`` does, by kernels and what is noted; None if it cannot.

    Those are arrays of its shape and dtype whose flag ``carray`` is set. Where the function finds another number of
    threads than there is now, it does nothing and returns None.
    """
    runs: list[Any] = []
    try:
        for _ in range(2):
            with recorded() as steps, again.noted(steps, fixed=True) as notes, noted() as rooms:
                out = call(x)
            _must(bool(steps) and not notes.ends and x.size + sum(room.size for room in rooms) < MOST_VALUES)
            runs.append((steps, rooms, out))
        (before, _, _), (now, rooms, out) = runs
        _must([kernel for kernel, _ in before] == [kernel for kernel, _ in now])
        return _Text([x], rooms).function(before, now, out)
    except UnlikeError:
        return None


class _Text:
    """The text of a call, and what its names mean: inputs, and arrays that are memory without values."""

    def __init__(self, inputs: list[np.ndarray], rooms: list[np.ndarray]) -> None:
        self.names: dict[str, Any] = {"empty": np.empty, "aligned_empty": aligned_empty, "zeros": np.zeros}
        self.names |= {"dtype": inputs[0].dtype, "spread": spread}
        self.inputs = {name: (array, _place(array)) for name, array in zip("x", inputs, strict=True)}
        self.rooms = {f"m{i}": (array, _place(array)) for i, array in enumerate(rooms)}

    def function(self, before: list[Any], now: list[Any], out: np.ndarray) -> Call:
        """The calls ``now`` as a function, where those ``before`` have the same constants."""
        lines = [*map(self._asked, self.rooms)]
        for i, ((_, others), (kernel, arguments)) in enumerate(zip(before, now, strict=True)):
            self.names[f"k{i}"] = door(kernel, arguments)
            lines.append(f"    k{i}({', '.join(map(self._told, others, arguments))})")
        result = self._view(out)
        _must(result is not None and result[0] == "m")
        # What one thread computes does not ask how many there are.
        if not all(arguments[0] is True for _, arguments in now):
            lines.insert(0, f"    if spread() != {spread()}:\n        return None")
        text = "\n".join([f"def written({', '.join(self.inputs)}):", *lines, f"    return {result}"])
        exec(_compiled(text), self.names)
        call: Call = self.names["written"]
        return call

    def _asked(self, name: str) -> str:
        array, _ = self.rooms[name]
        if array.dtype == np.bool_:
            return f"    {name} = zeros({array.shape}, bool)"
        _must(array.dtype is self.names["dtype"])
        return f"    {name} = {'empty' if array.size < SMALL else 'aligned_empty'}({array.shape}, dtype)"

    def _told(self, before: Any, now: Any) -> str:
        """An argument as it is written down."""
        _must(type(before) is type(now))
        if isinstance(now, tuple):
            _must(len(before) == len(now))
            inner = [self._told(*pair) for pair in zip(before, now, strict=True)]
            if all(one in self.names for one in inner):
                return self._constant(now)
            return f"{'' if type(now) is tuple else self._constant(type(now))}({''.join(f'{one}, ' for one in inner)})"
        if not isinstance(now, np.ndarray):
            # Lists of arrays cannot be compared.
            _must(before is now or (type(now) is not list and before == now))
            return "True" if now is True else self._constant(now)
        view = self._view(now)
        if view is None:
            _must((_place(before), before.strides) == (_place(now), now.strides) or now.size == 0)
            return self._constant(now)
        return view

    def _view(self, array: np.ndarray) -> str | None:
        """An array in the memory of another one that has a name; None if it is elsewhere."""
        start, end = place = _place(array)
        for name, (whole, (first, last)) in {**self.inputs, **self.rooms}.items():
            if start < last and first < end:
                _must(array.dtype is whole.dtype and array.flags.c_contiguous and first <= start and end <= last)
                if place == (first, last):
                    return name if array.shape == whole.shape else f"{name}.reshape({array.shape})"
                begin = (start - first) // array.itemsize
                return f"{name}.reshape(-1)[{begin}:{begin + array.size}].reshape({array.shape})"
        return None

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name


def _place(array: np.ndarray) -> tuple[int, int]:
    """Addresses of the first byte of an array and of the one behind its last."""
    start = array.__array_interface__["data"][0]
    return start, start + array.nbytes


def _must(alike: bool) -> None:
    if not alike:
        raise UnlikeError


@lru_cache(maxsize=512)
def _compiled(text: str) -> Any:
    return compile(text, "<written>", "exec")
