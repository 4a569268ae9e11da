"""Machine code kept on disk: one file for each function and set of argument types.

Numba's own cache looks at the source file of a function alone, so that it runs old machine code after a change in a
helper of another file; it trusts whatever it reads; and processes that compile at once can lose each other's entries.
Here the name of a file tells all that its content depends on, the content begins with a digest of itself, and a new
file appears whole under its name or not at all, so there is nothing to lock and nothing that a killed process could
leave half done.

Files lie in the folder ``NUMBA_CACHE_DIR``, if it is set, otherwise in the user's cache folder or, where that cannot be
written, in the ``__pycache__`` beside the source or a private folder among the temporary files. ``NUMBACONV_CACHE=0``
switches all of this off.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import pickle
import pkgutil
import secrets
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba import config as _config

from .private import losses, lost_without

_UNKEPT = "compiled code is not kept on disk, so that every process compiles for seconds"
with lost_without(_UNKEPT):
    from numba.core.compiler import CompileResult
    from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]
    from numba.core.serialize import dumps

# Seconds after which a temporary file has been left behind by a process that was killed.
ABANDONED = 3600

_warned = False
# Typed as a module that defines nothing.
config: Any = _config


def keep_on_disk(dispatcher: Any, *settings: Any, called: bool = False) -> None:
    """Let a Numba dispatcher keep its machine code.

    Parameters
    ----------
    dispatcher : numba dispatcher
        Of a function of a module of this package; for functions from elsewhere nothing is kept.
    *settings
        What the machine code depends on besides the sources of the function's package; their ``repr`` must tell.
    called : bool
        Whether other compiled functions call it, into which its bitcode goes.
    """
    function: Callable = dispatcher.py_func
    sources = sources_of(function)
    if sources and _UNKEPT not in losses:
        with lost_without(_UNKEPT):
            # Numba's own keeps nothing.
            dispatcher._cache.load_overload, dispatcher._cache.save_overload  # noqa: B018
            dispatcher._cache = _DiskCache(function, sources, settings, called)


def sources_of(function: Callable) -> "_Sources | None":
    """The sources behind a function's machine code, as they were at the first call; None if nothing is to be kept."""
    library, floor, *_ = *function.__module__.split("."), ""
    kept = os.environ.get("NUMBACONV_CACHE") != "0" and library == __name__.partition(".")[0]
    return _sources(f"{library}.{floor}") if kept else None


def folders(dispatcher: Any) -> list[Path] | None:
    """Where a dispatcher looks for machine code; the first that can be written gets it. None if it keeps none."""
    return getattr(getattr(dispatcher, "_cache", None), "folders", None)


class _DiskCache:
    def __init__(self, function: Callable, sources: "_Sources", settings: tuple, called: bool) -> None:
        module = ".".join(function.__module__.split(".")[2:])
        # Other interpreters have other bytecode, hence other fingerprints, and would delete each other's files.
        python = f"{sys.implementation.cache_tag}{sys.flags.optimize or ''}"
        self._stem = f"{module}.{function.__qualname__}.{python}".replace("<", "").replace(">", "")
        self._sources, self._settings, self._called = sources, settings, called

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
                payload = self._read(*self._identity(sig, target_context.codegen()))
                if payload is not None:
                    found = CompileResult._rebuild(target_context, *pickle.loads(payload))
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for argument types `sig`."""
        name, content = "", b""
        if self._is_usable():
            with lost_without(_UNKEPT):
                # Dynamic globals are addresses in this very process.
                if not data._asdict()["library"].has_dynamic_globals:
                    name, key = self._identity(sig, data.codegen)
                    content = _sealed(key, dumps(data._reduce() if self._called else _needed(data)))
        if content:
            self._write(name, content)

    def _is_usable(self) -> bool:
        return _UNKEPT not in losses and self._sources.unchanged()

    def _read(self, name: str, key: bytes) -> bytes | None:
        for folder in self._sources.folders:
            try:
                content = (folder / name).read_bytes()
            except OSError:
                continue
            payload = content[hashlib.sha256().digest_size :]
            # Nothing else is ever unpickled, let alone run.
            if content == _sealed(key, payload):
                return payload
        return None

    def _write(self, name: str, content: bytes) -> None:
        failures = []
        for folder in self._sources.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder / name, content)
                self._prune(folder)
                return
            except OSError as error:  # noqa: PERF203
                failures.append(str(error))
        _warn(failures)

    def _identity(self, sig: Any, codegen: Any) -> tuple[str, bytes]:
        """The name of the file, and the key that seals it."""
        versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
        target = (*codegen.magic_tuple(), bool(config.BOUNDSCHECK))
        key = repr((self._stem, self._sources.fingerprint, versions, target, self._settings, sig)).encode()
        return f"{self._prefix}{hashlib.sha256(key).hexdigest()[:20]}.nbc", key

    @property
    def _prefix(self) -> str:
        return f"{self._stem}-{self._sources.fingerprint[:12]}-"

    def _prune(self, folder: Path) -> None:
        """Delete what other sources have left, and abandoned temporary files."""
        for file in folder.glob(f"{self._stem}-*"):
            temporary, current = file.suffix == ".tmp", file.name.startswith(self._prefix)
            # Others may be at it, too.
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > ABANDONED if temporary else not current:
                    file.unlink()


class _Sources:
    """The sources that a function's machine code may come from: its floor, with all folders below, and this one."""

    def __init__(self, name: str) -> None:
        # Kernels are made of the words of `machine`.
        self._tree = [*_tree(name), *_tree(__package__)]
        self._stamps = self._stamp()

    @functools.cached_property
    def folders(self) -> list[Path]:
        source = Path(self._tree[0][0]).absolute()
        name = f"{source.name}_{hashlib.sha256(str(source).encode()).hexdigest()[:20]}"
        if config.CACHE_DIR:
            return [Path(config.CACHE_DIR).absolute() / name]
        user = _folder_of_the_user()
        users = [user / name] if user.is_absolute() else []
        # The user's first: what lay beside the source would stay behind when the package is uninstalled.
        return [*users, source / "__pycache__", *(folder / name for folder in _private_folder())]

    @functools.cached_property
    def fingerprint(self) -> str:
        """A digest of the code that Python runs.

        Python takes a source file of the same time and size for unchanged, so that the text may be newer than the code.
        """
        digest = hashlib.sha256()
        for name in sorted(name for _, modules in self._tree for name in modules):
            spec: Any = importlib.util.find_spec(name)
            digest.update(name.encode())
            _absorb(spec.loader.get_code(name), digest)
        return digest.hexdigest()

    def unchanged(self) -> bool:
        """Whether no source was touched since the import; otherwise nobody knows what of it this process runs."""
        return self._stamp() == self._stamps

    def _stamp(self) -> list[tuple]:
        try:
            files = [file for folder, _ in self._tree for file in os.scandir(folder) if file.name.endswith(".py")]
            found = [(file.path, file.stat()) for file in files]
        except OSError:
            # In an archive.
            return []
        return sorted((path, at.st_mtime_ns, at.st_ctime_ns, at.st_size) for path, at in found)


_sources = functools.cache(_Sources)


@functools.cache
def _offer_runtime() -> None:
    """Tell LLVM where those functions of Numba's are that kernels call.

    Numba would also compile some that kernels contain already, and import whatever could be compiled, down to SciPy.
    """
    for name, address in _nrt_python.c_helpers.items():
        llvmlite.binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


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


def _tree(package: str) -> Iterator[tuple[str, list[str]]]:
    """The folder of a package and the names of its modules; then the same of all packages below it."""
    spec: Any = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations)
    found = [(name, below) for _, name, below in pkgutil.iter_modules(folders, f"{package}.")]
    yield folders[0], [package, *(name for name, below in found if not below)]
    for name, below in found:
        if below:
            yield from _tree(name)


def _folder_of_the_user() -> Path:
    """Where Numba, too, keeps code for a user; relative for one without a home."""
    known = {"win32": ("LOCALAPPDATA", "~/AppData/Local"), "darwin": ("", "~/Library/Caches")}
    variable, usual = known.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    # Where pathlib would raise an error, "~" stays as it is here.
    return Path(os.environ.get(variable) or os.path.expanduser(usual)) / "numba"


def _private_folder() -> list[Path]:
    """Among the temporary files, for users whose home cannot be written; none where others could put code into it."""
    if not hasattr(os, "getuid"):
        return []
    try:
        folder = Path(tempfile.gettempdir(), f"numba-{os.getuid()}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return []
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return [folder] if private else []


def _absorb(code: CodeType, digest: Any) -> None:
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _absorb(constant, digest)
        else:
            constants.append(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
    digest.update(repr((names, code.co_code, constants)).encode())


def _sealed(key: bytes, payload: bytes) -> bytes:
    """What a file contains: a digest that only this payload under this key has, and the payload."""
    return hashlib.sha256(key + payload).digest() + payload


def _write(path: Path, content: bytes) -> None:
    """Put a file in place at once, whoever else is doing the same."""
    temporary = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except PermissionError:
        # Windows replaces no file that somebody reads, who then finds what would have been written here.
        if not path.exists():
            raise
    finally:
        temporary.unlink(missing_ok=True)


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
