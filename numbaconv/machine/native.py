"""Machine code without the compiler: an object file of Numba's, put into memory and made a function of Python's.

Numba has LLVM do this, whose import and set-up take longer than a network takes to load. What LLVM makes of a kernel is
a relocatable object file in the ELF format with two kinds of relocation, so little is left to do: sections go one after
the other into memory of their own, and wherever an address is to stand, it is written. All but that is done before the
code is kept. What kernels call lies in small
extension modules of Numba's, which are loaded without the package that they belong to.

Sources: the System V ABI and its supplement for x86-64.
"""

import builtins
import ctypes
import functools
import importlib.util
import mmap
import os
import struct
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from typing import Any

import numpy as np

from ..objects.tuples import NamedTuple
from . import threads

# Types of sections, and the flags of those that are in memory and that can be written.
_SYMBOLS, _RELOCATIONS, _EMPTY = 2, 4, 8
_WRITTEN, _LOADED = 1, 2
# Numbers of sections that are none: of symbols from elsewhere, and of variables that only have a size.
_ELSEWHERE, _COMMON = 0, 0xFFF2
# Kinds of relocation: an address, and the way from here to an address, of 64 bits both.
_ADDRESS, _DISTANCE = 1, 24
_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = np.dtype([("name", "<u4"), ("kind", "<u2"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")])
# Addends may be negative: numbers of 64 bits go round.
_RELOCATION = np.dtype([("offset", "<u8"), ("info", "<u8"), ("addend", "<u8")])
_SCHEDULING = (
    *("do_scheduling_signed", "do_scheduling_unsigned", "allocate_sched", "deallocate_sched", "get_num_threads"),
    *("set_num_threads", "get_thread_id", "set_parallel_chunksize", "get_parallel_chunksize", "get_sched_size"),
)


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def _extension(name: str) -> Any:
    """An extension module of Numba's by itself."""
    spec: Any = importlib.util.find_spec("numba")
    start = os.path.join(spec.submodule_search_locations[0], *name.split("."))
    path = next((start + suffix for suffix in EXTENSION_SUFFIXES if os.path.exists(start + suffix)), start)
    name = f"numba.{name}"
    known = sys.modules.get(name)
    loader = ExtensionFileLoader(name, path)
    found = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))  # type: ignore[arg-type]
    loader.exec_module(found)
    # Numba is to find its modules as if nobody had been there.
    if known is None:
        sys.modules.pop(name, None)
    return found


class Runtime:
    """What kernels need around them: memory, threads, and the way in from Python.

    Raises ImportError if Numba has no such modules, or OpenMP is missing.
    """

    def __init__(self) -> None:
        self._functions, helpers, memory = map(_extension, ("_dynfunc", "_helperlib", "core.runtime._nrt_python"))
        threading = _extension("np.ufunc.omppool")
        self._known: dict[str, int] = {"_Py_NoneStruct": id(None), "numba_parallel_for": threading.parallel_for}
        for module in (helpers, self._functions):
            self._known |= {f"numba_{name}": address for name, address in module.c_helpers.items()}
        for name, address in memory.c_helpers.items():
            self._known[name if name.startswith("_") else f"NRT_{name}"] = address
        self._known |= {name: getattr(threading, name) for name in _SCHEDULING}
        for start in (threading.launch_threads, threading.set_num_threads):
            ctypes.CFUNCTYPE(None, ctypes.c_int)(start)(threads.most())

    def address(self, name: str) -> int:
        """Where a function or variable lies that machine code names."""
        if name not in self._known:
            error = getattr(builtins, name.removeprefix("PyExc_"), None) if name.startswith("PyExc_") else None
            self._known[name] = id(error) if error is not None else _address(name)
        return self._known[name]

    def function(self, image: "Image", name: str) -> Any:
        """What Numba makes of a kernel: a function that takes arguments of the types it was compiled for."""
        memory, base = _placed(image, self)
        empty = self._functions.Environment({})
        ctypes.c_void_p.from_address(base + image.environment).value = id(empty)
        module = sys.modules[__name__]
        return self._functions.make_function(module, name, "", base + image.wrapper, empty, (memory, empty))


runtime = functools.cache(Runtime)


def _address(name: str) -> int:
    for library in (ctypes.pythonapi, ctypes.CDLL(None)):
        found = getattr(library, name, None)
        if found is not None:
            return ctypes.cast(found, ctypes.c_void_p).value or 0
    raise ImportError(f"machine code needs {name}, which nothing has")


class Image(NamedTuple):
    """Machine code as it lies in memory, but for addresses: with variables, which begin after so many ``fixed`` bytes.

    Wrapper and environment tell where they begin. Addresses are to be written at the places: the sum of a number of
    ``terms``, so many ``times`` the address of the image, and the address of one of the names; number 0 is none.
    """

    code: bytes
    fixed: int
    wrapper: int
    environment: int
    names: list[str]
    places: np.ndarray
    terms: np.ndarray
    times: np.ndarray
    number: np.ndarray


def linked(content: bytes, wrapper: str, environment: str) -> Image:
    """An object file's code with its wrapper and environment; ImportError if there are relocations of other kinds."""
    (start,), (size, count) = struct.unpack_from("<Q", content, 40), struct.unpack_from("<HH", content, 58)
    sections = [_Section(*_HEADER.unpack_from(content, start + i * size)) for i in range(count)]
    table = next(section for section in sections if section.kind == _SYMBOLS)
    texts = sections[table.link].offset
    symbols = np.frombuffer(content, _SYMBOL, table.size // _SYMBOL.itemsize, table.offset)
    offsets, fixed, end = _laid_out(sections)
    starts = np.array([offsets.get(i, 0) for i in range(count)], np.int64)
    values = starts[np.where(symbols["section"] < count, symbols["section"], 0)] + symbols["value"].astype(np.int64)
    for i in np.flatnonzero(symbols["section"] == _COMMON).tolist():
        values[i] = end = _up(end, int(symbols["value"][i]))
        end += int(symbols["size"][i])
    code = bytearray(end)
    for i, offset in offsets.items():
        section = sections[i]
        if section.kind != _EMPTY:
            code[offset : offset + section.size] = content[section.offset : section.offset + section.size]
    # What has no name lies nowhere.
    elsewhere = symbols["section"] == _ELSEWHERE
    names = [
        _text(content, texts + int(at)) if there else "" for at, there in zip(symbols["name"], elsewhere, strict=True)
    ]
    listed = sorted({*names} - {""})
    numbers = np.array([1 + listed.index(name) if name else 0 for name in names], np.int64)
    values[elsewhere] = 0
    found = [
        (relocations["offset"].astype(np.int64) + offsets[section.info], relocations["info"], relocations["addend"])
        for section in sections
        if section.kind == _RELOCATIONS and section.info in offsets
        for relocations in [np.frombuffer(content, _RELOCATION, section.size // _RELOCATION.itemsize, section.offset)]
    ]
    places, info, addends = (np.concatenate(parts) for parts in zip(*found, strict=True))
    symbol, kind = (info >> 32).astype(np.int64), info & 0xFFFFFFFF
    unknown = {*kind.tolist()} - {_ADDRESS, _DISTANCE}
    if unknown:
        raise ImportError(f"machine code has a relocation of kind {unknown.pop()}")
    terms = values[symbol] + addends.astype(np.int64) - np.where(kind == _DISTANCE, places, 0)
    times = (~elsewhere[symbol]).astype(np.int64) - (kind == _DISTANCE)
    first, second = (int(values[_symbol_of(name, content, texts, symbols)]) for name in (wrapper, environment))
    return Image(bytes(code), fixed, first, second, listed, places, terms, times, numbers[symbol])


def _laid_out(sections: list[_Section]) -> tuple[dict[int, int], int, int]:
    """Where sections begin that are in memory, where variables begin, and the end."""
    offsets, fixed, end = {}, 0, 0
    # Pages that are written, as variables are, do not run.
    for written in (0, _WRITTEN):
        for i, section in enumerate(sections):
            if section.flags & _LOADED and section.flags & _WRITTEN == written:
                offsets[i] = end = _up(end, section.align)
                end += section.size
        if not written:
            fixed = end = _up(end, mmap.PAGESIZE)
    return offsets, fixed, end


def _placed(image: Image, runtime: Runtime) -> tuple[mmap.mmap, int]:
    """Memory with machine code, ready to run, and its address."""
    addresses = np.array([0, *map(runtime.address, image.names)], np.int64)
    memory = mmap.mmap(-1, len(image.code), prot=mmap.PROT_READ | mmap.PROT_WRITE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    memory[:] = image.code
    wanted = image.terms + image.times * base + addresses[image.number]
    np.frombuffer(memory, np.uint8)[image.places[:, None] + np.arange(8)] = wanted.view(np.uint8).reshape(-1, 8)
    _make_executable(base, image.fixed)
    return memory, base


def _symbol_of(name: str, content: bytes, texts: int, symbols: np.ndarray) -> int:
    """The number of the symbol that has this name."""
    at = texts - 1
    while True:
        # A name may also be the end of another one.
        at = content.index(f"{name}\0".encode(), at + 1)
        found = np.flatnonzero(symbols["name"] == at - texts)
        if len(found):
            return int(found[0])


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()


def _up(size: int, step: int) -> int:
    return -(-size // max(step, 1)) * max(step, 1)


def _make_executable(base: int, size: int) -> None:
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    if protect(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "memory cannot be made executable")
