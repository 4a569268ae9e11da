"""The bytes of an HDF5 file: object headers with their messages, groups with their links, B-trees and heaps.

Written after the *HDF5 File Format Specification*, version 3.0; the names of structures are those of that document.
Every size and address comes from a stranger: nothing is read from outside the file. Blocks lie side by side and each is
read once, so that together they are no larger than the file; where they are, they go in a circle or share their bytes.
"""

import os
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from ...objects.tuples import NamedTuple

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
_CONTINUATION, _SYMBOL_TABLE, _LINK_INFO, _LINK = 0x10, 0x11, 0x02, 0x06
# Messages of an object header, which version 1 counts in 16 bits; and steps from text to text in heaps.
_MOST_MESSAGES = 2**16
_MOST_STEPS = 2**20


class Message(NamedTuple):
    """One message of an object header."""

    kind: int
    flags: int
    data: bytes


class Blocks:
    """The blocks of an HDF5 file, which is seekable and stays open, or of bytes.

    Raises ValueError if it is no HDF5 file, or is cut short; methods raise it for whatever is damaged or not supported.
    """

    def __init__(self, file: BinaryIO | bytes) -> None:
        self._file = file
        self.size = self._left = len(file) if isinstance(file, bytes) else file.seek(0, os.SEEK_END)
        self._steps = 0
        self._messages: dict[int, list[Message]] = {}
        if self.size < 8 or self.take(0, 8) != SIGNATURE:
            raise ValueError("it is no HDF5 file")
        version = self.take(8, 1)[0]
        if version not in (0, 1, 2, 3):
            raise ValueError(f"the version of its HDF5 superblock must be 0 to 3, got {version}")
        old = version < 2
        sizes = self.take(13 if old else 9, 2)
        if sizes != b"\x08\x08":
            raise ValueError(f"its addresses must have 8 bytes, got {sizes[0]} and {sizes[1]}")
        # Before the addresses stand versions and flags; the root's follows, in an entry that begins with its name.
        start = {0: 24, 1: 28}.get(version, 12)
        base, _, end, last = struct.unpack("<4Q", self.take(start, 32))
        if base:
            raise ValueError("its HDF5 part must begin where the file begins")
        if end > self.size:
            raise ValueError(f"it is cut short: {end} bytes were written, {self.size} are left")
        self.root = struct.unpack("<Q", self.take(start + 40, 8))[0] if old else last

    def take(self, address: int, size: int) -> bytes:
        """A part of the file, all of which must be there."""
        if not 0 <= address <= address + size <= self.size:
            raise ValueError("it is damaged or cut short: an address leads out of the file")
        if isinstance(self._file, bytes):
            return self._file[address : address + size]
        self._file.seek(address)
        found = self._file.read(size)
        if len(found) != size:
            raise ValueError("it is damaged or cut short")
        return found

    # -- object headers --------------------------------------------------------------------------------------------

    def messages(self, address: int) -> list[Message]:
        """All messages of the object header at an address."""
        if address not in self._messages:
            self._messages[address] = self._parsed(address)
        return self._messages[address]

    def _parsed(self, address: int) -> list[Message]:
        if self.take(address, 4) == b"OHDR":
            part, parse = self._second_header(address)
        else:
            version, _, _, _, size = struct.unpack("<BBHII", self.take(address, 12))
            if version != 1:
                raise ValueError("it is damaged: there is no object header where one must be")
            part, parse = self._once(address + 16, size), _messages_1
        found = list(islice(parse(part), _MOST_MESSAGES + 1))
        # The list grows while it is gone through: a continuation can have others.
        for message in found:
            if message.kind == _CONTINUATION:
                more = self._once(*unpacked("<QQ", message.data))
                found.extend(islice(parse(more if parse is _messages_1 else more[4:-4]), _MOST_MESSAGES))
            if len(found) > _MOST_MESSAGES:
                raise ValueError(f"an object header must have at most {_MOST_MESSAGES} messages")
        return found

    def _second_header(self, address: int) -> tuple[Any, Any]:
        version, flags = self.take(address + 4, 2)
        if version != 2:
            raise ValueError(f"the version of an object header must be 1 or 2, got {version}")
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.take(start, width), "little")
        ordered = bool(flags & 4)
        return self._once(start + width, size), lambda part: _messages_2(part, ordered)

    # -- groups ----------------------------------------------------------------------------------------------------

    def links(self, address: int) -> dict[str, int]:
        """The members of the group at an address: names, and the addresses of their headers.

        Links that lead by a path, to elsewhere or to other files, are left out; so they cannot be followed. To be asked
        once for each group.
        """
        found: dict[str, int] = {}
        for message in self.messages(address):
            if message.kind == _SYMBOL_TABLE:
                found.update(self._symbols(*unpacked("<QQ", message.data)))
            elif message.kind == _LINK:
                found.update(_link(message.data))
            elif message.kind == _LINK_INFO:
                heap = unpacked("<Q", message.data[2 + 8 * (message.data[1:2] > b"\0" and message.data[1] & 1) :])[0]
                if heap != UNDEFINED:
                    raise ValueError(
                        "it has a large group in the newer of HDF5's forms, which is not read here: copy it with h5py, "
                        "h5py.File(copy, 'w', libver='earliest')"
                    )
        return found

    def is_group(self, address: int) -> bool:
        return any(m.kind in (_SYMBOL_TABLE, _LINK_INFO, _LINK) for m in self.messages(address))

    def _symbols(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        if self.take(heap, 4) != b"HEAP":
            raise ValueError("it is damaged: there is no heap where one must be")
        size, _, start = struct.unpack("<QQQ", self.take(heap + 8, 24))
        names, left = self._once(start, size), size
        for _, node in self.leaves(tree, 0, 8):
            if self.take(node, 4) != b"SNOD":
                raise ValueError("it is damaged: there is no table of symbols where one must be")
            count = struct.unpack("<H", self.take(node + 6, 2))[0]
            for offset, header, cache, _, _, _ in struct.iter_unpack("<QQIIQQ", self._once(node + 8, 40 * count)):
                end = names.find(b"\0", offset)
                left -= end + 1 - offset
                if offset >= size or end < 0 or left < 0:
                    raise ValueError("it is damaged: a name leads out of its heap, or into another one")
                # 2 is a link by a path.
                if cache != 2:
                    yield text_of(names[offset:end]), header

    # -- trees and heaps -------------------------------------------------------------------------------------------

    def leaves(self, address: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
        """The keys, each of so many bytes, and the children of all lowest nodes of a B-tree; to be asked once."""
        stack = [address]
        while stack:
            node = stack.pop()
            magic, found, level, count = struct.unpack("<4sBBH", self.take(node, 8))
            if magic != b"TREE" or found != kind:
                raise ValueError("it is damaged: there is no tree where one must be")
            entries = self._once(node, 24 + count * (key + 8))[24:]
            pairs = [
                (entries[i : i + key], struct.unpack_from("<Q", entries, i + key)[0])
                for i in range(0, len(entries), key + 8)
            ]
            if level:
                stack.extend(child for _, child in reversed(pairs))
            else:
                yield from pairs

    def heap_object(self, address: int, index: int, size: int) -> bytes:
        """An object of the global heap."""
        magic, total = struct.unpack("<4s4xQ", self.take(address, 16))
        if magic != b"GCOL":
            raise ValueError("it is damaged: there is no heap where one must be")
        place, end = address + 16, address + total
        while place + 16 <= end:
            found, _, length = struct.unpack("<HH4xQ", self.take(place, 16))
            if found == index and found:
                if size > length:
                    break
                return self.take(place + 16, size)
            if not found:
                break
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise ValueError(f"its texts must be found in at most {_MOST_STEPS} steps")
            place += 16 + -(-length // 8) * 8
        raise ValueError("it is damaged: a text is not where it must be")

    def _once(self, address: int, size: int) -> bytes:
        """A part of the file that belongs to one block alone."""
        self._left -= size
        if self._left < 0:
            raise ValueError("it is damaged: its blocks go in a circle, or share their bytes")
        return self.take(address, size)


def unpacked(form: str, data: bytes) -> tuple[Any, ...]:
    if len(data) < struct.calcsize(form):
        raise ValueError("it is damaged: a message is too short")
    return struct.unpack_from(form, data)


def _messages_1(part: bytes) -> Iterator[Message]:
    place = 0
    while place + 8 <= len(part):
        kind, size, flags = struct.unpack_from("<HHB", part, place)
        yield Message(kind, flags, part[place + 8 : place + 8 + size])
        place += 8 + size


def _messages_2(part: bytes, ordered: bool) -> Iterator[Message]:
    place, head = 0, 6 if ordered else 4
    while place + head <= len(part):
        kind, size, flags = struct.unpack_from("<BHB", part, place)
        yield Message(kind, flags, part[place + head : place + head + size])
        place += head + size


def _link(data: bytes) -> Iterator[tuple[str, int]]:
    """The name and the address that a link message gives, unless it leads by a path."""
    _, flags = unpacked("<BB", data)
    place = 2
    kind = data[place] if flags & 8 and len(data) > place else 0
    place += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    place += width
    if kind == 0:
        yield text_of(data[place : place + length]), unpacked("<Q", data[place + length :])[0]


def text_of(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"it is damaged: {name[:40]!r} is no name") from None
