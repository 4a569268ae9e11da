"""Kernels for a process that has not imported Numba: found on disk by the types of their arguments.

`cache` keeps machine code under a key that only Numba can name. This is the same code once more, under one that takes
no Numba: with what the system says of the processor, and of the files of Numba and llvmlite. Where anything is unusual
(another system, a setting of Numba's, TBB), nothing is found, and Numba is imported as ever.
"""

import contextlib
import ctypes
import functools
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .native import Image, linked, runtime
from .private import lose
from .sources import Sources, digest, read, sealed, sources_of, stem_of, write_in
from .threads import compiler_lock
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES, processor

# Variables of Numba's that machine code does not depend on.
_HARMLESS = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS"}
# Of an array's flags those that Numba tells types apart by: C-contiguous, aligned, writeable.
_CONTIGUOUS, _TOLD = 0x1, 0x500
_NUMBERS: dict[Any, int] = {int: -1, np.int64: -1, float: -2, np.float64: -2, bool: -3, type(None): -4}
_broken = False


@functools.cache
def host() -> tuple | None:
    """What machine code depends on besides its sources; None where none is kept for processes without Numba."""
    set_ = {name for name in os.environ if name.startswith("NUMBA_")} - _HARMLESS
    usual = sys.platform == "linux" and os.uname().machine == "x86_64" and sys.implementation.name == "cpython"
    if set_ or not usual or not processor() or os.path.exists(".numba_config.yaml"):
        return None
    origins = [str(getattr(importlib.util.find_spec(name), "origin", "")) for name in ("numba", "llvmlite")]
    try:
        # In whole seconds, as images of containers keep them.
        stamps = [(path, int(found.st_mtime), found.st_size) for path in origins for found in [os.stat(path)]]
    except OSError:
        return None
    return sys.version, np.__version__, *stamps, processor(), VECTOR_BYTES, TILE_ROWS, TILE_VECS


@functools.cache
def usable() -> bool:
    """Whether this process looks for machine code before it imports Numba."""
    if "numba" in sys.modules or os.environ.get("NUMBACONV_CACHE") == "0" or host() is None:
        return False
    try:
        # Numba would take its threads from there.
        ctypes.CDLL("libtbb.so.12")
    except OSError:
        return True
    return False


def kinds(values: tuple) -> tuple | None:
    """The types of some arguments; None where machine code would not know one of them."""
    found: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is np.ndarray:
            flags = value.flags.num
            if not flags & _CONTIGUOUS:
                return None
            found.append(value.dtype.num << 16 | flags & _TOLD | value.ndim)
        elif isinstance(value, tuple):
            inner = kinds(value)
            if inner is None:
                return None
            found.append(inner if kind is tuple else (kind, inner))
        elif kind in _NUMBERS:
            found.append(_NUMBERS[kind])
        else:
            return None
    return tuple(found)


def test_of(values: tuple) -> Callable[[tuple], bool]:
    """A function that tells whether arguments have the same types as these, whose `kinds` are known.

    It is one expression: loops over arguments of arguments take three times as long, and longer than a small kernel.
    """
    parts: list[str] = []
    names: dict[str, Any] = {"mask": _CONTIGUOUS | _TOLD}

    def tell(value: Any, place: str) -> None:
        name = f"k{len(names)}"
        names[name] = type(value)
        parts.append(f"type({place}) is {name}")
        if isinstance(value, tuple):
            parts.append(f"len({place}) == {len(value)}")
            for i, one in enumerate(value):
                tell(one, f"{place}[{i}]")
        elif isinstance(value, np.ndarray):
            parts.append(f"{place}.dtype is {name}t and {place}.ndim == {value.ndim}")
            parts.append(f"{place}.flags.num & mask == {value.flags.num & names['mask']}")
            names[f"{name}t"] = value.dtype

    tell(values, "a")
    return eval(f"lambda a: {' and '.join(parts)}", names)


def load(function: Callable, of: tuple) -> Any:
    """A kernel's machine code for arguments of these kinds, as a function; None where there is none."""
    global _broken
    sources = sources_of(function)
    if _broken or sources is None:
        return None
    payload = read(sources.places(), *_identity(function, sources, of))
    if payload is None:
        return None
    try:
        with compiler_lock:
            return runtime().function(Image(*pickle.loads(payload)), function.__name__)
    except (ImportError, OSError):
        # No OpenMP, or a system that runs no code which a process has written.
        _broken = True
    except Exception as error:
        _broken = True
        lose("processes that find their machine code on disk import Numba all the same", error)
    return None


def keep(function: Callable, sources: Sources, of: tuple, code: tuple[bytes, str, str]) -> None:
    """Keep machine code, with the names of its wrapper and environment, for processes without Numba."""
    if host() is None:
        return
    name, key = _identity(function, sources, of)
    if not any((folder / name).exists() for folder in sources.folders):
        # Code of another kind is for Numba alone.
        with contextlib.suppress(ImportError):
            content = sealed(key, pickle.dumps(tuple(linked(*code)), 5))
            # Where nothing can be written, `cache` says so.
            write_in(sources.folders, name, content, lambda other: False)


def _identity(function: Callable, sources: Sources, of: tuple) -> tuple[str, bytes]:
    key = repr((stem_of(function), sources.fingerprint, host(), of)).encode()
    return f"{stem_of(function)}-{sources.fingerprint[:12]}-{digest(key).hexdigest()[:20]}.nbm", key
