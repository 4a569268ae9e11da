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
    }[name]()

    def parts(grad: Array) -> tuple[Array, Array]:
        if name == "Concatenate":
            return grad[..., : x.shape[-1]], grad[..., x.shape[-1] :]
        if name == "Dot":
            return np.einsum("nij,njc->nic", grad, y), np.einsum("nij,nic->njc", grad, x)
        if name in ("Maximum", "Minimum"):
            first = (x >= y) if name == "Maximum" else (x <= y)
            return grad * first, grad * ~first
        factors = {"Add": (1, 1), "Subtract": (1, -1), "Multiply": (y, x), "Average": (0.5, 0.5)}[name]
        return grad * factors[0], grad * factors[1]

    def back(grad: Array) -> list[Array]:
        first, second = parts(grad)
        return [first + second[:, ::-1]]

    return out, back
