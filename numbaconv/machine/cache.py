"""Machine code kept on disk: one file for each function and set of argument types.

Numba's own cache looks at the source file of a function alone, so that it runs old machine code after a change in a
helper of another file; it trusts whatever it reads; and processes that compile at once can lose each other's entries.
Here the name of a file tells all that its content depends on, the content begins with a digest of itself, and a new
file appears whole under its name or not at all, so there is nothing to lock and nothing that a killed process could
leave half done.

Where files lie is in `sources`; what a process without Numba reads of them, in `start`.
"""

import functools
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba import config as _config

from . import sharing, start
from .private import losses, lost_without
from .sources import Sources, digest, read, sealed, sources_of, stem_of, write_in

_UNKEPT = "compiled code is not kept on disk, so that every process compiles for seconds"
with lost_without(_UNKEPT):
    from numba.core.compiler import CompileResult
    from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]
    from numba.core.serialize import dumps
    from numba.np.numpy_support import as_dtype

_NUMBERS = {numba.int64: -1, numba.float64: -2, numba.boolean: -3, numba.none: -4}
_warned = False
# Typed as a module that defines nothing.
config: Any = _config


def keep_on_disk(dispatcher: Any, *settings: Any, called: bool = False) -> None:
    """Let a Numba dispatcher keep its machine code, if it is of a function of this package.

    The ``repr`` of the settings tells what the code depends on besides the sources of the function's package;
    ``called`` is whether other compiled functions call it, into which its bitcode goes.
    """
    function: Callable = dispatcher.py_func
    sources = sources_of(function)
    if sources and _UNKEPT not in losses:
        with lost_without(_UNKEPT):
            # Numba's own keeps nothing.
            dispatcher._cache.load_overload, dispatcher._cache.save_overload  # noqa: B018
            dispatcher._cache = _DiskCache(function, sources, settings, called)


def folders(dispatcher: Any) -> list[Path] | None:
    """Where a dispatcher looks for machine code; the first that can be written gets it. None if it keeps none."""
    return getattr(getattr(dispatcher, "_cache", None), "folders", None)


class _DiskCache:
    def __init__(self, function: Callable, sources: "Sources", settings: tuple, called: bool) -> None:
        self._function, self._sources, self._settings, self._called = function, sources, settings, called
        self._stem = stem_of(function)

    @property
    def folders(self) -> list[Path]:
        """Where files are looked for; the first of these that can be written gets the new ones."""
        return self._sources.folders

    @property
    def cache_path(self) -> str:
        return str(self.folders[0])

    def flush(self) -> None:
        """Numba calls it before it compiles anew what is there already."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for argument types `sig`, or None."""
        found = None
        if self._is_usable():
            with lost_without(_UNKEPT):
                _offer_runtime()
                found = self._read(sig, target_context)
            if found is None and _UNKEPT not in losses:
                # That somebody else compiles it is no loss.
                sharing.claim(self.folders[0], self._identity(sig, target_context.codegen())[0])
                with lost_without(_UNKEPT):
                    found = self._read(sig, target_context)
        return found

    def _read(self, sig: Any, target_context: Any) -> Any:
        payload = read(self.folders, *self._identity(sig, target_context.codegen()))
        if payload is None:
            return None
        data = pickle.loads(payload)
        if not self._called:
            # Until 0.61, Numba does not see to it where a kernel's parallel loop is in a function that it calls.
            numba.get_num_threads()
        found = CompileResult._rebuild(target_context, *data)
        self._keep_for_starts(sig, data)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for argument types `sig`."""
        name, content = "", b""
        if self._is_usable():
            with lost_without(_UNKEPT):
                # Dynamic globals are addresses in this very process.
                if not data._asdict()["library"].has_dynamic_globals:
                    name, key = self._identity(sig, data.codegen)
                    needed = data._reduce() if self._called else _needed(data)
                    content = sealed(key, dumps(needed))
                    self._keep_for_starts(sig, needed)
        if content:
            self._write(name, content)
        sharing.release()

    def _keep_for_starts(self, sig: Any, data: tuple) -> None:
        """Keep machine code a second time, for processes that do without Numba."""
        (_, kind, code), described, own, *_, environments = data
        plain = config.CPU_NAME is None and config.CPU_FEATURES is None and not config.BOUNDSCHECK
        of = None if self._called or kind != "object" or not plain else _kinds(sig)
        # Constants that are objects, which only Numba can bring back.
        if of is not None and not (own.consts or environments):
            names = described.llvm_cpython_wrapper_name, described.env_name
            start.keep(self._function, self._sources, of, (code[0], *names))

    def _is_usable(self) -> bool:
        return _UNKEPT not in losses and self._sources.unchanged()

    def _write(self, name: str, content: bytes) -> None:
        def old(other: str) -> bool:
            # What other sources have left.
            return other.startswith(f"{self._stem}-") and not other.startswith(self._prefix)

        failures = write_in(self.folders, name, content, old)
        if failures:
            _warn(failures)

    def _identity(self, sig: Any, codegen: Any) -> tuple[str, bytes]:
        """The name of the file, and the key that seals it."""
        versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
        target = (*codegen.magic_tuple(), bool(config.BOUNDSCHECK))
        key = repr((self._stem, self._sources.fingerprint, versions, target, self._settings, sig)).encode()
        return f"{self._prefix}{digest(key).hexdigest()[:20]}.nbc", key

    @property
    def _prefix(self) -> str:
        return f"{self._stem}-{self._sources.fingerprint[:12]}-"


@functools.cache
def _offer_runtime() -> None:
    """Tell LLVM where those functions of Numba's are that kernels call.

    Numba would also compile some that kernels contain already, and import whatever could be compiled, down to SciPy.
    """
    for name, address in _nrt_python.c_helpers.items():
        llvmlite.binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _kinds(types: Any) -> tuple | None:
    """Numba's types of arguments as `start.kinds` tells them."""
    found: list[Any] = []
    for kind in types:
        if isinstance(kind, numba.types.Array):
            if kind.layout != "C":
                return None
            flags = 0x100 * bool(kind.aligned) | 0x400 * bool(kind.mutable)
            found.append(as_dtype(kind.dtype).num << 16 | flags | kind.ndim)
        elif isinstance(kind, numba.types.BaseTuple):
            inner = _kinds(kind)
            if inner is None:
                return None
            named = getattr(kind, "instance_class", None)
            found.append(inner if named is None else (named, inner))
        elif kind in _NUMBERS:
            found.append(_NUMBERS[kind])
        else:
            return None
    return tuple(found)


def _needed(data: Any) -> tuple:
    """What of a kernel that Python alone calls is to be kept: loading the rest would take longer than all else.

    Its bitcode says what names are in the machine code, of which Numba looks up that of the wrapper and those of
    environments, which are for constants that are objects.
    """
    (name, kind, (machine_code, _)), described, own, *others, environments = data._reduce()
    environments = tuple(one for one in environments if one.consts)
    named = {described.llvm_cpython_wrapper_name, described.env_name, *(one.env_name for one in environments)}
    names = "\n".join(f'@"{one}" = global i8* null' for one in sorted(named))
    bitcode = llvmlite.binding.parse_assembly(names).as_bitcode()
    return (name, kind, (machine_code, bitcode)), described, own, *others, environments


def _warn(failures: list[str]) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"numbaconv cannot keep compiled code on disk ({'; '.join(failures)}), so every process compiles it anew, "
            "which takes seconds. Set NUMBA_CACHE_DIR to a folder that can be written, or NUMBACONV_CACHE=0 to do "
            "without.",
            RuntimeWarning,
            stacklevel=2,
        )
