"""Layers that put values in another order or shape: Flatten, Reshape, Permute, RepeatVector."""

from math import prod
from typing import Any

import numpy as np

from ..calls.layouts import contiguous, swapped
from ..common.arguments import cast, check_data_format
from ..common.words import DataFormat, Penalized, Unpack
from ..objects.registry import integer
from ..shapes.checks import check_size, positive_integer
from .any_rank import AnyRank, Shape


class Flatten(AnyRank):
    """Put all axes but the batch into one (Keras's ``Flatten``).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        channels_first moves the channels last before, so that both formats give the same. None takes
        `config.image_data_format`.

    Notes
    -----
    Input (N, ...), output (N, product of the others). Keeps for backward: the shape of its input.
    """

    def __init__(self, data_format: DataFormat | None = None, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.data_format = check_data_format(data_format)

    def _output_shape(self, input_shape: Shape) -> Shape:
        batch, *others = input_shape
        known = [n for n in others if n is not None]
        return batch, prod(known) if len(known) == len(others) else None

    def _why(self, before: Shape, after: Shape) -> str:
        first = ", channels last" if self.data_format == "channels_first" else ""
        size = "unknown" if after[1] is None else after[1]
        return f"values of an example: {' * '.join(str(n or 'unknown') for n in before[1:])} = {size}{first}"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        batch, *others = x.shape
        if self.data_format == "channels_first":
            x = swapped(contiguous(x).reshape(batch, others[0], prod(others[1:])))
        return np.ascontiguousarray(x).reshape(batch, prod(others)), (batch, *others)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        batch, channels, *lengths = kept
        if self.data_format == "channels_first":
            grad_out = swapped(contiguous(grad_out).reshape(batch, prod(lengths), channels))
        return grad_out.reshape(kept)


class Reshape(AnyRank):
    """Give every example another shape (Keras's ``Reshape``); the values stay in their order.

    Parameters
    ----------
    target_shape : tuple of int
        Shape of an example without the batch axis. One size may be -1: what is left for it.

    Notes
    -----
    Input (N, ...), output (N, *target_shape). Keeps for backward: the shape of its input.
    """

    def __init__(self, target_shape: Any, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            if not isinstance(target_shape, tuple | list):
                raise TypeError(f"target_shape must be a tuple of sizes, got {target_shape!r}")
            sizes = tuple(integer(n, "sizes in target_shape") for n in target_shape)
            if any(n < 1 and n != -1 for n in sizes) or sizes.count(-1) > 1:
                raise ValueError(f"target_shape must have positive sizes, one of them at most -1, got {target_shape!r}")
            check_size([n for n in sizes if n > 0], "target_shape")
            self.target_shape = sizes

    def _output_shape(self, input_shape: Shape) -> Shape:
        batch, *sizes = input_shape
        values, wanted = prod(n for n in sizes if n is not None), prod(n for n in self.target_shape if n != -1)
        if None in sizes:
            # The unknown ones may make up for what is missing, if it is a whole number.
            return batch, *(None if n == -1 else n for n in self.target_shape)
        if values % wanted if -1 in self.target_shape else values != wanted:
            raise ValueError(
                f"an example must have {'a multiple of ' if -1 in self.target_shape else ''}{wanted} values for "
                f"target_shape {self.target_shape}, got {values} in shape {input_shape}"
            )
        return batch, *(values // wanted if n == -1 else n for n in self.target_shape)

    def _why(self, before: Shape, after: Shape) -> str:
        sizes = " * ".join("unknown" if n is None else str(n) for n in before[1:])
        wanted = " * ".join("unknown" if n is None else str(n) for n in after[1:])
        return f"values of an example, in the same order: {sizes} = {wanted or 1}"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.ascontiguousarray(x).reshape(self._output_shape(x.shape)), x.shape

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grad_out).reshape(kept)


class Permute(AnyRank):
    """Put the axes of every example in another order (Keras's ``Permute``).

    Parameters
    ----------
    dims : tuple of int
        For each axis of the output the one of the input that it is, from 1 on: (2, 1) exchanges two axes. The batch
        stays first.

    Notes
    -----
    Input (N, n1, n2, ...), output the same sizes in this order. Keeps nothing for backward.
    """

    def __init__(self, dims: Any, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            if not isinstance(dims, tuple | list):
                raise TypeError(f"dims must be a tuple of axes, got {dims!r}")
            self.dims = tuple(integer(n, "dims") for n in dims)
            if sorted(self.dims) != list(range(1, len(self.dims) + 1)) or not self.dims:
                raise ValueError(f"dims must hold the numbers from 1 on, each of them once, got {dims!r}")

    def _output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"the input must have {len(self.dims) + 1} axes for dims {self.dims}, got {input_shape}")
        return input_shape[0], *(input_shape[axis] for axis in self.dims)

    def _why(self, before: Shape, after: Shape) -> str:
        return f"its axes are those of the input in the order (0, {', '.join(map(str, self.dims))})"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        self._output_shape(x.shape)
        return np.ascontiguousarray(x.transpose(0, *self.dims)), None

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grad_out.transpose(np.argsort((0, *self.dims))))


class RepeatVector(AnyRank):
    """Repeat every example (Keras's ``RepeatVector``): ``out[:, i] = x`` for each i below n.

    Parameters
    ----------
    n : int
        How often.

    Notes
    -----
    Input (N, features), output (N, n, features). Keeps nothing for backward.
    """

    def __init__(self, n: int, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.n = positive_integer(integer(n, "n"), "n")

    def _output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(f"the input must have 2 axes (batch, features), got shape {input_shape}")
        out = input_shape[0], self.n, input_shape[1]
        check_size(out, "output_shape")
        return out

    def _why(self, before: Shape, after: Shape) -> str:
        return f"every vector of features is there {self.n} times"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        self._output_shape(x.shape)
        return np.repeat(x[:, None], self.n, axis=1), None

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return cast(grad_out.sum(axis=1, dtype=np.float64), self._dtype)
