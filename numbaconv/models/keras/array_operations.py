"""Operations on one array that no layer of Keras's does, with NumPy: for prediction alone."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...layers.any_rank import AnyRank, Shape

# From the number of axes to an index of NumPy's.
Index = Callable[[int], list[Any]]


class ArrayOperation(AnyRank):
    """A function of an array, and what it makes of the shape; by default it leaves that alone."""

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], shape: Callable[[Shape], Shape] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._function, self._shape = function, shape

    def _output_shape(self, input_shape: Shape) -> Shape:
        found = input_shape if self._shape is None else self._shape(input_shape)
        if found[:1] != input_shape[:1] and input_shape[:1] != (None,):
            raise ValueError(f"the batch must be left as it is, got {found} of {input_shape}")
        return found

    @np.errstate(all="ignore")
    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return np.array(self._function(x), self._dtype, order="C")

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return self.call(x), None

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        raise ValueError("no layer before it can be trained, because this operation is computed for prediction only")

    def get_config(self) -> dict[str, Any]:
        raise TypeError(
            f"{self._label} is an operation out of a file of Keras's, which no configuration of a layer can hold"
        )


def reduced(kind: str, axes: tuple[int, ...], keep: bool, name: str) -> ArrayOperation:
    """The mean, sum, maximum, ... over some axes."""
    function = getattr(np, kind)

    def shape(given: Shape) -> Shape:
        dropped = _axes(axes, given)
        return tuple(1 if i in dropped else n for i, n in enumerate(given) if keep or i not in dropped)

    return ArrayOperation(lambda x: function(x, axis=axes, keepdims=keep), shape, name=name)


def transposed(order: tuple[int, ...] | None, name: str) -> ArrayOperation:
    """The axes in another order."""

    def shape(given: Shape) -> Shape:
        count = len(given)
        named = sorted(axis + count if axis < 0 else axis for axis in order or ())
        if order is None or named != list(range(count)) or order[0] % count:
            raise ValueError(f"perm must name each of {count} axes once, the batch's first, got {order}")
        return tuple(given[axis] for axis in order)

    return ArrayOperation(lambda x: x.transpose(order), shape, name=name)


def indexed(index: Index, name: str) -> ArrayOperation:
    """A part of the array, with axes left out or put in."""

    def shape(given: Shape) -> Shape:
        found: list[int | None] = []
        axis = 0
        for one in index(len(given)):
            if axis == 0 and one != slice(None):
                raise ValueError("the batch must be left as it is")
            if one is None:
                found.append(1)
                continue
            if axis >= len(given):
                raise ValueError(f"an index must have at most {len(given)} entries")
            size, full = given[axis], one == slice(None)
            if isinstance(one, slice):
                found.append(size if full or size is None else len(range(*one.indices(size))))
            elif size is not None and not -size <= one < size:
                raise ValueError(f"an index must be below {size}, got {one}")
            axis += 1
        return tuple(found)

    return ArrayOperation(lambda x: x[tuple(index(x.ndim))], shape, name=name)


def padded(pairs: list[tuple[int, ...]], value: float, name: str) -> ArrayOperation:
    """The array with values before and after it along each axis."""

    def shape(given: Shape) -> Shape:
        if len(pairs) != len(given) or any(len(one) != 2 or min(one) < 0 for one in pairs):
            raise ValueError(f"the padding must be two numbers for each of {len(given)} axes, got {pairs}")
        if any(pairs[0]):
            raise ValueError(f"the batch must be left as it is, got the padding {pairs}")
        return tuple(n if n is None else n + sum(pair) for n, pair in zip(given, pairs, strict=True))

    return ArrayOperation(lambda x: np.pad(x, pairs, constant_values=value), shape, name=name)


def _axes(axes: tuple[int, ...], shape: Shape) -> set[int]:
    count = len(shape)
    found = {axis % count for axis in axes if -count <= axis < count}
    if len(found) != len(axes) or 0 in found:
        raise ValueError(f"axis must be axes of {shape}, not the batch's, each once, got {list(axes)}")
    return found
