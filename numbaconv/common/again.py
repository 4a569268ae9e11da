"""What a call does besides its kernels, noted for who makes all of it again with the same arrays.

A step of training is the same calls of kernels each time, and between them Python does little to the arrays: it clears
room for sums, brings weights into another order. Where it does so by the functions here, `models.written` and
`calls.written` can note all of it once, and then go through the list.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import local
from typing import Any

import numpy as np

from ..objects.tuples import NamedTuple

# Calls: a function, and its arguments.
Calls = list[tuple[Any, Any]]


class UnlikeError(Exception):
    """Values ask for other calls than those that were noted."""


class Notes(NamedTuple):
    """Calls of kernels and of the functions here in order, and those that are to come when all is done.

    ``fixed`` says that they are made again only while all weights are what they are.
    """

    calls: Calls
    ends: Calls
    fixed: bool


class _Noting(local):
    notes: Notes | None = None


_noting = _Noting()


@contextmanager
def noted(calls: Calls, fixed: bool = False) -> Iterator[Notes]:
    """Context whose calls are noted in a list, to which those of kernels are added meanwhile."""
    before, _noting.notes = _noting.notes, Notes(calls, [], fixed)
    try:
        yield _noting.notes
    finally:
        _noting.notes = before


def notes() -> Notes | None:
    """Those that are being taken in this thread, for any weights."""
    noting = _noting.notes
    return None if noting is None or noting.fixed else noting


def again(function: Callable[..., None], *args: Any) -> None:
    """Call a function that changes arrays, now and each time again."""
    if _noting.notes is None:
        function(*args)
    else:
        _as_one(partial(function, *args), function, args)


def repack(function: Callable[..., None], *args: Any) -> None:
    """`again` for what weights alone decide."""
    if notes() is None:
        function(*args)
    else:
        again(function, *args)


def remade(make: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """An array that is made of others, and gets its values anew each time."""
    if notes() is None:
        return make(*args, **named)
    made: list[np.ndarray] = []
    _as_one(lambda: made.append(make(*args, **named)), remake, (made, partial(make, *args, **named)))
    return made[0]


def at_end(function: Callable[..., None], *args: Any) -> None:
    """Call a function now, and again when all calls of a time have been made."""
    function(*args)
    if _noting.notes is not None:
        _noting.notes.ends.append((function, args))


def fill(array: np.ndarray, values: Any) -> None:
    """Give an array these values; those that its dtype does not hold become infinite."""
    with np.errstate(all="ignore"):
        array[...] = values


def remake(made: list[np.ndarray], make: Callable[[], Any]) -> None:
    """What is noted of `remade`: the array, in a list, and what gives its values anew."""
    made[0][...] = make()


def _as_one(call: Callable[[], None], function: Callable[..., None], args: Any) -> None:
    """Make a call, and note another one in its place; kernels that it calls are part of it."""
    noting = _noting.notes
    assert noting is not None
    count = len(noting.calls)
    call()
    noting.calls[count:] = [(function, args)]
