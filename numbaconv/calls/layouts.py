"""Between the arrays of a user and the kernels' canonical arrays: the one place that knows data_format and rank.

A canonical array is C-contiguous, channels last, with three spatial axes: (N, D, H, W, C). Fewer spatial axes become
leading axes of length 1, which costs nothing. A planar array, (N, C, D, H, W, 1), is a view of one with channels first:
by its number of axes, Numba tells it from a canonical one when it compiles.
"""

from math import inf, nan, prod
from operator import add
from typing import Any

import numpy as np

from ..activations.function import kernels, takes
from ..common.again import remade
from ..kernels.named import transpose
from ..kernels.rules import Band, Sum
from ..machine.aligned import aligned_empty
from ..objects.tuples import NamedTuple

Ints = tuple[int, ...]

# Elements that one core moves before another has woken up.
SMALL = 16_384

_ONES: dict[int, tuple[int, ...]] = {3: (1, 1), 4: (1,), 5: ()}


def three(values: tuple, fill: Any) -> tuple:
    """Settings of 1 to 3 spatial axes as settings of three: ``fill`` in front."""
    return (fill,) * (3 - len(values)) + tuple(values)


def spatial(shape: tuple, data_format: str) -> tuple:
    """The spatial lengths of a shape."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


def canonical_shape(shape: Ints, data_format: str) -> Ints:
    """Shape (N, D, H, W, C) of the canonical array of an array of this shape."""
    channels = shape[1 if data_format == "channels_first" else -1]
    return (shape[0], *three(spatial(shape, data_format), 1), channels)


def of_format(shape: Ints, given: str, data_format: str) -> Ints:
    """The shape of an array of one data format in another one."""
    if given == data_format:
        return shape
    channels_last = (shape[0], *shape[2:], shape[1])
    return channels_last if data_format == "channels_last" else (shape[0], shape[-1], *shape[1:-1])


def canonical(x: np.ndarray, data_format: str) -> np.ndarray:
    """View a channels-last array as (N, D, H, W, C); copy it where it is channels first or not contiguous."""
    x = contiguous(x)
    if data_format == "channels_last":
        return x.reshape(x.shape[:1] + _ONES[x.ndim] + x.shape[1:])
    out = swapped(x.reshape(x.shape[0], x.shape[1], prod(x.shape[2:])))
    return out.reshape(x.shape[:1] + _ONES[x.ndim] + x.shape[2:] + x.shape[1:2])


def planar(x: np.ndarray) -> np.ndarray:
    """View a channels-first array as (N, C, D, H, W, 1); copy it where it is not contiguous."""
    return contiguous(x).reshape(x.shape[:2] + _ONES[x.ndim] + x.shape[2:] + (1,))


def empty_planes(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array (N, F, positions) for the outputs of a canonical shape (N, D, H, W, F)."""
    return aligned_empty((shape[0], shape[4], shape[1] * shape[2] * shape[3]), dtype)


def planar_result(planes: np.ndarray, shape: tuple[int, ...], rank: int) -> np.ndarray:
    """View such an array as a channels-first result of ``rank`` spatial axes."""
    return planes.reshape((shape[0], shape[4], *shape[4 - rank : 4]))


def original(out: np.ndarray, rank: int, data_format: str) -> np.ndarray:
    """Take the result of a kernel, (N, D, H, W, C), back to ``rank`` spatial axes and the data format."""
    shape = out.shape[:1] + out.shape[4 - rank :]
    if data_format == "channels_last":
        return out.reshape(shape)
    batch, *lengths, channels = shape
    return swapped(out.reshape(batch, prod(lengths), channels)).reshape(batch, channels, *lengths)


def swapped(x: np.ndarray) -> np.ndarray:
    """(N, J, I) from (N, I, J): the same memory where one of them is 1."""
    if 1 in x.shape[1:]:
        return x.reshape(x.shape[0], x.shape[2], x.shape[1])
    out = aligned_empty((x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    transpose(x, out, serial=x.size < SMALL)
    return out


def images_shape(shape: tuple[int, ...], data_format: str) -> tuple[int, ...]:
    """Shape (N, D, H, W, C) of a view for operations that treat every channel alike, which then never copy.

    Channels first is (N * C, D, H, W, 1): each channel is an image of its own.
    """
    if data_format == "channels_last":
        return shape[:1] + _ONES[len(shape)] + shape[1:]
    return (shape[0] * shape[1], *_ONES[len(shape)], *shape[2:], 1)


def canonical_kernel(weights: np.ndarray) -> np.ndarray:
    """View weights (spatial axes, two channel axes) as (KD, KH, KW, ., .)."""
    *lengths, a, b = weights.shape
    return weights.reshape(*three(tuple(lengths), 1), a, b)


class _Memory:
    """The memory of an array, as NumPy takes it."""

    __slots__ = ("__array_interface__", "array")

    def __init__(self, x: np.ndarray) -> None:
        interface = x.__array_interface__
        self.array, self.__array_interface__ = x, {**interface, "data": (interface["data"][0], False)}


def readable(x: np.ndarray) -> np.ndarray:
    """The array as `contiguous` has it for who only reads it, without a copy of one that is read-only."""
    if x.flags.c_contiguous and x.flags.aligned and not x.flags.writeable and x.dtype.isnative:
        return np.asarray(_Memory(x))
    return contiguous(x)


def contiguous(x: np.ndarray) -> np.ndarray:
    """The array, or a copy of it that is C-contiguous, aligned and writable."""
    # Other arrays would be types of their own to Numba, each with a second of compiling.
    if x.flags.carray:
        return x
    return np.array(x, order="C")


class Pair(NamedTuple):
    """Two gradients of relu's result that are yet to be summed, with `paired`."""

    a: np.ndarray
    b: np.ndarray

    def passed(self, out: np.ndarray) -> Any:
        """Their sum where this result of relu's is above 0, and 0 elsewhere."""
        return kernels().applied_back(Band(0.0, nan, 1.0, 0.0), out, *self)


def paired(a: Any, b: Any) -> Any:
    """Two gradients as a `Pair`, or their sum where they are small or of different kinds."""
    return Pair(a, b) if takes(a, b) and a.flags.carray and b.flags.carray else remade(add, a, b)


def added(a: Any, b: Any, low: float = -inf) -> Any:
    """``max(a + b, low)``; of large arrays that are alike on all cores, in memory that is used again."""
    if takes(a, b) and a.flags.carray and b.flags.carray:
        return kernels().applied_back(Sum(low), b, a)
    total = remade(add, a, b)
    return total if low == -inf else remade(np.maximum, total, low)
