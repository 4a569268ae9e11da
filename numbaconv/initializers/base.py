"""What every initializer does: it checks shape and dtype, and rounds what it has made."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import config
from ..common.arrays import dtype_or_none
from ..objects.registry import Configurable
from ..shapes.checks import check_size

Array = NDArray[np.floating[Any]]
Shape = tuple[int, ...]


class Initializer(Configurable):
    """Base of all initializers here."""

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Array:
        """Return a new array of initial values.

        Parameters
        ----------
        shape : sequence of int
            Shape of the weights.
        dtype : dtype, optional
            A float dtype; `numbaconv.config.floatx` by default.

        Returns
        -------
        ndarray
            C-contiguous, of this shape and dtype.

        Raises
        ------
        TypeError
            If `dtype` is no float dtype, or `shape` is not made of integers.
        ValueError
            If an entry of `shape` is negative, or the initializer cannot fill this shape.
        """
        float_dtype = dtype_or_none(config.floatx() if dtype is None else dtype)
        if float_dtype is None or float_dtype.kind != "f":
            raise TypeError(f"dtype must be a float dtype such as 'float32', got {dtype!r}")
        sizes = tuple(operator.index(size) for size in shape)
        if any(size < 0 for size in sizes):
            raise ValueError(f"shape must be a tuple of integers >= 0, got {shape!r}")
        check_size(sizes, "shape")
        with np.errstate(all="ignore"):
            return np.asarray(self._values(sizes), dtype=float_dtype, order="C")

    def _values(self, shape: Shape) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None)")
