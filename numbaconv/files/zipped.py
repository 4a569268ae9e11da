"""Zip archives of unknown origin: checked before anything is taken out, and taken out within bounds."""

import os
import struct
import zipfile
from typing import BinaryIO

# Deflate makes at most 1032 bytes of one.
_MOST_INFLATED = 1032
_PART = 2**20
# Bytes before the name of an entry, the last four of which say how long the name is and what follows it.
_HEADER = 30


class Zipped:
    """The entries of a zip archive, a seekable file that stays open, by name, none of them read yet.

    Raises ValueError if it is no zip archive, or its directory is not one that NumPy or Keras would write.
    """

    def __init__(self, file: BinaryIO) -> None:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no zip archive, or is cut short")
        self._file = file
        self._archive = zipfile.ZipFile(file)
        infos = self._archive.infolist()
        self.infos = {info.filename: info for info in infos}
        if len(self.infos) < len(infos):
            raise ValueError("several of its entries have the same name")
        # Entries that share their bytes could be many times as large as the file.
        if sum(info.compress_size for info in infos) > file.seek(0, os.SEEK_END):
            raise ValueError("its entries are larger than the file")
        for info in infos:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its entry {info.filename!r} must be stored or deflated")
            if info.file_size > _MOST_INFLATED * info.compress_size:
                raise ValueError(f"its entry {info.filename!r} says that it is larger than it can be")

    def open(self, name: str) -> zipfile.ZipExtFile:
        """A stream of what an entry holds."""
        return self._archive.open(self.infos[name])  # type: ignore[return-value]

    def place(self, name: str) -> int:
        """Where an entry begins that is stored as it is.

        Raises ValueError if it is not stored as it is.
        """
        info = self.infos[name]
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its entry {name!r} must be stored")
        self._file.seek(info.header_offset + _HEADER - 4)
        return info.header_offset + _HEADER + sum(struct.unpack("<HH", self._file.read(4)))

    def data(self, name: str, skipped: int, size: int) -> bytes:
        """So many bytes of an entry, but for some at its start."""
        with self.open(name) as stream:
            stream.read(skipped)
            found = stream.read(size)
        if len(found) != size:
            raise ValueError(f"its entry {name!r} is cut short")
        return found

    def fill(self, target: memoryview, name: str, skipped: int = 0) -> None:
        """Fill bytes with those of an entry, but for some at its start."""
        with self.open(name) as stream:
            stream.read(skipped)
            # In parts: what is being inflated takes memory of its own.
            for start in range(0, len(target), _PART):
                part = target[start : start + _PART]
                if stream.readinto(part) != len(part):
                    raise ValueError(f"its entry {name!r} is cut short")

    def content(self, name: str, most: int) -> bytes:
        """The bytes of an entry.

        Raises ValueError if there are more than ``most`` of them, or no such entry.
        """
        if name not in self.infos:
            raise ValueError(f"it has no entry {name!r}")
        size = self.infos[name].file_size
        if size > most:
            raise ValueError(f"its entry {name!r} must have at most {most} bytes, got {size}")
        if self.infos[name].compress_type == zipfile.ZIP_STORED:
            # Comes without a copy.
            return self.data(name, 0, size)
        found = bytearray(size)
        self.fill(memoryview(found), name)
        return bytes(found)
