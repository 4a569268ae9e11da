"""Calls that a layer remembers, written down once there were a few: see `calls.written`."""

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from math import prod
from typing import Any

import numpy as np

from ..calls.layouts import contiguous
from ..calls.written import Step, written, written_step
from ..common.again import UnlikeError
from ..common.arrays import as_numbers, cast
from ..machine import threads
from ..objects.tuples import NamedTuple
from .settings import Settled

# Input shapes that a layer remembers; a stream of ever new ones must not fill the memory.
MOST_CALLS = 256
# Calls for one shape, with the same weights, after which it is worth while to write them down; the more often weights
# were replaced after that, the more, to this number.
MANY_CALLS, MOST_NEEDED = 4, 64
# The same for steps, forward and back; and values of an array, and weights, of larger ones. Kernels take nearly all of
# their time, and weights that stay as they are had better not be packed each time.
MANY_STEPS, MOST_VALUES, MOST_WEIGHTS = 6, 2**20, 2**18


class _Kept(NamedTuple):
    """What is kept of a forward that was written down: what its way back needs, and the weights that it had."""

    step: Step
    between: tuple[Any, ...]
    x: np.ndarray
    shape: tuple[int, ...]
    calls: Any
    weights: dict[str, np.ndarray]


class Repeating(Settled):
    """The part of `Layer` that remembers calls."""

    # Whether ``call``, and forward and backward, do no more to arrays than kernels do and what is noted, the same for
    # one shape.
    _repeats: Any = False
    # The prepared calls and the weights that all is for, and by shape what was written down, or how many calls there
    # were, or None where nothing can be written down.
    _written: tuple[Any, Any, dict[tuple[int, ...], Any]] = (None, None, {})
    # Calls that are needed for that.
    _many: int = MANY_CALLS
    # The prepared calls that all is for, and by shape the `Step`, or how many there were, or None as above.
    _steps: tuple[Any, dict[tuple[int, ...], Any]] = (None, {})
    activity_regularizer: Any
    call: Any

    def _write_down(self, x: np.ndarray) -> None:
        """Have calls on arrays like this one made without all that comes before a kernel, once there were a few."""
        calls, weights, known = self._written
        if calls is not self._calls or weights is not self._weights:
            if calls is not self._calls and calls is not None:
                self._many = MANY_CALLS
            # Read before what they lead to: another thread that changes something puts others there.
            calls, weights, known = self._calls, self._weights, {}
            self._written = calls, weights, known
        times = known.get(x.shape, 0)
        plain = self._own and self.activity_regularizer is None and x.size > 0 and x.flags.carray
        if type(times) is not int or not plain:
            return
        if times == 0 and len(known) >= MOST_CALLS:
            known.clear()
        known[x.shape] = times + 1 if times < self._many else written(self.call, x)

    def _forget_written(self) -> None:
        """Let go of what was written down for weights that are replaced."""
        if any(map(callable, self._written[2].values())):
            self._many = min(2 * self._many, MOST_NEEDED)
        vars(self).pop("_written", None)

    def _forward_again(self, x: Any) -> np.ndarray | None:
        calls, known = self._steps
        if calls is not self._calls or type(x) is not np.ndarray:
            return None
        step, weights = known.get(x.shape), self._weights
        if step.__class__ is not Step or x.dtype != self._dtype or not x.flags.carray:
            return None
        found = None
        with suppress(UnlikeError):
            found = step.forward(self, x, *weights.values())
        if found is None:
            return None
        out, between = found
        vars(self)["_kept"] = _Kept(step, between, x, out.shape, calls, weights)
        return out

    def _backward_again(self, grad_out: Any, input_grad: bool) -> tuple[Any] | None:
        kept = self._kept
        if kept.__class__ is not _Kept:
            return None
        step, between, x, shape, calls, weights = kept
        if type(grad_out) is not np.ndarray or grad_out.dtype != self._dtype:
            grad_out = cast(as_numbers(grad_out, "grad_out"), self._dtype)
        same = calls is self._calls and (weights is self._weights or not self._changed_since(weights))
        able = step.input_grad or not input_grad
        if same and grad_out.shape == shape and able:
            found = None
            with suppress(UnlikeError):
                found = step.backward(between, contiguous(grad_out), x, *weights.values())
            if found is not None:
                vars(self).update(_kept=None, gradients=found[1])
                return (found[0] if input_grad else None,)
        if same and not able:
            # From now on one that serves both.
            self._steps[1][x.shape] = self._written_step(x.shape, True)
        # By a copy: the statistics have followed already.
        _, plain = copy(self)._forward(x)
        self._kept = shape, plain, None, x.shape, (calls, weights), None
        return None

    def _write_step(self, x_shape: Any, input_grad: bool) -> None:
        calls, known = self._steps
        if calls is not self._calls:
            calls, known = self._calls, {}
            self._steps = calls, known
        times = known.get(x_shape, 0) if self._own and type(x_shape) is tuple else None
        if type(times) is not int:
            return
        if times == 0 and len(known) >= MOST_CALLS:
            known.clear()
        known[x_shape] = times + 1 if times < MANY_STEPS else self._written_step(x_shape, input_grad)

    def _written_step(self, x_shape: tuple[int, ...], input_grad: bool) -> Step | None:
        """What later steps do for inputs of this shape."""
        shape, sizes = self.compute_output_shape(x_shape), {name: w.shape for name, w in self._weights.items()}
        large = sum(map(prod, sizes.values())) > MOST_WEIGHTS or not 0 < max(prod(x_shape), prod(shape)) <= MOST_VALUES
        penalties = [self.activity_regularizer, *(self._component(name, "regularizer") for name in self._trained)]
        if large or any(one is not None for one in penalties) or not self._repeats:
            return None
        shadow, rng, trained = copy(self), np.random.default_rng(0), set(self._trained)

        def drawn() -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
            x, grad, *weights = (
                rng.standard_normal(size).astype(self._dtype) for size in (x_shape, shape, *sizes.values())
            )
            return x, weights, grad

        def forward(x: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, Any]:
            vars(shadow)["_weights"] = dict(zip(sizes, weights, strict=True))
            return shadow._forward(x)

        def backward(kept: Any, grad: np.ndarray) -> list[np.ndarray | None]:
            grad_x, found = shadow._backward(kept, grad, input_grad)
            return [grad_x, *(found[name] if name in trained else None for name in sizes)]

        return written_step(shadow, forward, backward, drawn)

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
