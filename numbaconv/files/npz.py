"""Reading npz files of unknown origin: nothing in them is executed, and no more is read than was asked for."""

import re
import zipfile
from math import prod
from typing import Any, BinaryIO

import numpy as np

from ..objects.tuples import NamedTuple
from .zipped import Zipped

# What `numpy.save` writes before the data, and nothing else: no expression is ever evaluated.
_HEADER = re.compile(
    r"\{'descr': '([<>|][a-zA-Z][0-9]{1,9})', 'fortran_order': (True|False), "
    r"'shape': \(((?:[0-9]{1,18}(?:, [0-9]{1,18}){0,8},?)?)\), \} *\n"
)
_LONGEST_HEADER = 10_000


class Entry(NamedTuple):
    """An array as its header describes it."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool
    start: int

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape)


class Archive:
    """The arrays of an npz file, which is seekable and stays open, by name.

    Raises ValueError if it is no zip archive, or its directory is not one that `numpy.savez` or ``savez_compressed``
    would write.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zipped = Zipped(file)
        infos = self._zipped.infos
        self._names = {name.removesuffix(".npy"): name for name in infos}
        if len(self._names) < len(infos):
            raise ValueError("several of its entries have the same name")
        self.entries = {name: self._entry(infos[full]) for name, full in self._names.items()}

    def read(self, name: str) -> np.ndarray:
        """The array of this name, read-only and as large as its entry says; check that first."""
        entry = self.entries[name]
        data = self._zipped.data(self._names[name], entry.start, entry.nbytes)
        return np.ndarray(entry.shape, entry.dtype, data, order="F" if entry.fortran_order else "C")

    def _entry(self, info: zipfile.ZipInfo) -> Entry:
        with self._zipped.open(info.filename) as stream:
            magic = stream.read(8)
            size = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(magic, 0)
            length = int.from_bytes(stream.read(size), "little")
            found: Any = length <= _LONGEST_HEADER and _HEADER.fullmatch(stream.read(length).decode("latin1"))
        if not size or not found:
            raise ValueError(f"its entry {info.filename!r} must be an array of numbers or a text, without pickles")
        descr, fortran_order, sizes = found.groups()
        shape = tuple(int(n) for n in sizes.split(",") if n.strip())
        entry = Entry(np.dtype(descr), shape, fortran_order == "True", 8 + size + length)
        if entry.start + entry.nbytes != info.file_size:
            raise ValueError(f"its entry {info.filename!r} must have {entry.nbytes} bytes of data")
        return entry
