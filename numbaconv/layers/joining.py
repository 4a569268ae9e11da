"""Layers that join arrays: side by side, or by sums of products."""

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..common.words import Penalized, Unpack
from ..objects.registry import integer
from .merging import Merge, Shape


class Concatenate(Merge):
    """Arrays side by side (Keras's ``Concatenate``).

    Parameters
    ----------
    axis : int
        Along which they are put; in the other axes they have the same sizes.

    Notes
    -----
    Input a list of arrays of as many axes. Keeps for backward: their sizes along the axis.
    """

    def __init__(self, axis: int = -1, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.axis = integer(axis, "axis")

    def _merged_shape(self, given: list[Shape]) -> Shape:
        count = len(given[0])
        if any(len(shape) != count for shape in given) or not -count <= self.axis < count:
            raise ValueError(f"input_shape must be shapes of as many axes, with an axis {self.axis}, got {given}")
        axis = self.axis % count
        if any(
            len({n for n in sizes if n is not None}) > 1
            for i, sizes in enumerate(zip(*given, strict=True))
            if i != axis
        ):
            raise ValueError(f"input_shape must be shapes that are equal but for axis {self.axis}, got {given}")
        along = [shape[axis] for shape in given]
        known = [next((n for n in sizes if n is not None), None) for sizes in zip(*given, strict=True)]
        known[axis] = None if None in along else sum(n for n in along if n is not None)
        return tuple(known)

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(xs, self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where a value of the last axis comes from a step that counts."""
        if mask is None or all(one is None for one in mask):
            return None
        full = [_spread(one, np.shape(x)) for x, one in zip(inputs, mask, strict=True)]
        return np.concatenate(full, self.axis).any(axis=-1)

    def _forward(self, x: list[np.ndarray]) -> tuple[np.ndarray, Any]:
        return self._merged(x), [one.shape[self.axis] for one in x]

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        return np.split(grad_out, list(accumulate(kept[:-1])), self.axis)

    def _why(self) -> str:
        return f"sizes along axis {self.axis} add up"


class Dot(Merge):
    """Sums of products of two arrays, example by example (Keras's ``Dot``).

    ``out[n, ..., ...] = sum over i of x[0][n, ..., i, ...] * x[1][n, ..., i, ...]``, the axes of the first array before
    those of the second.

    Parameters
    ----------
    axes : int or tuple of two int
        The axes of the two arrays that are summed over, of the same size; not that of the batch.
    normalize : bool
        Whether the vectors along these axes are divided by their length before, which gives the cosine of their angle.

    Notes
    -----
    Input a list of two arrays. Keeps for backward: its input.
    """

    _least, _most = 2, 2

    def _whole_axes(self, count: int) -> Collection[int]:
        return range(1, count)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: what is summed over are no steps."""

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            if isinstance(axes, list | tuple):
                if len(axes) != 2:
                    raise ValueError(f"axes must be an int or two of them, got {axes!r}")
                self.axes: Any = tuple(integer(axis, "axes") for axis in axes)
            else:
                self.axes = integer(axes, "axes")
            self.normalize = check_bool(normalize, "normalize")

    def _merged_shape(self, given: list[Shape]) -> Shape:
        first, second = self._axes_of(*map(len, given))
        sizes = given[0][first], given[1][second]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(f"input_shape must be shapes that are equal along axes {self.axes}, got {given}")
        pairs = zip(given, (first, second), strict=True)
        rest = tuple(n for shape, axis in pairs for n in (*shape[1:axis], *shape[axis + 1 :]))
        batch = next((shape[0] for shape in given if shape[0] is not None), None)
        return (batch, *(rest or (1,)))

    def _merged(self, xs: list[np.ndarray]) -> np.ndarray:
        left, right = (
            self._vectors(x, axis)[0] for x, axis in zip(xs, self._axes_of(*(x.ndim for x in xs)), strict=True)
        )
        return (left @ right.transpose(0, 2, 1)).reshape(self._merged_shape([x.shape for x in xs]))

    def call(self, x: list[np.ndarray]) -> np.ndarray:  # type: ignore[override]
        return self._merged(x)

    def _forward(self, x: list[np.ndarray]) -> tuple[np.ndarray, Any]:
        return self._merged(x), x

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> Any:
        axes = self._axes_of(*(x.ndim for x in kept))
        (left, back_left), (right, back_right) = (self._vectors(x, axis) for x, axis in zip(kept, axes, strict=True))
        grad = grad_out.reshape(len(left), left.shape[1], right.shape[1])
        return [back_left(grad @ right), back_right(grad.transpose(0, 2, 1) @ left)]

    def _vectors(self, x: np.ndarray, axis: int) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """An array as (N, vectors, values along the axis), and a function that takes a gradient of that back."""
        moved = np.moveaxis(x, axis, -1)
        flat = moved.reshape(len(x), -1, moved.shape[-1])
        length = (
            np.sqrt(np.maximum((flat * flat).sum(-1, keepdims=True), self._dtype.type(1e-12)))
            if self.normalize
            else None
        )
        vectors = flat if length is None else flat / length

        def back(grad: np.ndarray) -> np.ndarray:
            if length is not None:
                # Vectors shorter than 1e-6 are divided by a constant.
                along = np.where(length > 1e-6, (grad * vectors).sum(-1, keepdims=True), 0)
                grad = (grad - vectors * along) / length
            return np.moveaxis(grad.reshape(moved.shape), -1, axis)

        return vectors, back

    def _axes_of(self, *ranks: int) -> tuple[int, ...]:
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        found = tuple(axis % rank if -rank <= axis < rank else 0 for axis, rank in zip(axes, ranks, strict=True))
        if 0 in found:
            raise ValueError(f"axes must be axes of the inputs, of {ranks} axes, and not the batch's, got {self.axes}")
        return found

    def _why(self) -> str:
        return f"sums of products along axes {self.axes}"


def _spread(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A mask of the first axes, for every value of an array of this shape."""
    whole = np.ones((), bool) if mask is None else np.asarray(mask, bool)
    return np.broadcast_to(whole.reshape(*whole.shape, *(1,) * (len(shape) - whole.ndim)), shape)
