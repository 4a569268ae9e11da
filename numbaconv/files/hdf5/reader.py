"""An HDF5 file as attributes and arrays by path; arrays are read only when they are asked for."""

import math
from typing import Any, BinaryIO

import numpy as np

from ...objects.tuples import NamedTuple
from .arrays import Layout, Piece, contiguous, layout_of
from .blocks import Blocks
from .values import Attribute, Dataspace, Datatype, attribute, texts

_DATASPACE, _DATATYPE, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE, _MORE_ATTRIBUTES = (1, 3, 7, 8, 11, 12, 21)
# Bytes of an attribute: an object header has no room for more, but texts lie elsewhere.
_MOST_TEXT = 2**24


class Entry(NamedTuple):
    """An array as its header describes it."""

    dtype: np.dtype
    shape: tuple[int, ...]


class Hdf5File:
    """The groups and the arrays of an HDF5 file.

    Only what Keras and h5py write by default is read: numbers and texts, contiguous or in chunks, plain or compressed
    with gzip. Links to other places or files are not followed, and nothing outside the file is ever opened.

    Parameters
    ----------
    file : binary file or bytes
        Seekable; it stays open.

    Raises
    ------
    ValueError
        If it is no HDF5 file, or cut short. Methods raise it for paths that do not exist, for what is damaged, and for
        what would take more memory than the file accounts for.
    """

    def __init__(self, file: BinaryIO | bytes) -> None:
        self._blocks = Blocks(file)
        # By the address of a header, since its blocks are to be read once.
        self._links: dict[int, dict[str, int]] = {}
        self._attributes: dict[int, dict[str, Attribute]] = {}
        # By path: addresses, and what arrays are like.
        self._arrays: dict[str, tuple[np.dtype, Dataspace, Layout]] = {}
        self._found: dict[str, int | None] = {"": self._blocks.root}
        # Arrays that share their bytes could be many times as large as the file.
        self._left = self._blocks.size

    def names(self, path: str = "") -> list[str]:
        """The names in the group at a path, in the order of the file; those of an array are none."""
        address = self._address(path)
        return list(self._members(address)) if self._blocks.is_group(address) else []

    def __contains__(self, path: str) -> bool:
        return self._find(path) is not None

    def is_array(self, path: str) -> bool:
        """Whether there is an array at a path."""
        address = self._find(path)
        return address is not None and any(m.kind == _LAYOUT for m in self._blocks.messages(address))

    def attribute(self, path: str, name: str) -> Any:
        """The attribute of a group or an array: a text, a list of texts, or an array of numbers; None without it."""
        address = self._address(path)
        if address not in self._attributes:
            self._attributes[address] = self._named(address)
        found = self._attributes[address].get(name)
        if found is None:
            return None
        if found.datatype.is_text:
            values = texts(found, self._blocks, _MOST_TEXT)
            return values if found.space.shape else values[0]
        return contiguous(found.data, found.datatype.dtype, found.space.shape)

    def entry(self, path: str) -> Entry:
        """The dtype and the shape of the array at a path."""
        dtype, space, _ = self._described(path)
        # What is stored as two bytes without a meaning is a bfloat16.
        return Entry(np.dtype(np.float32) if dtype.kind == "V" else dtype, space.shape)

    def place(self, path: str) -> int:
        """Where the array at a path begins.

        Raises ValueError if it is not in one piece, or within a header.
        """
        _, _, layout = self._described(path)
        if not isinstance(layout, Piece) or layout.inline is not None:
            raise ValueError("its arrays must be in one piece")
        return layout.address

    def read(self, path: str) -> np.ndarray:
        """The array at a path, as large as its entry says; check that first."""
        dtype, space, layout = self._described(path)
        stored = layout.stored(math.prod(space.shape) * dtype.itemsize)
        if stored > self._left:
            raise ValueError("its arrays are larger than the file")
        self._left -= stored
        array = layout.read(dtype, space.shape)
        if dtype.kind == "V":
            array = (array.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return array

    def _described(self, path: str) -> tuple[np.dtype, Dataspace, Layout]:
        if path not in self._arrays:
            self._arrays[path] = self._parsed(path)
        return self._arrays[path]

    def _parsed(self, path: str) -> tuple[np.dtype, Dataspace, Layout]:
        messages = {m.kind: m for m in self._blocks.messages(self._address(path)) if m.kind != _ATTRIBUTE}
        if _EXTERNAL in messages:
            raise ValueError(f"its array {path!r} lies in another file, which is not opened")
        missing = {_DATASPACE, _DATATYPE, _LAYOUT} - set(messages)
        if missing:
            raise ValueError(f"there must be an array at {path!r}")
        for kind in (_DATATYPE, _FILTERS):
            if kind in messages and messages[kind].flags & 2:
                raise ValueError(f"its array {path!r} must have a dtype of its own")
        datatype = Datatype.parsed(messages[_DATATYPE].data)
        dtype = datatype.dtype
        if datatype.is_text:
            raise ValueError(f"its array {path!r} must hold numbers")
        space = Dataspace.parsed(messages[_DATASPACE].data)
        filters = messages[_FILTERS].data if _FILTERS in messages else b""
        return dtype, space, layout_of(self._blocks, messages[_LAYOUT].data, filters)

    def _named(self, address: int) -> dict[str, Attribute]:
        """The attributes of a group or an array by name."""
        found: dict[str, Attribute] = {}
        for message in self._blocks.messages(address):
            if message.kind == _MORE_ATTRIBUTES and message.data[-16:-8].strip(b"\xff"):
                raise ValueError("it has many attributes in the newer of HDF5's forms, which is not read here")
            if message.kind == _ATTRIBUTE:
                one = attribute(message.data)
                found.setdefault(one.name, one)
        return found

    def _members(self, address: int) -> dict[str, int]:
        if address not in self._links:
            self._links[address] = self._blocks.links(address)
        return self._links[address]

    def _find(self, path: str) -> int | None:
        if path not in self._found:
            parent, _, name = path.rpartition("/")
            address = self._find(parent) if parent else self._blocks.root
            if address is not None and name not in ("", "."):
                address = self._members(address).get(name)
            self._found[path] = address
        return self._found[path]

    def _address(self, path: str) -> int:
        address = self._find(path)
        if address is None:
            raise ValueError(f"it must have {path!r}, which is missing or a link to elsewhere")
        return address
