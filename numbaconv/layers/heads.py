"""Heads of attention: what kernels make of inputs, which positions read which, and the axes over which they read."""

from functools import reduce
from math import prod
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, check_mask


def projected(x: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Queries, keys or values of all heads, (N, ..., heads, width)."""
    out = np.tensordot(x, weights[f"{name}_kernel"], axes=1)
    return out + weights[f"{name}_bias"] if f"{name}_bias" in weights else out


def folded(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Queries, keys or values of all heads as (..., positions that are read over, width)."""
    moved = x.transpose(_order(axes, x.ndim))
    count = moved.ndim - 1 - len(axes)
    return moved.reshape(*moved.shape[:count], prod(moved.shape[count:-1]), moved.shape[-1])


def unfolded(x: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """The other way round, to (N, ..., heads, width)."""
    order = _order(axes, len(shape))
    return x.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))


def _order(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """An order of so many axes, the width last, and those that are read over before it."""
    return (*(i for i in range(rank - 1) if i not in axes), *axes, rank - 1)


def readable(
    query_shape: tuple[int, ...],
    value_shape: tuple[int, ...],
    window: int | None,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
    attention_mask: Any = None,
    use_causal_mask: bool = False,
) -> np.ndarray | None:
    """Which positions may be read by which, (N, T, S); None for all of them."""
    rows, columns = query_shape[1], value_shape[1]
    found = []
    if query_mask is not None:
        found.append(check_mask(query_mask, query_shape)[..., None])
    found += [check_mask(one, value_shape)[..., None, :] for one in (value_mask, key_mask) if one is not None]
    if use_causal_mask:
        found.append(np.tri(rows, columns, dtype=bool)[None])
    if window is not None:
        places = np.arange(max(rows, columns))
        found.append(np.abs(places[:rows, None] - places[:columns])[None] < window)
    if attention_mask is not None:
        found.append(as_numbers(attention_mask, "attention_mask") != 0)
    try:
        return reduce(np.logical_and, found) if found else None
    except ValueError:
        raise ValueError(
            f"masks must fit a query of shape {query_shape} and a value of shape {value_shape}, got one for each "
            f"position of query and value of shapes {[one.shape for one in found]}"
        ) from None
