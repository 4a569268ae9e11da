"""Weights that cannot go stale: read-only wherever they leave a layer."""

from typing import Any

import numpy as np

from ..arguments import as_numbers, cast


class Weight:
    """Attribute that holds one weight array of a layer.

    Reading gives a read-only array (None before the layer is built). Assigning checks the shape and takes a copy.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        return self if layer is None else layer._weights.get(self.name)

    def __set__(self, layer: Any, value: Any) -> None:
        if self.name not in layer._weights:
            raise ValueError(f"{layer._label}: {self.name} can be set once the layer is built")
        with layer._named():
            layer._assign({self.name: value})


def frozen(value: Any, shape: tuple[int, ...], dtype: str, name: str) -> np.ndarray:
    """A copy of ``value`` that nobody can make writable again: its memory is an immutable bytes object."""
    array = as_numbers(value, name)
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {array.shape}")
    return np.frombuffer(cast(array, dtype).tobytes(), dtype).reshape(shape)
