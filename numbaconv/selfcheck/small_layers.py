"""What layers should compute that a line of NumPy says: for each an example, and its result with its gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers

Array = np.ndarray
# What a layer should compute: its result, and a function from the result's gradient to those of input and weights.
Expected = tuple[Array, Callable[[Array], list[Array]]]

_IMAGE = (2, 9, 8, 5)


def _slope(grad_out: Array, x: Array) -> Array:
    return grad_out * np.sign(x)


# Name, shape of an input and arguments.
CHECKS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("ActivityRegularization", _IMAGE, {"l1": 0.25, "l2": 0.5}),
    ("ELU", _IMAGE, {"alpha": 0.5}),
    ("GaussianDropout", _IMAGE, {"rate": 0.25, "seed": 1}),
    ("GaussianNoise", _IMAGE, {"stddev": 0.5, "seed": 1}),
    ("Identity", _IMAGE, {}),
    ("Lambda", _IMAGE, {"function": np.abs, "gradient": _slope}),
    ("LeakyReLU", _IMAGE, {}),
    ("PReLU", _IMAGE, {"shared_axes": [1, 2]}),
    ("Permute", _IMAGE, {"dims": [3, 1, 2]}),
    ("ReLU", _IMAGE, {"max_value": 1, "negative_slope": 0.25, "threshold": 0.5}),
    ("RepeatVector", (4, 5), {"n": 3}),
    ("Rescaling", _IMAGE, {"scale": [0.5, 2, 3, -1, 4], "offset": 0.25}),
    ("Reshape", _IMAGE, {"target_shape": [6, -1, 3]}),
    ("Softmax", _IMAGE, {"axis": [1, 2]}),
    ("SpatialDropout1D", (20, 4, 5), {"rate": 0.25, "seed": 1}),
    ("SpatialDropout2D", (20, 4, 3, 5), {"rate": 0.25, "seed": 1}),
    ("SpatialDropout3D", (20, 4, 3, 2, 5), {"rate": 0.25, "seed": 1}),
]


def _linear(x: Array, factor: Any, shift: Any = 0) -> Expected:
    return x * factor + shift, lambda grad: [grad * factor]


def _regularized(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    return x, lambda grad: [grad + (layer.l1 * np.sign(x) + 2 * layer.l2 * x) / len(x)]


def _elu(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    out = np.where(x > 0, x, layer.alpha * (np.exp(x) - 1))
    return out, lambda grad: [grad * np.where(x > 0, 1, layer.alpha * np.exp(x))]


def _drawn(layer: Any, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(layer.seed).standard_normal(shape, layer.dtype).astype(float)


def _noisy(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    return _linear(x, 1, layer.stddev * _drawn(layer, x.shape) if training else 0)


def _multiplied(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    deviation = np.sqrt(layer.rate / (1 - layer.rate))
    return _linear(x, 1 + deviation * _drawn(layer, x.shape) if training else 1)


def _dropped(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    drawn = np.random.default_rng(layer.seed).random((len(x), x.shape[-1]), np.float32) >= layer.rate
    factor = drawn.reshape(len(x), *(1,) * (x.ndim - 2), x.shape[-1]) / (1 - layer.rate)
    return _linear(x, factor if training else 1)


def _rectified(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    above, below = x > layer.threshold, layer.negative_slope * (x - layer.threshold)
    slope = np.where(above, x < layer.max_value, layer.negative_slope)
    return np.where(above, np.minimum(x, layer.max_value), below), lambda grad: [grad * slope]


def _prelu(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    slope = np.where(x > 0, 1, weights[0])

    def back(grad: Array) -> list[Array]:
        return [grad * slope, (grad * np.minimum(x, 0)).sum((0, *layer.shared_axes), keepdims=True)[0]]

    return x * slope, back


def _softmax(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    out = np.exp(x) / np.exp(x).sum(layer.axis, keepdims=True)
    return out, lambda grad: [out * (grad - (grad * out).sum(layer.axis, keepdims=True))]


def _permuted(layer: Any, x: Array, weights: list[Array], training: bool) -> Expected:
    axes = (0, *layer.dims)
    return x.transpose(axes), lambda grad: [np.moveaxis(grad, range(x.ndim), axes)]


EXPECTED: dict[type, Callable[[Any, Array, list[Array], bool], Expected]] = {
    layers.ActivityRegularization: _regularized,
    layers.ELU: _elu,
    layers.GaussianDropout: _multiplied,
    layers.GaussianNoise: _noisy,
    layers.Identity: lambda layer, x, weights, training: _linear(x, 1),
    layers.Lambda: lambda layer, x, weights, training: (np.abs(x), lambda grad: [grad * np.sign(x)]),
    layers.LeakyReLU: lambda layer, x, weights, training: _linear(x, np.where(x > 0, 1, layer.negative_slope)),
    layers.PReLU: _prelu,
    layers.Permute: _permuted,
    layers.ReLU: _rectified,
    layers.RepeatVector: lambda layer, x, weights, training: (
        np.stack([x] * layer.n, axis=1),
        lambda grad: [grad.sum(axis=1)],
    ),
    layers.Rescaling: lambda layer, x, weights, training: _linear(x, np.array(layer.scale), layer.offset),
    layers.Reshape: lambda layer, x, weights, training: (
        x.reshape(len(x), *layer.target_shape),
        lambda grad: [grad.reshape(x.shape)],
    ),
    layers.Softmax: _softmax,
    layers.SpatialDropout1D: _dropped,
    layers.SpatialDropout2D: _dropped,
    layers.SpatialDropout3D: _dropped,
}
