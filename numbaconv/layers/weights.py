"""Weights that cannot go stale: read-only wherever they leave a layer."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, cast
from ..machine import recycling


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


class _Lasting(np.ndarray):
    """Memory that nobody writes to once it has been filled."""


def lasting(size: int) -> tuple[memoryview, memoryview]:
    """Memory in large pages for many weights that are read from a file, and the same as nobody can write to it."""
    memory = memoryview(recycling.fresh(size).view(_Lasting))
    return memory, memory.toreadonly()


def frozen(value: Any, shape: tuple[int, ...], dtype: Any, name: str) -> np.ndarray:
    """``value`` as nobody can make it writable again: in an immutable object, which may be its own already."""
    array = as_numbers(value, name)
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, got {array.shape}")
    if array.dtype == dtype and array.flags.c_contiguous:
        memory = _memory_of(array)
        if type(memory) is memoryview:
            return array.view()
        if len(memory) == array.nbytes:
            return np.frombuffer(memory, dtype).reshape(shape)
    return np.frombuffer(cast(array, dtype).tobytes(), dtype).reshape(shape)


def frozen_parts(arrays: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Copies of contiguous arrays of one dtype, all in one immutable bytes object."""
    listed = list(arrays)
    memory, start, parts = b"".join(array.data for array in listed), 0, []
    for array in listed:
        parts.append(np.frombuffer(memory, array.dtype, array.size, start).reshape(array.shape))
        start += array.nbytes
    return parts


def _memory_of(array: Any) -> bytes | memoryview:
    """What an array is a view of, if that is immutable; empty if it is not."""
    while type(array) is np.ndarray:
        array = array.base
    own = type(array) is memoryview and array.readonly and type(array.obj) is _Lasting
    return array if own or type(array) is bytes else b""
