"""Normalization of each example by itself: to mean 0 and deviation 1, or to norm 1, over some of its axes.

All is computed in float64, whatever the dtype, from a mean that was taken first; so neither many values nor a large
mean takes digits. Arrays are worked on in blocks that fit the caches, so that float64 takes little memory.
"""

from collections.abc import Iterator
from itertools import groupby
from math import prod
from typing import Any

import numpy as np

from ..machine.aligned import aligned_empty
from ..objects.tuples import NamedTuple
from .layouts import Ints, contiguous

# Values of a block, at least one example.
BLOCK_VALUES = 32_768
# The smallest norm that is divided by, Keras's.
LEAST_NORM = 1e-12


class View(NamedTuple):
    """How an array is seen: neighbouring axes of one kind are one axis."""

    shape: Ints
    # Axes that are normalized over.
    over: Ints
    # The shape of gamma and beta: 1 on all axes but theirs.
    weights: Ints
    # Into how many runs the axis of the weights falls, which are normalized each by itself; 0 where it stays whole.
    groups: int = 0


def view_over(shape: Ints, axes: Ints) -> View:
    """See an array of this shape as normalized over some axes, which weights lie along too."""
    runs = [(kind, prod(shape[i] for i in run)) for kind, run in groupby(range(len(shape)), lambda i: i in axes)]
    return View(
        tuple(size for _, size in runs),
        tuple(i for i, (kind, _) in enumerate(runs) if kind),
        tuple(size if kind else 1 for kind, size in runs),
    )


def view_of_groups(shape: Ints, axis: int, groups: int) -> View:
    """See an array of this shape as normalized over all axes but the first, in groups of channels, at ``axis``."""
    lengths = (shape[0], prod(shape[1:axis]), shape[axis], prod(shape[axis + 1 :]))
    return View(lengths, (1, 3), (1, 1, shape[axis], 1), groups)


@np.errstate(all="ignore")
def standardize(x: np.ndarray, view: View, epsilon: float, gamma: Any, beta: Any) -> tuple[np.ndarray, Any]:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, and what `standardize_grad` needs."""
    x, gamma, beta = contiguous(x), _along(view, gamma), _along(view, beta)
    seen, out = x.reshape(view.shape), aligned_empty(view.shape, x.dtype)
    means, deviations = [], []
    for block in _blocks(view):
        values = seen[block].astype(np.float64)
        means.append(_mean(values, view))
        values -= means[-1]
        deviations.append(np.sqrt(_mean(values * values, view) + epsilon))
        values /= deviations[-1]
        values *= gamma
        out[block] = values + beta
    return out.reshape(x.shape), (seen, means, deviations)


@np.errstate(all="ignore")
def standardize_grad(
    kept: Any, grad_out: np.ndarray, view: View, gamma: Any, input_grad: bool
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of x (None, if not wanted), gamma and beta; the last two are float64 in one axis.

    Mean and deviation depend on every value too, so with ``normal = (x - mean) / deviation`` and ``g = gamma * grad``

    ``grad_x = (g - mean(g) - normal * mean(g * normal)) / deviation``
    """
    seen, means, deviations = kept
    grad_seen, gamma = contiguous(grad_out).reshape(view.shape), _along(view, gamma)
    grad_x = aligned_empty(view.shape, grad_out.dtype) if input_grad else None
    others = tuple(i for i, size in enumerate(view.weights) if size == 1)
    grad_gamma, grad_beta = np.zeros((2, *view.weights))
    for block, mean, deviation in zip(_blocks(view), means, deviations, strict=True):
        normal, grad = seen[block].astype(np.float64), grad_seen[block].astype(np.float64)
        normal -= mean
        normal /= deviation
        grad_beta += grad.sum(others, keepdims=True)
        grad_gamma += (grad * normal).sum(others, keepdims=True)
        if grad_x is not None:
            grad *= gamma
            shared = _mean(grad, view)
            normal *= _mean(grad * normal, view)
            grad -= normal
            grad -= shared
            grad_x[block] = grad / deviation
    return None if grad_x is None else grad_x.reshape(grad_out.shape), grad_gamma.ravel(), grad_beta.ravel()


@np.errstate(all="ignore")
def unit(x: np.ndarray, view: View) -> tuple[np.ndarray, Any]:
    """``x / max(norm, 1e-12)`` with the Euclidean norm, and what `unit_grad` needs."""
    x = contiguous(x)
    seen, out, norms = x.reshape(view.shape), aligned_empty(view.shape, x.dtype), []
    for block in _blocks(view):
        values = seen[block].astype(np.float64)
        norms.append(np.sqrt((values * values).sum(view.over, keepdims=True)))
        out[block] = values / np.maximum(norms[-1], LEAST_NORM)
    return out.reshape(x.shape), (seen, norms)


@np.errstate(all="ignore")
def unit_grad(kept: Any, grad_out: np.ndarray, view: View) -> np.ndarray:
    """With ``u = x / norm``, ``grad_x = (grad - u * sum(u * grad)) / norm``; below the least norm ``grad / 1e-12``."""
    seen, norms = kept
    grad_seen, grad_x = contiguous(grad_out).reshape(view.shape), aligned_empty(view.shape, grad_out.dtype)
    for block, norm in zip(_blocks(view), norms, strict=True):
        divisor = np.maximum(norm, LEAST_NORM)
        values, grad = seen[block] / divisor, grad_seen[block].astype(np.float64)
        along = (values * grad).sum(view.over, keepdims=True)
        grad_x[block] = (grad - values * np.where(norm < LEAST_NORM, 0, along)) / divisor
    return grad_x.reshape(grad_out.shape)


def _along(view: View, weight: Any) -> Any:
    """A weight, or a number in its place, as broadcast over the view."""
    return weight.reshape(view.weights).astype(np.float64) if np.ndim(weight) else weight


def _blocks(view: View) -> Iterator[slice]:
    """Runs of the first axis; all of it where it is normalized over itself."""
    length = view.shape[0]
    step = length if 0 in view.over else max(1, BLOCK_VALUES // max(1, prod(view.shape[1:])))
    return (slice(start, start + step) for start in range(0, length if prod(view.shape) else 0, max(1, step)))


def _mean(values: np.ndarray, view: View) -> np.ndarray:
    """The mean over what is normalized together, once for each channel where these fall into groups."""
    total = values.sum(view.over, keepdims=True)
    count = prod(view.shape[i] for i in view.over)
    if not view.groups:
        return total / count
    members = max(view.weights) // view.groups
    groups = total.reshape(len(total), view.groups, members).sum(2) / (count * members)
    return groups.repeat(members, 1).reshape(total.shape)
