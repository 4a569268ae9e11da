"""Weights that cannot go stale: read-only wherever they leave a layer."""

from typing import Any

import numpy as np

from ..common.arguments import as_numbers, cast


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


class OwnWeight:
    """Attribute of a user's layer that stands for a weight, so that it always is the weight of that moment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        values = vars(layer)
        if self.name in values.get("_attributes", ()):
            return layer._weights[layer._attributes[self.name]]
        if self.name not in values:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}")
        return values[self.name]

    def __set__(self, layer: Any, value: Any) -> None:
        if self.name in vars(layer).get("_attributes", ()):
            with layer._named():
                layer._assign({layer._attributes[self.name]: value})
        else:
            vars(layer)[self.name] = value


def give_attribute(cls: type, name: str) -> None:
    """See that an attribute of a user's class can stand for a weight."""
    if not isinstance(getattr(cls, name, None), OwnWeight):
        setattr(cls, name, OwnWeight(name))


def adopted(layer: Any, name: str, value: np.ndarray) -> bool:
    """Whether an array that is assigned to an attribute of a user's layer is one of its weights; then it stands for it.

    Stored like any other value, it would be that of the moment for ever, whatever training makes of the weight.
    """
    weights = vars(layer).get("_weights", {})
    key = next((key for key, weight in weights.items() if weight is value), None)
    if key is None or isinstance(getattr(type(layer), name, None), Weight):
        return False
    give_attribute(type(layer), name)
    vars(layer).pop(name, None)
    layer._attributes[name] = key
    return True


def frozen(value: Any, shape: tuple[int, ...], dtype: Any, name: str) -> np.ndarray:
    """``value`` as nobody can make it writable again: in an immutable bytes object, which may be its own already."""
    array = as_numbers(value, name)
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {array.shape}")
    memory = _bytes_of(array) if array.dtype == dtype and array.flags.c_contiguous else b""
    if len(memory) != array.nbytes:
        memory = cast(array, dtype).tobytes()
    return np.frombuffer(memory, dtype).reshape(shape)


def _bytes_of(array: Any) -> bytes:
    """The bytes object that an array is a view of; empty if there is none."""
    while type(array) is np.ndarray:
        array = array.base
    return array if type(array) is bytes else b""
