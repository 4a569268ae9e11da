"""What stands in the messages of an HDF5 header: dtypes, shapes, attributes and their texts."""

import math
import struct

import numpy as np

from ...objects.tuples import NamedTuple
from .blocks import Blocks, text_of, unpacked

_INTEGER, _FLOAT, _TEXT, _OPAQUE, _VARIABLE = 0, 1, 3, 5, 9
_MOST_AXES = 32


class Datatype(NamedTuple):
    """What one element of an array is; ``variable`` says that it is a text that lies in the heap."""

    dtype: np.dtype
    variable: bool = False

    @property
    def is_text(self) -> bool:
        return self.variable or self.dtype.kind == "S"

    @classmethod
    def parsed(cls, data: bytes) -> "Datatype":
        """The datatype that a message describes."""
        first, bits, _, _, size = unpacked("<BBBBI", data)
        kind, order = first & 15, ">" if bits & 1 else "<"
        if kind == _INTEGER and size in (1, 2, 4, 8):
            return cls(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
        # Where sign, exponent and fraction lie tells IEEE's floats from others of the same size.
        widths = {2: (10, 5, 0, 10), 4: (23, 8, 0, 23), 8: (52, 11, 0, 52)}
        if kind == _FLOAT and size in widths and tuple(data[12:16]) == widths[size] and not bits & 64:
            return cls(np.dtype(f"{order}f{size}"))
        if kind == _TEXT:
            return cls(np.dtype(f"S{size}"))
        if kind == _OPAQUE and size == 2:
            return cls(np.dtype("V2"))
        if kind == _VARIABLE and bits & 15 == 1 and size == 16:
            return cls(np.dtype("V16"), True)
        raise ValueError(f"its arrays must hold numbers or texts, got HDF5's class {kind} of {size} bytes")


class Dataspace(NamedTuple):
    """The shape of an array."""

    shape: tuple[int, ...]

    @classmethod
    def parsed(cls, data: bytes) -> "Dataspace":
        """The shape that a message describes."""
        version, rank, _, kind = unpacked("<BBBB", data)
        if version not in (1, 2) or rank > _MOST_AXES:
            raise ValueError(f"its arrays must have at most {_MOST_AXES} axes, got {rank}")
        if version == 2 and kind == 2:
            return cls((0,))
        return cls(unpacked(f"<{rank}Q", data[8 if version == 1 else 4 :]))


class Attribute(NamedTuple):
    """An attribute as its message describes it; what it holds may be unknown here as long as nobody asks."""

    name: str
    type_message: bytes
    space_message: bytes
    data: bytes
    flags: int

    @property
    def datatype(self) -> Datatype:
        if self.flags:
            raise ValueError(f"its attribute {self.name!r} must have a dtype of its own")
        return Datatype.parsed(self.type_message)

    @property
    def space(self) -> Dataspace:
        return Dataspace.parsed(self.space_message)


def attribute(data: bytes) -> Attribute:
    """The attribute that a message holds."""
    version, flags, *sizes = unpacked("<BBHHH", data)
    if version not in (1, 2, 3):
        raise ValueError("its attributes must be in one of the forms that h5py writes by default")
    place, parts = 8 + (version == 3), []
    for size in sizes:
        parts.append(data[place : place + size])
        place += -(-size // 8) * 8 if version == 1 else size
    name, datatype, space = parts
    return Attribute(text_of(name.rstrip(b"\0")), datatype, space, data[min(place, len(data)) :], flags)


def texts(found: Attribute, blocks: Blocks, most: int) -> list[str]:
    """The texts of an attribute, which together have at most so many bytes."""
    count, width = math.prod(found.space.shape), found.datatype.dtype.itemsize
    if count * width > len(found.data):
        raise ValueError(f"it is damaged: its attribute {found.name!r} is too short")
    values = []
    for i in range(count):
        value = found.data[i * width : (i + 1) * width]
        if found.datatype.variable:
            length, address, index = struct.unpack("<IQI", value)
            most -= length
            if most < 0:
                raise ValueError(f"its attribute {found.name!r} is too long")
            value = blocks.heap_object(address, index, length) if length else b""
        values.append(text_of(value.rstrip(b"\0")))
    return values
