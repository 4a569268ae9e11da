"""Pooling and its gradients."""

from typing import Any

import numpy as np

from ..calls.pooling import pool_call, pool_grad_call, pool_window
from ..common.arguments import as_numbers, cast, check_shape, common_dtype, spatial_rank
from ..objects.docstrings import as_in
from .operations import Ints, conv


@as_in(conv)
def max_pool(
    x: Any, pool_size: Ints, strides: Ints | None = None, padding: str = "valid", data_format: str | None = None
) -> np.ndarray:
    """Keep the largest value of every window (``keras.ops.max_pool``).

    ``out[n, q, c] = max over k of x[n, q*stride + k - before, c]``; positions in the padding do not count, and a NaN
    in a window makes its output NaN.

    Parameters
    ----------
    pool_size : int or tuple of int
        Lengths of the window.
    strides : int or tuple of int, optional
        Steps of the window; None takes ``pool_size``.
    padding : {"valid", "same"}

    Returns
    -------
    ndarray, shape (N, *output lengths, C), or (N, C, *output lengths)
        Output lengths as in `shapes.pool_output_shape`.
    """
    return _pool("max", x, pool_size, strides, padding, data_format)


@as_in(max_pool)
def average_pool(
    x: Any, pool_size: Ints, strides: Ints | None = None, padding: str = "valid", data_format: str | None = None
) -> np.ndarray:
    """Average the values of every window (``keras.ops.average_pool``).

    ``out[n, q, c]`` is the sum over k of ``x[n, q*stride + k - before, c]`` divided by the number of positions that the
    window has inside the input; those in the padding do not count.
    """
    return _pool("average", x, pool_size, strides, padding, data_format)


@as_in(max_pool)
def max_pool_grad(
    x: Any,
    grad_out: Any,
    pool_size: Ints,
    strides: Ints | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the input of `max_pool`.

    Each window's gradient goes to its largest value, wholly to the first in row-major order where there are several; a
    NaN is larger than anything.

    Parameters
    ----------
    x : array_like
        What was pooled.
    grad_out : array_like
        Gradient with respect to the result of `max_pool`, of that shape.

    Returns
    -------
    ndarray, of the shape of ``x``
    """
    x, grad_out = as_numbers(x, "x"), as_numbers(grad_out, "grad_out")
    window = pool_window(pool_size, strides, padding, data_format, spatial_rank(x))
    dtype = common_dtype(x, grad_out)
    call = pool_grad_call("max", x.shape, grad_out.shape, dtype.itemsize, window)
    return call(cast(x, dtype), cast(grad_out, dtype))


@as_in(max_pool)
def average_pool_grad(
    grad_out: Any,
    x_shape: tuple[int, ...],
    pool_size: Ints,
    strides: Ints | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the input of `average_pool`.

    Each window's gradient is shared evenly among its positions inside the input.

    Parameters
    ----------
    grad_out : array_like
        Gradient with respect to the result of `average_pool`, of that shape.
    x_shape : tuple of int
        Shape of what was pooled.

    Returns
    -------
    ndarray, of shape ``x_shape``
    """
    grad_out, sizes = as_numbers(grad_out, "grad_out"), check_shape(x_shape, "x_shape")
    window = pool_window(pool_size, strides, padding, data_format, len(sizes) - 2)
    dtype = common_dtype(grad_out)
    call = pool_grad_call("average", sizes, grad_out.shape, dtype.itemsize, window)
    return call(cast(grad_out, dtype))


def _pool(
    kind: str, x: Any, pool_size: Ints, strides: Ints | None, padding: str, data_format: str | None
) -> np.ndarray:
    x = as_numbers(x, "x")
    window = pool_window(pool_size, strides, padding, data_format, spatial_rank(x))
    return pool_call(kind, x.shape, window)(cast(x, common_dtype(x)))
