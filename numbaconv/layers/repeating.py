"""Calls that a layer remembers, written down once there were a few: see `calls.written`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..calls.written import written
from ..machine import threads
from .settings import Settled

# Input shapes that a layer remembers; a stream of ever new ones must not fill the memory.
MOST_CALLS = 256
# Calls for one shape, with the same weights, after which it is worth while to write them down.
MANY_CALLS = 4


class Repeating(Settled):
    """The part of `Layer` that remembers calls."""

    # Whether ``call`` runs kernels and nothing else that counts, the same ones for arrays of one shape.
    _repeats: Any = False
    # The prepared calls and the weights that all is for, and by shape what was written down, or how many calls there
    # were, or None where nothing can be written down.
    _written: tuple[Any, Any, dict[tuple[int, ...], Any]] = (None, None, {})
    activity_regularizer: Any
    call: Any

    def _write_down(self, x: np.ndarray) -> None:
        """Have calls on arrays like this one made without all that comes before a kernel, once there were a few."""
        calls, weights, known = self._written
        if calls is not self._calls or weights is not self._weights:
            # Read before what they lead to: another thread that changes something puts others there.
            calls, weights, known = self._calls, self._weights, {}
            self._written = calls, weights, known
        times = known.get(x.shape, 0)
        plain = self._own and self.activity_regularizer is None and x.size > 0 and x.flags.carray
        if type(times) is not int or not plain:
            return
        if times == 0 and len(known) >= MOST_CALLS:
            known.clear()
        known[x.shape] = times + 1 if times < MANY_CALLS else written(self.call, x)

    def _call_of(self, key: tuple[Any, ...], prepare: Callable[..., Any], *given: Any) -> Any:
        """What is prepared for this, once for as long as no setting changes."""
        # Another thread that changes a setting puts a new dict here.
        calls = self._calls
        call = calls.get(key)
        # What several threads share is made for their number, which may change.
        if call is not None and not getattr(call, "serial", True):
            key = key, threads.count()
            call = calls.get(key)
        if call is None:
            if len(calls) >= MOST_CALLS:
                calls.clear()
            call = calls[key] = prepare(*given)
        return call
