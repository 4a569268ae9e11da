"""Calls written down: what a layer's steps in Python come to, once they are known, as one function.

A small kernel takes 2 us, and the dozen functions that choose it and its arguments four times as long; after a kernel
that has filled the L2 cache, from which they are gone then, they take twenty times as long. For one shape and the same
weights they always choose the same, and for the same number of threads, where several share a kernel. So two calls are
recorded: an argument is the input, memory that they asked for, or a constant, which both have in common. The function
is made of this, a line a kernel:

    def written(x):
        if spread() != 2: return None
        m0 = aligned_empty((1, 1, 56, 56, 8), c0, 100416)
        c1(c2, x.reshape((1, 1, 56, 56, 8)), c3, c4, m0.reshape((25088,)), c5, c6)
        return m0.reshape((1, 56, 56, 8))

Of a layer's `forward` and `backward` the weights are inputs, too, since training changes them each time: to pack them
is part of what is written down.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from ..common.again import Calls, UnlikeError, remake
from ..common.again import noted as noted_calls
from ..common.arrays import address_of, ends_of
from ..machine.aligned import aligned_empty, noted, room_of
from ..machine.compiler import door, recorded
from ..machine.threads import spread
from ..machine.vectors import CACHE_LINE
from ..objects.tuples import NamedTuple

Call = Callable[..., Any]
# Values of an input and of the memory for it, from which on kernels take so long that nothing else counts.
MOST_VALUES = 2**24


class Step(NamedTuple):
    """A layer's way forward and back for inputs of one shape.

    ``forward(layer, x, *weights)`` gives the result and what ``backward(kept, grad_out, x, *weights)`` needs of it,
    which gives the gradient of the input and a list of those of the weights. Both return None where there are
    other threads than there were, and raise UnlikeError where values ask for other kernels.
    """

    forward: Call
    backward: Call
    # Whether that of the input was wanted.
    input_grad: bool


class _Run(NamedTuple):
    """What was done: calls in order, those at the end, and memory that was asked for."""

    calls: Calls
    ends: Calls
    rooms: list[np.ndarray]


@contextmanager
def _watched(fixed: bool = False) -> Iterator[_Run]:
    with recorded() as calls, noted_calls(calls, fixed) as notes, noted() as rooms:
        yield _Run(calls, notes.ends, rooms)


def written(call: Call, x: np.ndarray) -> Call | None:
    """A function that does for arrays like ``x`` what ``call`` does, by kernels and what is noted; None if it cannot.

    Those are arrays of its shape and dtype whose flag ``carray`` is set. Where the function finds another number of
    threads than there is now, it does nothing and returns None. It is tried in memory that begins as NaN.
    """
    runs = []
    try:
        for _ in range(2):
            with _watched(fixed=True) as run:
                out = call(x)
            _must(bool(run.calls) and not run.ends and x.size + sum(room.size for room in run.rooms) < MOST_VALUES)
            runs.append(run)
        before, now = runs
        text = _Text({"x": x}, now.rooms)
        text.tell(before.calls, now.calls)
        result = text.result(out)
        _must(result[0] == "m")
        text.names.update(empty=_poisoned, aligned_empty=_poisoned)
        (function,) = text.functions(f"def written(x):{_guard(now)}{text.lines(text.taken())}\n return {result}")
        _must(_alike([out], [function(x)]))
    except (UnlikeError, MemoryError):
        return None
    text.names.update(empty=np.empty, aligned_empty=aligned_empty)
    return function


def written_step(
    owner: Any,
    forward: Callable[..., tuple[np.ndarray, Any]],
    backward: Callable[[Any, np.ndarray], Sequence[Any]],
    drawn: Callable[[], tuple[np.ndarray, list[np.ndarray], np.ndarray]],
) -> Step | None:
    """A layer's way forward and back, given functions that are it, and one that draws an input, weights and a gradient.

    It is tried on other values, in memory that begins as NaN; None where a single bit differs, or it cannot be written
    down. ``owner`` stands for the layer.
    """
    runs = []
    try:
        for _ in range(2):
            x, weights, grad = drawn()
            with _watched() as there:
                out, kept = forward(x, weights)
            with _watched() as back:
                results = backward(kept, grad)
            runs.append((there, back))
        text = _Text(_named(x, weights), [*there.rooms, *back.rooms])
        step = _step(text, owner, runs, (out, grad, results))
        text.names.update(empty=_poisoned, aligned_empty=_poisoned)
        x, weights, grad = drawn()
        found, kept = step.forward(owner, x, *weights)
        grad_x, gradients = step.backward(kept, grad, x, *weights)
        out, kept = forward(x, weights)
        _must(_alike([out, *backward(kept, grad)], [found, grad_x, *gradients]))
    except (UnlikeError, MemoryError):
        return None
    text.names.update(empty=np.empty, aligned_empty=aligned_empty)
    return step


def _step(text: "_Text", owner: Any, runs: list[tuple[_Run, _Run]], arrays: tuple[Any, Any, Any]) -> Step:
    """The functions, from two runs and what the second one took and gave."""
    (before, before_back), (there, back) = runs
    out, grad, results = arrays
    given = list(text.arrays)
    text.owner = owner
    text.tell(before.calls, there.calls)
    text.tell(before.ends, there.ends)
    inputs, result, forward = ", ".join(given), text.result(out), text.taken()
    made, text.used = text.arrays.keys() - set(given), set()
    text.add("g", grad)
    text.tell(before_back.calls, back.calls)
    _must(not back.ends)
    grad_x, *gradients = map(text.result, results)
    text.owner = None
    kept = "".join(f"{name}, " for name in sorted(made & text.used))
    text.lasting |= made & text.used
    parts = [f"def forward(layer, {inputs}):{_guard(there, back)}{text.lines(forward)}\n return {result}, ({kept})\n"]
    parts.append(f"def backward(kept, g, {inputs}):{_guard(back)}{kept and f'{chr(10)} {kept}= kept'}")
    parts.append(f"{text.lines(text.taken())}\n return {grad_x}, [{', '.join(gradients)}]")
    forth, returns = text.functions("".join(parts))
    return Step(forth, returns, grad_x != "None")


def _poisoned(shape: tuple[int, ...], dtype: np.dtype, room: int = 0) -> np.ndarray:
    """Memory that begins as NaN, or as -1."""
    made = np.empty(shape, dtype)
    made.reshape(-1).view(np.uint8).fill(255)
    return made


def _named(x: np.ndarray, weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {"x": x, **{f"w{i}": w for i, w in enumerate(weights)}}


def _guard(*runs: _Run) -> str:
    """A line by which functions refuse another number of threads; none where one thread computes all."""
    alone = not any(arguments and arguments[0] is False for run in runs for _, arguments in run.calls)
    return "" if alone else f"\n if spread() != {spread()}: return None"


class _Text:
    """The text of calls, and what its names mean: inputs, results, memory without values, and constants."""

    def __init__(self, inputs: dict[str, np.ndarray], rooms: list[np.ndarray]) -> None:
        self.names: dict[str, Any] = {"empty": np.empty, "aligned_empty": aligned_empty}
        self.names |= {"zeros": np.zeros, "ndarray": np.ndarray, "errstate": np.errstate, "spread": spread}
        self.arrays: dict[str, tuple[np.ndarray, tuple[int, int]]] = {}
        self.used: set[str] = set()
        # What is returned.
        self.lasting: set[str] = set()
        self.owner: Any = None
        # A line, or memory of this name that is to be asked for.
        self._lines: list[str | tuple[str, np.ndarray]] = []
        for name, array in inputs.items():
            self.add(name, array)
        # Those that nothing was seen to use so far.
        self._rooms = [(array, ends_of(array)) for array in rooms]

    def add(self, name: str, array: np.ndarray) -> None:
        """Have an array called by a name."""
        _must(array.flags.c_contiguous)
        self.arrays[name] = array, ends_of(array)

    def tell(self, before: Calls, now: Calls) -> None:
        """Add the calls ``now``, where those ``before`` have the same constants."""
        _must(len(before) == len(now))
        for (other, others), (function, arguments) in zip(before, now, strict=True):
            if function is remake is other:
                ((array,), make), (_, likewise) = arguments, others
                made = ends_of(array)
                # What it was made in.
                self._rooms = [(room, place) for room, place in self._rooms if not _meet(place, made)]
                line = self._called((likewise.func, likewise.args), (make.func, make.args), make.keywords)
                _must(likewise.keywords == make.keywords)
                name = f"m{len(self.arrays)}"
                self.add(name, array)
                self._lines.append(f"with errstate(all='ignore'): {name} = {line}")
            else:
                self._lines.append(self._called((other, others), (function, arguments)))

    def taken(self) -> list[Any]:
        """What was added since this was asked for the last time."""
        lines, self._lines = self._lines, []
        return lines

    def lines(self, taken: list[Any]) -> str:
        """The text of that; large memory that nothing returned lies in is asked for at once."""
        lines, size = [""], 0
        for one in taken:
            if type(one) is str:
                lines.append(one)
                continue
            name, whole = one
            shape, dtype, room = whole.shape, self._constant(whole.dtype), room_of(whole.shape, whole.dtype)
            if whole.dtype == np.bool_ or not room:
                lines.append(f"{name} = {'zeros' if whole.dtype == np.bool_ else 'empty'}({shape}, {dtype})")
            elif name in self.lasting:
                lines.append(f"{name} = aligned_empty({shape}, {dtype}, {room})")
            else:
                lines.append(f"{name} = ndarray({shape}, {dtype}, m, {size})")
                size += -(-whole.nbytes // CACHE_LINE) * CACHE_LINE
        if size:
            dtype, room = self._constant(np.dtype(np.uint8)), room_of((size,), np.uint8)
            lines.insert(1, f"m = aligned_empty(({size},), {dtype}, {room})")
        return "\n ".join(lines)

    def functions(self, text: str) -> list[Call]:
        """The functions of a text."""
        known = {*self.names, "__builtins__"}
        exec(_compiled(text), self.names)
        # Left among their own names, they and the arrays there would wait for the collector of circles.
        return [self.names.pop(name) for name in [*self.names] if name not in known]

    def _called(self, before: tuple[Any, Any], now: tuple[Any, Any], named: Any = None) -> str:
        (other, others), (function, arguments) = before, now
        _must(len(others) == len(arguments))
        told = [self.told(*pair) for pair in zip(others, arguments, strict=True)]
        told += [f"{name}={self._constant(value)}" for name, value in (named or {}).items()]
        of, other_of = (getattr(one, "__self__", None) for one in (function, other))
        if isinstance(of, np.ndarray) and isinstance(other_of, np.ndarray):
            called = f"{self.told(other_of, of)}.{function.__name__}"
        elif of is not None and of is self.owner is other_of:
            called = f"layer.{function.__name__}"
        else:
            _must(other == function)
            called = self._constant(door(function, arguments))
            if arguments and arguments[0] is False and spread() == 1:
                # For one thread to launch itself would take longer than a small kernel.
                told[0] = "True"
        return f"{called}({', '.join(told)})"

    def told(self, before: Any, now: Any) -> str:
        """A value as it is written down."""
        _must(type(before) is type(now))
        if isinstance(now, tuple):
            _must(len(before) == len(now))
            inner = [self.told(*pair) for pair in zip(before, now, strict=True)]
            if all(one in self.names for one in inner):
                return self._constant(now)
            return f"{'' if type(now) is tuple else self._constant(type(now))}({''.join(f'{one}, ' for one in inner)})"
        if type(now) is list and now is not before:
            _must(len(before) == len(now))
            return f"[{', '.join(self.told(*pair) for pair in zip(before, now, strict=True))}]"
        if not isinstance(now, np.ndarray):
            _must(before is now or before == now)
            return str(now) if now is True or now is None else self._constant(now)
        view = self.view(now)
        if view is None:
            _must((ends_of(before), before.strides) == (ends_of(now), now.strides) or now.size == before.size == 0)
            return self._constant(now)
        return view

    def result(self, array: np.ndarray | None) -> str:
        """One of the results as it is written down."""
        before, self.used = self.used, set()
        view = "None" if array is None else self.view(array)
        _must(view is not None)
        self.lasting |= self.used
        self.used |= before
        return str(view)

    def view(self, array: np.ndarray) -> str | None:
        """An array in the memory of another one that has a name, or gets one now; None if it is elsewhere."""
        place = ends_of(array)
        for name, (whole, room) in self.arrays.items():
            if _meet(place, room):
                self.used.add(name)
                return self._part(array, place, name, whole, room)
        for i, (whole, room) in enumerate(self._rooms):
            if _meet(place, room):
                name = f"m{len(self.arrays)}"
                self._lines.append((name, whole))
                self.add(name, whole)
                del self._rooms[i]
                return self.view(array)
        return None

    def _part(
        self, array: np.ndarray, place: tuple[int, int], name: str, whole: np.ndarray, room: tuple[int, int]
    ) -> str:
        (first, last), (start, end) = room, place
        _must(array.dtype == whole.dtype and first <= start and end <= last)
        if not array.flags.c_contiguous:
            at = address_of(array) - first
            return f"ndarray({array.shape}, {self._constant(array.dtype)}, {name}, {at}, {array.strides})"
        if place == room:
            return name if array.shape == whole.shape else f"{name}.reshape({array.shape})"
        begin = (start - first) // array.itemsize
        part = f"{name if whole.ndim == 1 else f'{name}.reshape(-1)'}[{begin}:{begin + array.size}]"
        return part if array.ndim == 1 else f"{part}.reshape({array.shape})"

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name


def _meet(place: tuple[int, int], other: tuple[int, int]) -> bool:
    return place[0] < other[1] and other[0] < place[1]


def _alike(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether these are the same arrays, bit for bit, or None in the same places."""

    def told(array: Any) -> Any:
        return array if array is None else (array.shape, array.dtype, array.flags.carray, array.tobytes())

    return list(map(told, some)) == list(map(told, others))


def _must(alike: bool) -> None:
    if not alike:
        raise UnlikeError


@lru_cache(maxsize=512)
def _compiled(text: str) -> Any:
    return compile(text, "<written>", "exec")
