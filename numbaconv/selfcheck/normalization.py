"""What layers compute that normalize each example by itself, or by the data's mean and variance, as formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from .small_layers import Array, Expected

_IMAGE = (2, 9, 8, 5)
# Name, shape of an input and arguments.
CHECKS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("GroupNormalization", (3, 9, 8, 6), {"groups": 2}),
    ("LayerNormalization", _IMAGE, {"axis": [2, 3]}),
    ("Normalization", _IMAGE, {"axis": [1, 3]}),
    ("RMSNormalization", _IMAGE, {"axis": [2, 3]}),
    ("UnitNormalization", _IMAGE, {}),
]


def _layer(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    gamma, beta = weights
    return _standardized(x, gamma, beta, (2, 3), layer.epsilon)


def _group(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    gamma, beta = (w.reshape(layer.groups, -1) for w in weights)
    out, back = _standardized(x.reshape(*x.shape[:-1], *gamma.shape), gamma, beta, (1, 2, 4), layer.epsilon)

    def back_of_groups(grad: Array) -> list[Array]:
        grad_x, *grads = back(grad.reshape(out.shape))
        return [grad_x.reshape(x.shape), *(g.ravel() for g in grads)]

    return out.reshape(x.shape), back_of_groups


def _standardized(x: Array, gamma: Array, beta: Array, axes: tuple[int, ...], epsilon: float) -> Expected:
    """Mean 0 and deviation 1 over some axes, and a gamma and a beta for each place on the last ones."""
    deviation = np.sqrt(x.var(axes, keepdims=True) + epsilon)
    normal = (x - x.mean(axes, keepdims=True)) / deviation
    others = tuple(range(x.ndim - gamma.ndim))

    def back(grad: Array) -> list[Array]:
        g = grad * gamma
        grad_x = g - g.mean(axes, keepdims=True) - normal * (g * normal).mean(axes, keepdims=True)
        return [grad_x / deviation, (grad * normal).sum(others), grad.sum(others)]

    return normal * gamma + beta, back


def _rms(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    (scale,) = weights
    root = np.sqrt((x * x).mean((2, 3), keepdims=True) + layer.epsilon)
    normal = x / root

    def back(grad: Array) -> list[Array]:
        g = grad * scale
        return [(g - normal * (g * normal).mean((2, 3), keepdims=True)) / root, (grad * normal).sum((0, 1))]

    return normal * scale, back


def _unit(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    norm = np.sqrt((x * x).sum(-1, keepdims=True))
    out = x / norm
    return out, lambda grad: [(grad - out * (out * grad).sum(-1, keepdims=True)) / norm]


def _data(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    mean, variance = (w.reshape(x.shape[1], 1, -1) for w in weights[:2])
    deviation = np.sqrt(variance)
    return (x - mean) / deviation, lambda grad: [grad / deviation]


EXPECTED: dict[type, Callable[..., Expected]] = {
    layers.GroupNormalization: _group,
    layers.LayerNormalization: _layer,
    layers.Normalization: _data,
    layers.RMSNormalization: _rms,
    layers.UnitNormalization: _unit,
}
