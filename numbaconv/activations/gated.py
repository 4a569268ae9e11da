"""Activations that multiply their input by a gate between 0 and 1; their gradients are worked out from the input.

Far to the left they tend to 0, and so the value at minus infinity is 0, where Keras gives NaN.
"""

import math
from typing import Any

import numpy as np

from ..kernels import rules
from .bounded import hard_sigmoid, sigmoid
from .function import Array, activation, by_rule, kernels


def _finite(x: Array) -> Array:
    """With the largest numbers in the place of the infinities, whose product with a gate of 0 would be NaN."""
    largest = np.finfo(x.dtype).max
    return np.clip(x, -largest, largest)


def _silu_gradient(grad_out: Array, x: Array) -> Array:
    gate = sigmoid(x)
    return grad_out * (gate * (1 + _finite(x) * sigmoid(-x)))


@activation(_silu_gradient, by_rule(lambda: rules.Silu()))
def silu(x: Array) -> Array:
    """Sigmoid linear unit: ``x * sigmoid(x)``. Also called swish.

    Notes
    -----
    Ramachandran et al., "Searching for Activation Functions", 2017.
    """
    return np.maximum(x, -np.finfo(x.dtype).max) * sigmoid(x)


@activation(
    lambda grad_out, x: grad_out * np.where(np.abs(x) < 3, (2 * x + 3) / 6, x > 0).astype(x.dtype),
    by_rule(lambda: rules.HardSilu()),
)
def hard_silu(x: Array) -> Array:
    """Piecewise `silu`: ``x * hard_sigmoid(x)``, which is 0 below -3 and `x` above 3. Also called hard_swish.

    Notes
    -----
    Howard et al., "Searching for MobileNetV3", 2019.
    """
    return np.maximum(x, -np.finfo(x.dtype).max) * hard_sigmoid(x)


def _gelu_gradient(grad_out: Array, x: Array, approximate: bool = False) -> Array:
    if not approximate:
        wide = _kernel_dtype(x, grad_out)
        grad: Array = kernels().applied_back(rules.Gelu(), x.astype(wide), grad_out.astype(wide))
        return grad.astype(x.dtype, copy=False)
    # Beyond that the gate is 0 or 1 in float64 too.
    x = np.clip(x, -30, 30)
    gate = _nearly_normal(x)
    return grad_out * (gate + x * gate * _nearly_normal(-x) * (2 * _SLOPE) * (1 + 3 * _CUBE * np.square(x)))


@activation(_gelu_gradient, by_rule(lambda approximate=False: None if approximate else rules.Gelu()))
def gelu(x: Array, approximate: bool = False) -> Array:
    """Gaussian error linear unit: `x` times the share of a standard normal distribution that lies below it.

    Parameters
    ----------
    approximate : bool
        Whether to take ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) / 2``, which is off by up to 0.0005.

    Notes
    -----
    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016: ``x * erfc(-x / sqrt(2)) / 2``. The relative error is at
    most ``4 + x ** 2`` units of rounding for negative `x`, 4 of them for all others.
    """
    if not approximate:
        out: Array = kernels().applied(rules.Gelu(), x.astype(_kernel_dtype(x), copy=False))
        return out.astype(x.dtype, copy=False)
    return np.maximum(x, -np.finfo(x.dtype).max) * _nearly_normal(x)


def _kernel_dtype(*arrays: Array) -> Any:
    return np.float32 if all(x.itemsize <= 4 for x in arrays) else np.float64


_SLOPE, _CUBE = math.sqrt(2 / math.pi), 0.044715


def _nearly_normal(x: Array) -> Array:
    """The share of a standard normal distribution below `x`, approximated: ``(1 + tanh(u)) / 2 = sigmoid(2 * u)``."""
    return sigmoid(2 * _SLOPE * x * (1 + _CUBE * np.square(x)))


def _mish_gradient(grad_out: Array, x: Array) -> Array:
    gate, power = _mish_gate(x)
    share = 1 / (power * (power + 2) + 2)
    return grad_out * (gate + _finite(np.minimum(x, _MISH_END)) * (4 * power * (1 + power) * share) * share)


@activation(_mish_gradient, by_rule(lambda: rules.Mish()))
def mish(x: Array) -> Array:
    """Smooth rectifier with a dip on the left: ``x * tanh(softplus(x))``.

    Notes
    -----
    Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019. With ``e = exp(x)`` and
    ``w = e * (e + 2)`` the gate is ``w / (w + 2)``.
    """
    return np.maximum(x, -np.finfo(x.dtype).max) * _mish_gate(x)[0]


# From here on the gate is 1 in float64 too.
_MISH_END = 30


def _mish_gate(x: Array) -> tuple[Array, Array]:
    """``tanh(softplus(x))``, and the exponential that it is made of."""
    power: Array = np.exp(np.minimum(x, _MISH_END))
    doubled = power * (power + 2)
    return doubled / (doubled + 2), power
