"""Layers of several inputs as the check of layers sees them: fed with an array and its mirror image."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


class Pair:
    """A layer of two inputs, which are an array and the same array backwards along its first axis but the batch."""

    weights: tuple[Array, ...] = ()
    gradients: tuple[Array, ...] = ()

    def __init__(self, layer: Any) -> None:
        self.layer, self.named_weights = layer, dict[str, Array]()

    def build(self, shape: Any) -> None:
        self.layer.build([shape, shape])

    def set_weights(self, weights: Any) -> None:
        self.layer.set_weights(weights)

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.layer([x, x[:, ::-1]]))

    def forward(self, x: Array) -> Array:
        return np.asarray(self.layer.forward([x, x[:, ::-1]]))

    def backward(self, grad_out: Array) -> Array:
        first, second = self.layer.backward(grad_out)
        return np.asarray(first + second[:, ::-1])


def expected(name: str, x: Array) -> tuple[Array, Callable[[Array], list[Array]]]:
    """What the layer of this name makes of a pair, and the gradient of the one array."""
    y = x[:, ::-1]
    out = {
        "Add": lambda: x + y,
        "Subtract": lambda: x - y,
        "Multiply": lambda: x * y,
        "Average": lambda: (x + y) / 2,
        "Maximum": lambda: np.where(x >= y, x, y),
        "Minimum": lambda: np.where(x <= y, x, y),
        "Concatenate": lambda: np.concatenate([x, y], axis=-1),
        "Dot": lambda: np.einsum("nic,njc->nij", x, y),
        "Attention": lambda: _read(name, x, y)[1],
        "AdditiveAttention": lambda: _read(name, x, y)[1],
    }[name]()

    def parts(grad: Array) -> tuple[Array, Array]:
        if name == "Concatenate":
            return grad[..., : x.shape[-1]], grad[..., x.shape[-1] :]
        if name == "Dot":
            return np.einsum("nij,njc->nic", grad, y), np.einsum("nij,nic->njc", grad, x)
        if name.endswith("Attention"):
            return _read_back(name, x, y, grad)
        if name in ("Maximum", "Minimum"):
            first = (x >= y) if name == "Maximum" else (x <= y)
            return grad * first, grad * ~first
        factors = {"Add": (1, 1), "Subtract": (1, -1), "Multiply": (y, x), "Average": (0.5, 0.5)}[name]
        return grad * factors[0], grad * factors[1]

    def back(grad: Array) -> list[Array]:
        first, second = parts(grad)
        return [first + second[:, ::-1]]

    return out, back


def _read(name: str, x: Array, y: Array) -> tuple[Array, Array]:
    """The shares of y's positions that those of x read, and what they read."""
    additive = name == "AdditiveAttention"
    scores = np.tanh(x[:, :, None] + y[:, None]).sum(-1) if additive else np.einsum("nic,njc->nij", x, y)
    shares = np.exp(scores)
    shares /= shares.sum(-1, keepdims=True)
    return shares, shares @ y


def _read_back(name: str, x: Array, y: Array, grad: Array) -> tuple[Array, Array]:
    shares, _ = _read(name, x, y)
    of_shares = np.einsum("nic,njc->nij", grad, y)
    scores = shares * (of_shares - (of_shares * shares).sum(-1, keepdims=True))
    read = np.einsum("nij,nic->njc", shares, grad)
    if name == "Attention":
        return scores @ y, read + np.einsum("nij,nic->njc", scores, x)
    slope = scores[..., None] / np.cosh(x[:, :, None] + y[:, None]) ** 2
    return slope.sum(2), read + slope.sum(1)
