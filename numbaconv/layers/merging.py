"""Layers that make one array of several, value by value: sums, products, means, extremes."""

from collections.abc import Callable, Collection, Sequence
from functools import reduce
from itertools import accumulate
from operator import mul
from typing import Any, ClassVar

import numpy as np

from .. import activations, shapes
from ..calls.layouts import Pair, added
from ..common.arguments import as_numbers, cast
from ..graph.operation import Gradients, is_shape
from ..shapes import Shape
from .activation import activation_grad, joins_relu
from .base import Layer


class Merge(Layer):
    """A layer of a list of arrays, which may differ in sizes of 1: these are repeated."""

    supports_masking = True
    # How many arrays there have to be.
    _least: ClassVar[int] = 1
    _most: ClassVar[int | None] = None
    input_shape: Any

    # -- what a kind of merging defines ----------------------------------------------------------------------------

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        """The result for arrays of as many axes."""
        raise NotImplementedError

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        """The gradients of these arrays, of the shape of ``grad_out`` where they were repeated."""
        raise NotImplementedError

    def _merged_shape(self, given: list[Shape]) -> Shape:
        full = [_filled(shape, max(map(len, given))) for shape in given]
        return tuple(self._size(sizes, given) for sizes in zip(*full, strict=True))

    def _size(self, sizes: Sequence[int | None], given: list[Shape]) -> int | None:
        known = {n for n in sizes if n not in (1, None)}
        if len(known) > 1:
            raise ValueError(f"input_shape must be shapes that are equal but for sizes of 1, got {given}")
        if known:
            return known.pop()
        return None if None in sizes else 1

    # -- what a layer defines --------------------------------------------------------------------------------------

    def _output_shape(self, input_shape: Any) -> Shape:
        return self._merged_shape(input_shape)

    def _checked_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, list | tuple) or is_shape(input_shape):
            raise ValueError(f"input_shape must be a list of shapes, one for each input, got {input_shape!r}")
        self._check_count(len(input_shape), "input_shape must be a list of {} shapes")
        return [shapes.normalize_shape(one, f"input_shape[{i}]") for i, one in enumerate(input_shape)]

    def _channels_of(self, shape: Any) -> int | None:
        return None

    def _ready(self, x: Any) -> Any:
        if not isinstance(x, list | tuple):
            raise TypeError(f"x must be a list of arrays, got {type(x).__name__}")
        self._check_count(len(x), "x must be a list of {} arrays")
        xs = [cast(as_numbers(one, f"x[{i}]"), self._dtype) for i, one in enumerate(x)]
        given: Any = [one.shape for one in xs]
        if self.built:
            # Shapes that fit once fit always: checked one by one, they would take longer than a small sum.
            self._call_of(tuple(given), self._fitting, given)
        else:
            self.build(given)
        return xs

    def _fitting(self, given: list[Shape]) -> Shape:
        with self._named():
            return self._merged_shape(self._checked_shape(given))

    def call(self, x: list[np.ndarray]) -> np.ndarray:  # type: ignore[override]
        """Compute the layer on a list of arrays of its dtype."""
        if not isinstance(x, list) or any(getattr(one, "dtype", None) != self._dtype for one in x):
            raise TypeError(f"x must be a list of ndarrays of dtype {self.dtype} for call, got {x!r}")
        out = np.ascontiguousarray(self._merged(_same_rank(x)))
        return out.copy() if any(np.may_share_memory(out, one) for one in x) else out

    def _forward(self, x: list[np.ndarray]) -> tuple[np.ndarray, Any]:
        return np.ascontiguousarray(self._merged(_same_rank(x))), x

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        parts = self._parts(_same_rank(kept), grad_out)
        return [_summed(part, x.shape) for part, x in zip(parts, kept, strict=True)]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where one of the masks says that a step counts; None, which is everywhere, where one of them is None."""
        if mask is None or any(one is None for one in mask):
            return None
        return reduce(np.logical_or, mask)

    def _whole_axes(self, count: int) -> Collection[int]:
        return ()

    def _explained(self, input_shape: Any) -> str:
        after = self.compute_output_shape(input_shape)
        before = " and ".join(str(tuple(shape)) for shape in input_shape)
        return f"{type(self).__name__} turns {before} into {after}.\n{self._why()}."

    def _why(self) -> str:
        return "values at the same place give one; sizes of 1 are repeated"

    def _check_count(self, count: int, message: str) -> None:
        if count < self._least or (self._most is not None and count > self._most):
            raise ValueError(message.format(self._most or f"at least {self._least}") + f", got {count}")


class Add(Merge):
    """The sum of several arrays (Keras's ``Add``): ``out = x[0] + x[1] + ...``.

    Notes
    -----
    Input a list of arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    _adds = True

    def _takes_in(self, follower: Any) -> bool:
        return joins_relu(self, follower)

    def _computed(self, out: np.ndarray) -> Any:
        # The sum of two, and relu of it.
        shape, _, *others = super()._computed(out)
        return shape, ([out, out], out), *others

    def _forward(self, x: list[np.ndarray], joined: bool = False) -> tuple[np.ndarray, Any]:
        if not joined:
            return super()._forward(x)
        *xs, last = _same_rank(x)
        out = np.ascontiguousarray(added(reduce(added, xs), last, 0.0) if xs else activations.relu(last))
        return out, (x, out)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        if isinstance(kept, tuple):
            kept, out = kept
            grad_out = activation_grad(activations.relu, grad_out, out, self.dtype)
        return super()._input_grad(kept, grad_out)

    def _take_back(self, kept: Any, grad_out: Any, input_grad: bool, gradients: Gradients) -> Any:
        if isinstance(grad_out, Pair):
            (xs, out), whole = kept[1], grad_out
            grad_out, kept = whole.passed(out), (kept[0], xs, *kept[2:])
        return super()._take_back(kept, grad_out, input_grad, gradients)

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return reduce(added, xs)

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        return [grad_out] * len(xs)


class Subtract(Merge):
    """The difference of two arrays (Keras's ``Subtract``): ``out = x[0] - x[1]``.

    Notes
    -----
    Input a list of two arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    _least, _most = 2, 2

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return xs[0] - xs[1]

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        return [grad_out, -grad_out]


class Multiply(Merge):
    """The product of several arrays (Keras's ``Multiply``): ``out = x[0] * x[1] * ...``.

    Notes
    -----
    Input a list of arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return reduce(mul, xs)

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        # The products of those before and after each: a division would fail where one is 0.
        before = list(accumulate(xs[:-1], mul, initial=grad_out))
        after = list(accumulate(xs[:0:-1], mul, initial=np.ones((), self._dtype)))[::-1]
        return [left * right for left, right in zip(before, after, strict=True)]


class Average(Merge):
    """The mean of several arrays (Keras's ``Average``): ``out = (x[0] + x[1] + ...) / n``.

    Notes
    -----
    Input a list of n arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return reduce(added, xs) / self._dtype.type(len(xs))

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        return [grad_out / self._dtype.type(len(xs))] * len(xs)


class _Extreme(Merge):
    """The larger or the smaller of values; of equal ones the first gets the gradient, as in TensorFlow."""

    _choose: Callable[..., np.ndarray]

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return reduce(type(self)._choose, xs)

    def _parts(self, xs: list[np.ndarray], grad_out: np.ndarray) -> list[np.ndarray]:
        left, parts = grad_out, []
        best = self._merged(xs)
        for x in xs:
            chosen = x == best
            parts.append(np.where(chosen, left, 0))
            left = np.where(chosen, 0, left)
        return parts


class Maximum(_Extreme):
    """The largest of several arrays, value by value (Keras's ``Maximum``): ``out = max(x[0], x[1], ...)``.

    Notes
    -----
    Input a list of arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    _choose = np.maximum


class Minimum(_Extreme):
    """The smallest of several arrays, value by value (Keras's ``Minimum``): ``out = min(x[0], x[1], ...)``.

    Notes
    -----
    Input a list of arrays, which may differ in sizes of 1. Keeps for backward: its input.
    """

    _choose = np.minimum


def _filled(shape: Shape, count: int) -> Shape:
    """A shape of as many axes, those that are missing behind the batch's."""
    return (*shape[:1], *(1,) * (count - len(shape)), *shape[1:])


def _same_rank(xs: list[np.ndarray]) -> list[np.ndarray]:
    count = max(x.ndim for x in xs)
    return [x.reshape(_filled(x.shape, count)) for x in xs]


def _summed(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of an array that was repeated."""
    full = _filled(shape, grad.ndim)
    repeated = tuple(i for i, (n, size) in enumerate(zip(full, grad.shape, strict=True)) if n != size)
    return (grad.sum(repeated, keepdims=True) if repeated else grad).reshape(shape)
