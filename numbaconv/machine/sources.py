"""The sources that machine code comes from, and the folders and files in which it is kept.

Files lie in the folder ``NUMBA_CACHE_DIR``, if it is set, otherwise in the user's cache folder or, where that cannot be
written, in the ``__pycache__`` beside the source or a private folder among the temporary files. ``NUMBACONV_CACHE=0``
switches all of this off.
"""

import contextlib
import functools
import importlib.machinery
import importlib.util
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from .words import setting

try:
    # By itself: with the module that is meant for it, OpenSSL is loaded, which takes longer than to read a network.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

digest = functools.partial(blake2b, digest_size=32)
# Seconds after which a temporary file has been left behind by a process that was killed.
ABANDONED = 3600


def sources_of(function: Callable) -> "Sources | None":
    """The sources behind a function's machine code, as they were at the first call; None if nothing is to be kept."""
    library, floor, *_ = *function.__module__.split("."), ""
    kept = os.environ.get("NUMBACONV_CACHE") != "0" and library == __name__.partition(".")[0]
    return _sources(f"{library}.{floor}") if kept else None


def all_sources() -> "Sources":
    """All sources of the library."""
    return _sources(__name__.partition(".")[0])


@functools.cache
def stem_of(function: Callable) -> str:
    """How names of all files begin that have to do with a function."""
    module = ".".join(function.__module__.split(".")[2:])
    return f"{module}.{function.__qualname__}.{_python()}".replace("<", "").replace(">", "")


def _python() -> str:
    """Other interpreters have other bytecode, hence other fingerprints, and would delete each other's files."""
    return f"{sys.implementation.cache_tag}{sys.flags.optimize or ''}"


class Sources:
    """The sources that a function's machine code may come from: its floor, with all folders below, and this one."""

    def __init__(self, name: str) -> None:
        # Kernels are made of the words of `machine`.
        self._tree = [*_tree(name), *_tree(__package__)]
        self.stamps = self._stamp()

    @functools.cached_property
    def folders(self) -> list[Path]:
        """Where files are looked for; the first of these that can be written gets the new ones."""
        return list(self.places())

    def places(self) -> Iterator[Path]:
        """The same one by one: who finds his file needs no more of them."""
        source = Path(self._tree[0][0]).absolute()
        name = f"{source.name}_{digest(str(source).encode()).hexdigest()[:20]}"
        given = setting("CACHE_DIR", "")
        if given:
            yield Path(given).absolute() / name
            return
        user = _folder_of_the_user()
        # The user's first: what lay beside the source would stay behind when the package is uninstalled.
        if user.is_absolute():
            yield user / name
        yield source / "__pycache__"
        yield from (folder / name for folder in _private_folder())

    @functools.cached_property
    def fingerprint(self) -> str:
        """A digest of the code that Python runs.

        It is kept for the next process, by what the system says of the files, where Python cannot have taken a file for
        unchanged because only its time and size are: where no bytecode is older than the last change of its source.
        """
        key = repr(self.stamps).encode()
        name = f"{self._stem}{digest(key).hexdigest()[:20]}.nbs"
        certain = bool(self.stamps) and self._bytecode_is_new()
        known = read(self.places(), name, key) if certain else None
        if known is not None:
            return known.decode()
        found = self._fingerprint()
        if certain and self.unchanged():
            # Where nothing can be written, whoever keeps machine code says so.
            write_in(self.folders, name, sealed(key, found.encode()), lambda name: name.startswith(self._stem))
        return found

    @property
    def _stem(self) -> str:
        return f"sources.{_python()}-"

    def _fingerprint(self) -> str:
        found = digest()
        folders = {name: folder for folder, modules in self._tree for name in modules}
        packages = {modules[0] for _, modules in self._tree}
        for name in sorted(folders):
            # Looked up by its file: in the place of a module that is imported another one may stand.
            file = f"{name}.__init__" if name in packages else name
            spec: Any = importlib.machinery.PathFinder.find_spec(file, [folders[name]])
            found.update(name.encode())
            _absorb(spec.loader.get_code(file), found)
        return found.hexdigest()

    def _bytecode_is_new(self) -> bool:
        # Python takes as long to tell the names of all of it as to import a dozen modules.
        around = functools.cache(lambda folder: importlib.util.cache_from_source(f"{folder}/*.py").rpartition("*"))
        for path, _, changed, _ in self.stamps:
            folder, _, name = path.rpartition(os.sep)
            start, _, end = around(folder)
            try:
                if os.stat(f"{start}{name[:-3]}{end}").st_mtime_ns < changed:
                    return False
            except OSError:
                continue
        return True

    def unchanged(self) -> bool:
        """Whether no source was touched since the import; otherwise nobody knows what of it this process runs."""
        return self._stamp() == self.stamps

    def _stamp(self) -> list[tuple]:
        try:
            files = [file for folder, _ in self._tree for file in os.scandir(folder) if file.name.endswith(".py")]
            found = [(file.path, file.stat()) for file in files]
        except OSError:
            # In an archive.
            return []
        return sorted((path, at.st_mtime_ns, at.st_ctime_ns, at.st_size) for path, at in found)


_sources = functools.cache(Sources)


def _tree(package: str) -> Iterator[tuple[str, list[str]]]:
    """The folder of a package and the names of its modules; then the same of all packages below it."""
    spec: Any = importlib.util.find_spec(package)
    yield from _below(package, spec.submodule_search_locations[0])


def _below(package: str, folder: str) -> Iterator[tuple[str, list[str]]]:
    try:
        # Python's finders take longer over this than over an import.
        names = os.listdir(folder)
    except OSError:
        # In an archive.
        import pkgutil

        found = list(pkgutil.iter_modules([folder]))
        modules, packages = ([one.name for one in found if one.ispkg is below] for below in (False, True))
    else:
        stems = dict.fromkeys(name.partition(".")[0] for name in names if name.endswith((".py", ".pyc")))
        modules = [stem for stem in stems if stem != "__init__"]
        packages = [name for name in names if "." not in name and os.path.exists(f"{folder}/{name}/__init__.py")]
    yield folder, [package, *(f"{package}.{name}" for name in modules)]
    for name in packages:
        yield from _below(f"{package}.{name}", os.path.join(folder, name))


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
    # Most processes never come here.
    import tempfile

    try:
        folder = Path(tempfile.gettempdir(), f"numba-{os.getuid()}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return []
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return [folder] if private else []


def _absorb(code: CodeType, found: Any) -> None:
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _absorb(constant, found)
        else:
            constants.append(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
    found.update(repr((names, code.co_code, constants)).encode())


def sealed(key: bytes, payload: bytes) -> bytes:
    """What a file contains: a digest that only this payload under this key has, and the payload."""
    return _seal(key, payload) + payload


def _seal(key: bytes, payload: bytes) -> bytes:
    found = digest(key)
    found.update(payload)
    return found.digest()


def read(folders: Iterable[Path], name: str, key: bytes) -> bytes | None:
    """What the first of these folders has under a name, if it is whole and belongs to the key."""
    for folder in folders:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        payload = content[digest().digest_size :]
        # Nothing else is ever unpickled, let alone run.
        if content.startswith(_seal(key, payload)):
            return payload
    return None


def write_in(folders: list[Path], name: str, content: bytes, old: Callable[[str], bool]) -> list[str]:
    """Put a file into the first folder that can be written, in place of old ones; what went wrong, if all of it did."""
    failures = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / name, content)
        except OSError as error:
            failures.append(str(error))
            continue
        for file in folder.iterdir():
            # Others may be at it, too.
            with contextlib.suppress(OSError):
                if _is_abandoned(file) if file.suffix == ".tmp" else file.name != name and old(file.name):
                    file.unlink()
        return []
    return failures


def _is_abandoned(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > ABANDONED


def write(path: Path, content: bytes) -> None:
    """Put a file in place at once, whoever else is doing the same."""
    temporary = path.with_suffix(f".{os.urandom(8).hex()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except PermissionError:
        # Windows replaces no file that somebody reads, who then finds what would have been written here.
        if not path.exists():
            raise
    finally:
        temporary.unlink(missing_ok=True)
