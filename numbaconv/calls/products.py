"""Prepared gradients of products of matrices: of dense layers, and of convolutions of few windows, as patches.

Sums that are short or whose results have few rows take the matrices as they lie; others are products like those of a
dense layer, of matrices that are turned and packed before.
"""

from math import ceil, inf
from typing import Any

import numpy as np

from ..kernels.named import dots, outer
from ..kernels.plan.host import HOST
from ..machine.aligned import aligned_empty
from ..machine.vectors import WIDE, few_filters, panel_width
from ..objects.tuples import NamedTuple
from .conv import WindowCall, dense_call
from .epilogue import Epilogue, no_epilogue
from .layouts import Ints, swapped
from .packed import Packed
from .patches import Patches

# Summands of what `outer` computes, and tasks of large products of few summands or rows.
FEW_STEPS, TASKS = 8, 16
# Rows of results that `outer` computes though these are sums of more, up to as many.
FEW_ROWS, SOME_STEPS = 16, 256
# Features and summands of gradients that `dots` computes for all rows.
FEW_FEATURES, MANY_STEPS = 12, 64
# Weights that `dots` may read twice, since they stay in the cache.
NEAR_WEIGHTS = 2**19


class ProductCall(NamedTuple):
    """The gradient of the weights of a product of matrices: the input turned round, times the gradient.

    Or, where these are ``turned``, the other way round, which gives the gradient turned round. Without a ``call``, the
    sums are short.
    """

    call: WindowCall | None
    turned: bool
    patches: Patches | None = None

    @classmethod
    def of(cls, rows: int, features: int, units: int, itemsize: int, patches: Patches | None = None) -> "ProductCall":
        """That of matrices of so many rows."""
        narrow = panel_width(itemsize, 1 if rows <= FEW_STEPS else 4)
        turned = units < min(features, narrow) and (rows <= FEW_STEPS or units < rows)
        before, after = (units, features) if turned else (features, units)
        few = rows <= FEW_STEPS or (before <= FEW_ROWS and rows <= SOME_STEPS)
        return cls(None if few else dense_call(before, rows, after, itemsize), turned, patches)

    @property
    def serial(self) -> bool:
        """Whether it runs in one thread."""
        return self.call is not None and self.call.serial

    def __call__(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """An array (features, units) from canonical arrays."""
        table = self.patches.gathered(x) if self.patches else x.reshape(-1, x.shape[-1])
        a, b = table, grad.reshape(-1, grad.shape[-1])
        if self.turned:
            a, b = b, a
        if self.call is None:
            out = _outer(a, (1, a.shape[1]), b, (a.shape[1], *b.shape))
        else:
            out = self.call.run(swapped(a[None])[None, None], Packed("conv", b[None]), _no_bias(self.call, x.dtype))
            out = out.reshape(a.shape[1], b.shape[1])
        return swapped(out[None])[0] if self.turned else out


class ProductInputCall(NamedTuple):
    """The gradient of the input of a product of matrices.

    It is the weights times the gradient turned round, so that these, which are larger, are read as they are. That of
    few windows is what their patches add up to. Without a ``call``, sums are short or rows are few.
    """

    out_shape: Ints
    call: WindowCall | None
    patches: Patches | None = None

    @classmethod
    def of(
        cls, out_shape: Ints, rows: int, features: int, units: int, itemsize: int, patches: Patches | None = None
    ) -> "ProductInputCall":
        """That of a gradient of so many rows."""
        most = few_filters(rows, itemsize) if features * units > NEAR_WEIGHTS else FEW_STEPS
        few = units <= FEW_STEPS or rows <= most or has_few_features(features, units)
        return cls(out_shape, None if few else dense_call(features, units, rows, itemsize), patches)

    @property
    def serial(self) -> bool:
        """Whether it runs in one thread."""
        return self.call is not None and self.call.serial

    def run(self, grad: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        """From canonical array to canonical array."""
        units = grad.shape[-1]
        grad, weights = grad.reshape(-1, units), packed.plain.reshape(-1, units)
        if self.call is not None:
            columns = Packed("conv", swapped(grad[None]))
            out = self.call.run(weights[None, None, None], columns, _no_bias(self.call, grad.dtype))
            rows = swapped(out[0, 0])
        elif units <= FEW_STEPS:
            rows = _outer(grad, (units, 1), swapped(weights[None]), (len(grad), units, len(weights)))
        elif has_few_features(len(weights), units) and len(weights) < len(grad):
            rows = swapped(matrix_dots(weights, grad)[None])[0]
        else:
            rows = matrix_dots(grad, weights)
        return (self.patches.spread(rows) if self.patches else rows).reshape(self.out_shape)


def has_few_features(features: int, units: int) -> bool:
    """Whether `dots` of the weights gives the gradient of an input of so many features, whatever its rows."""
    return features <= FEW_FEATURES and units >= MANY_STEPS


def _outer(a: np.ndarray, steps: Ints, b: np.ndarray, shape: Ints) -> np.ndarray:
    """What `outer` computes: an array (I, J)."""
    out = aligned_empty((shape[0], shape[2]), a.dtype)
    rows, serial = _cut(shape[0], out.size * HOST.moved_cost)
    block = rows, max(1, shape[2])
    arrays = b.reshape(-1), (1, *shape, *steps, 0, 1), np.empty(0, a.dtype), (-inf, inf), out.reshape(-1)
    outer(a.reshape(-1), *arrays, WIDE, block, serial=serial)
    return out


def matrix_dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What `dots` computes, from matrices (I, K) and (J, K): an array (I, J)."""
    out = aligned_empty((len(a), len(b)), a.dtype)
    # One row is multiplied by as many as a vector has lanes.
    filters = (0,) * few_filters(len(a), a.itemsize)
    block, serial = _cut(len(b), out.size * a.shape[1])
    for first in range(0, len(a), len(filters)):
        some, part = (matrix[first : first + len(filters)] for matrix in (a, out))
        shape = len(some), a.shape[1], len(b)
        dots(some.reshape(-1), b.reshape(-1), shape, part.reshape(-1), filters, block, serial=serial)
    return out


def _cut(length: int, work: int) -> tuple[int, bool]:
    """Rows or columns of a task, and whether one thread computes all."""
    serial = work < HOST.serial_work
    return max(1, length if serial else ceil(length / TASKS)), serial


def _no_bias(call: WindowCall, dtype: Any) -> Epilogue:
    return no_epilogue(call.out_shape[-1], dtype)
