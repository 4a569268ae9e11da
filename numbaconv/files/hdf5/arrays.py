"""Where the numbers of an array lie in an HDF5 file, and how they are read: in one piece, or in compressed chunks."""

import math
import struct
import zlib
from typing import Protocol

import numpy as np

from ...objects.tuples import NamedTuple
from .blocks import UNDEFINED, Blocks, unpacked

_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3
_SMALL = 2**20


class Layout(Protocol):
    """Where the numbers of an array lie."""

    def stored(self, size: int) -> int:
        """Bytes of the file that an array of so many bytes takes at least."""

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The array."""


class Piece(NamedTuple):
    """In one piece."""

    blocks: Blocks
    address: int
    size: int
    inline: bytes | None = None

    def stored(self, size: int) -> int:
        return size

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        size = math.prod(shape) * dtype.itemsize
        if size > self.size:
            raise ValueError(f"an array of shape {shape} must have {size} bytes, got {self.size}")
        inline = b"" if not size else self.inline
        return contiguous(self.blocks.take(self.address, size) if inline is None else inline, dtype, shape)


class Chunks(NamedTuple):
    """In chunks, which a B-tree finds."""

    blocks: Blocks
    address: int
    sizes: tuple[int, ...]
    filters: tuple[int, ...]

    def stored(self, size: int) -> int:
        # Deflate makes at most 1032 bytes of one.
        return size // 1032 if _DEFLATE in self.filters else size

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        size, chunk = math.prod(shape) * dtype.itemsize, math.prod(self.sizes) * dtype.itemsize
        if len(self.sizes) != len(shape) or not chunk or chunk > 4 * size + _SMALL:
            raise ValueError(f"the chunks of an array of shape {shape} must be smaller than it, got {self.sizes}")
        # Before memory is taken for them, all chunks must be known to be there.
        chunks = {}
        for key, address in self.blocks.leaves(self.address, 1, 16 + 8 * len(shape)):
            place = struct.unpack_from(f"<{len(shape)}Q", key, 8)
            if any(start % step or start >= end for start, step, end in zip(place, self.sizes, shape, strict=True)):
                raise ValueError("it is damaged: a chunk lies outside its array")
            chunks[place] = (address, *struct.unpack_from("<II", key))
        expected = math.prod(-(-end // step) for end, step in zip(shape, self.sizes, strict=True))
        if len(chunks) != expected:
            raise ValueError(f"an array of shape {shape} must have {expected} chunks, got {len(chunks)}")
        array = np.empty(shape, dtype)
        for place, (address, length, mask) in chunks.items():
            data = self._unfiltered(self.blocks.take(address, length), mask, chunk, dtype.itemsize)
            part = contiguous(data, dtype, self.sizes)
            target = array[tuple(slice(start, start + step) for start, step in zip(place, self.sizes, strict=True))]
            target[...] = part[tuple(slice(n) for n in target.shape)]
        return array

    def _unfiltered(self, data: bytes, mask: int, size: int, width: int) -> bytes:
        for i, kind in reversed(list(enumerate(self.filters))):
            if mask >> i & 1:
                continue
            if kind == _DEFLATE:
                data = zlib.decompressobj().decompress(data, size + 4)
            elif kind == _CHECKSUM:
                data = data[:-4]
            elif len(data) % width == 0:
                data = np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
        return data


def contiguous(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes as an array of this machine's byte order."""
    size = math.prod(shape) * dtype.itemsize
    if len(data) < size:
        raise ValueError(f"it is damaged: an array of shape {shape} must have {size} bytes, got {len(data)}")
    array = np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)
    return array if dtype.kind == "V" else array.astype(dtype.newbyteorder("="), copy=False)


def layout_of(blocks: Blocks, data: bytes, filters: bytes) -> Layout:
    """The layout that a message describes."""
    version, kind = unpacked("<BB", data)
    if version in (3, 4) and kind == _COMPACT:
        size = unpacked("<H", data[2:])[0]
        return Piece(blocks, 0, size, data[4 : 4 + size])
    if version in (3, 4) and kind == _CONTIGUOUS:
        address, size = unpacked("<QQ", data[2:])
        return Piece(blocks, address, 0 if address == UNDEFINED else size)
    if version == 3 and kind == _CHUNKED:
        # The last size is that of an element.
        count, address = unpacked("<BQ", data[2:])
        return Chunks(blocks, address, unpacked(f"<{count}I", data[11:])[:-1], _filters(filters))
    raise ValueError("its arrays must lie in the file in one piece, or in chunks as h5py makes them by default")


def _filters(data: bytes) -> tuple[int, ...]:
    """The filters of a pipeline, in the order in which they were applied."""
    if not data:
        return ()
    version, count = unpacked("<BB", data)
    place, found = 8 if version == 1 else 2, []
    for _ in range(count):
        kind = unpacked("<H", data[place:])[0]
        if kind not in (_DEFLATE, _SHUFFLE, _CHECKSUM):
            raise ValueError(f"its arrays must be plain or compressed with gzip, got HDF5's filter {kind}")
        found.append(kind)
        if version == 1:
            name, _, values = unpacked("<HHH", data[place + 2 :])
            place += 8 + -(-name // 8) * 8 + 4 * (values + values % 2)
        else:
            place += 6 + 4 * unpacked("<HH", data[place + 2 :])[1]
    return tuple(found)
