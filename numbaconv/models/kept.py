"""Networks of ``.keras`` files as they stand in memory, kept on disk: the next process need not make and plan them.

Reading a file's directory and its texts, making layers, connecting them and planning what `predict` runs takes longer
than to compute a small network. What all of that comes to is kept beside the machine code: without weights, which are
read from where they lie in the file. It is found by the end of the file, where the directory of its archive is, and
used where the whole file is found to be the same. So nobody but this library says what is made: a file's bytes
are compared, and its weights are numbers.
"""

import io
import os
import pickle
import stat
import sys
import zlib
from contextlib import suppress
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .. import config
from ..common.random import Later
from ..kernels.plan.host import HOST
from ..layers.settings import Changes
from ..layers.weights import lasting
from ..machine import sources, start
from ..machine.vectors import CACHE_LINE
from ..objects.tuples import NamedTuple
from .fused.folding import Folded
from .program import within

if TYPE_CHECKING:
    from ..files.keras_file import KerasFile

# Bytes at the end of a file by which it is found, and those that are read at once.
_TAIL, _CHUNK = 2**16, 2**20
# Networks that are kept, and shapes of the inputs of each.
_MOST, _MOST_SHAPES = 32, 4
# Seconds for which nobody must have written to a file: a clock does not tell what comes within a tick of it.
SETTLED = 2.0
# Variables that nothing kept depends on.
_HARMLESS = {"NUMBACONV_CACHE", "NUMBACONV_COMPILERS", "NUMBACONV_NOTICE"}
# From now on changes of the sources are seen.
_SOURCES = sources.all_sources()


class Place(NamedTuple):
    """Where a weight lies in its file, and its number."""

    number: int
    begin: int
    size: int
    dtype: str
    shape: tuple[int, ...]


class Content(NamedTuple):
    """What is kept of a file.

    ``seeds`` are those of its layers' generators; ``trained`` says whether the file tells how it was compiled.
    ``runners`` are those of its program, by threads and shapes.
    """

    digest: bytes
    places: list[Place]
    seeds: list[int | None]
    trained: bool
    model: bytes
    runners: dict[Any, bytes]


class _Pickler(pickle.Pickler):
    """Pickles all but some objects, in whose place it puts numbers or words."""

    def __init__(self, file: BinaryIO, known: dict[int, Any]) -> None:
        super().__init__(file, 5)
        self._known = known

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is Folded:
            return obj.kind, [self._known[id(one)] for one in obj.layers]
        known = self._known.get(id(obj))
        if known is None and type(obj).__module__.startswith("numpy.random"):
            raise pickle.PicklingError("random numbers would be the same in all processes")
        return known


class _Unpickler(pickle.Unpickler):
    """Puts these objects in again."""

    def __init__(self, content: bytes, found: Any) -> None:
        super().__init__(io.BytesIO(content))
        self._found = found

    def persistent_load(self, pid: Any) -> Any:
        return self._found(pid)


def _pickled(value: Any, known: dict[int, Any]) -> bytes:
    file = io.BytesIO()
    _Pickler(file, known).dump(value)
    return file.getvalue()


class Kept:
    """Where a network is kept, as long as it is as it was read."""

    def __init__(self, name: str, key: bytes, content: Content, program: Any) -> None:
        self._name, self._key, self._content, self._program = name, key, content, program
        self._changes = Changes.count

    @property
    def _operations(self) -> list[Any]:
        """What stages are made from, in an order that is the same for each process."""
        return _operations(self._program)

    def runner(self, key: Any, folding: Any) -> tuple[Any, list[Any]] | None:
        """The runner for so many threads and these shapes, and the networks within; None where there is none.

        ``folding`` gives what a stage of some kind multiplies by, for layers.
        """
        known = self._content.runners.get(key)
        if known is None or self._changes != Changes.count:
            return None

        operations = self._operations

        def found(pid: Any) -> Any:
            return operations[pid] if isinstance(pid, int) else folding(pid[0], [operations[i] for i in pid[1]])

        with suppress(Exception):
            runner, nested = _Unpickler(known, found).load()
            if all(one.fuse is fuse for one, fuse in nested):
                return runner, [(one, within(one), fuse) for one, fuse in nested]
        return None

    def keep(self, key: Any, runner: Any, nested: list[Any]) -> None:
        """Keep a runner for later processes, too."""
        if self._changes != Changes.count or len(self._content.runners) >= _MOST_SHAPES or not _SOURCES.unchanged():
            return
        numbers = {id(one): i for i, one in enumerate(self._operations)}
        # What cannot be pickled is made anew.
        with suppress(Exception):
            self._content.runners[key] = _pickled((runner, [(one, fuse) for one, _, fuse in nested]), numbers)
            _write(self._name, self._key, self._content)


def found(path: str | os.PathLike[str], compile: bool) -> Any:
    """The model in a file that is kept; None where there is none, or where more than the model is asked for."""
    with suppress(Exception):
        # Of others, opening alone may wait for ever.
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb", buffering=0) as file:
                return _found(file, compile)
    return None


def _found(file: BinaryIO, compile: bool) -> Any:
    name, key = _identity(file)
    payload = sources.read(_SOURCES.places(), name, key) if name else None
    if payload is None:
        return None
    content = Content(*pickle.loads(payload))
    if compile and content.trained:
        return None
    digest, arrays = _read(file, content.places)
    if digest != content.digest:
        return None
    generators = [Later(seed) for seed in content.seeds]
    model = _Unpickler(content.model, lambda pid: (arrays if pid[0] == "w" else generators)[pid[1]]).load()
    _remember(model, name, key, content)
    return model


def keep(file: "KerasFile", model: Any, stored: list[Any], leaves: list[Any]) -> None:
    """Keep a model as it was read from a file, where that is a file that lies still, and the model can be kept."""
    raw, stamp = file.raw, file.stamp
    if not stamp or file.opened - stamp[0] * 1e-9 < SETTLED or file.changed or not _SOURCES.unchanged():
        return
    # Calls of one layer in several places are numbered in the order of the file, which is none of connections.
    if any(len(one._nodes) > 1 for one in _operations(model._program())):
        return
    # What holds more than is known here is made anew.
    with suppress(Exception):
        name, key = _identity(raw)
        if not name:
            return
        places: list[Place] = []
        known: dict[int, Any] = {}
        for i, one in enumerate(stored):
            array = one.layer._weights[one.name]
            places.append(Place(i, file.place(one.paths), array.nbytes, array.dtype.str, array.shape))
            known[id(array)] = "w", i
        places.sort(key=lambda place: place.begin)
        ends = [0, *(begin + size for _, begin, size, _, _ in places)]
        if any(place.begin < end for place, end in zip(places, ends, strict=False)):
            return
        digest, arrays = _read(raw, places)
        weights = (one.layer._weights[one.name] for one in stored)
        if file.changed or any(x.tobytes() != one.tobytes() for x, one in zip(arrays, weights, strict=True)):
            return
        drawing = [leaf for leaf in leaves if hasattr(leaf, "_later")]
        known |= {id(leaf._later): ("g", i) for i, leaf in enumerate(drawing)}
        seeds = [leaf.seed for leaf in drawing]
        content = Content(digest, places, seeds, bool(file.training), _pickled(model, known), {})
        _write(name, key, content)
        _remember(model, name, key, content)


def _remember(model: Any, name: str, key: bytes, content: Content) -> None:
    program = model._program()
    program.kept = Kept(name, key, content, program)


def _operations(program: Any) -> list[Any]:
    """All operations of a program, and what they consist of, in order."""
    found: dict[int, Any] = {}
    for step in program.steps:
        inner = within(step.operation)
        more = [] if inner is None else _operations(inner)
        found |= {id(one): one for one in (step.operation, *step.operation._leaves(), *more)}
    return list(found.values())


def _read(file: BinaryIO, places: list[Place]) -> tuple[bytes, list[np.ndarray]]:
    """A digest of all that says in a file what a network is, and its weights by number.

    Weights count by a checksum, the one that archives themselves have: they are taken from the file that is there,
    whatever they are, unless it is damaged.
    """
    text, total, at = sources.digest(), 0, 0
    ends = [*accumulate(-(-place.size // CACHE_LINE) * CACHE_LINE for place in places)]
    memory, view = lasting(ends[-1] if ends else 0)
    found: list[Any] = [None] * len(places)
    for (i, begin, size, dtype, shape), here in zip(places, [0, *ends], strict=False):
        text.update(os.pread(file.fileno(), begin - at, at))
        if os.preadv(file.fileno(), [memory[here : here + size]], begin) < size:
            raise EOFError
        total = zlib.crc32(memory[here : here + size], total)
        found[i] = np.frombuffer(view, dtype, prod(shape), here).reshape(shape)
        at = begin + size
    while rest := os.pread(file.fileno(), _CHUNK, at):
        text.update(rest)
        at += len(rest)
    return text.digest() + total.to_bytes(4, "little"), found


def _identity(file: BinaryIO) -> tuple[str, bytes]:
    """The name under which what a file holds is kept, and the key that seals it; no name for what is not kept."""
    host = start.host()
    if host is None or os.environ.get("NUMBACONV_CACHE") == "0":
        return "", b""
    file.seek(0)
    if file.read(2) != b"PK":
        return "", b""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = sources.digest(file.read(_TAIL)).hexdigest()
    set_ = sorted(one for one in os.environ.items() if one[0].startswith("NUMBACONV_") and one[0] not in _HARMLESS)
    usual = config.floatx(), config.epsilon(), config.image_data_format(), HOST, set_
    key = repr((size, tail, _SOURCES.fingerprint, host, usual)).encode()
    return f"{_prefix()}{sources.digest(key).hexdigest()[:20]}.nbn", key


def _prefix() -> str:
    return f"network.{sys.implementation.cache_tag}{sys.flags.optimize or ''}-{_SOURCES.fingerprint[:12]}-"


def _write(name: str, key: bytes, content: Content) -> None:
    def old(other: str) -> bool:
        return other.startswith("network.") and not other.startswith(_prefix())

    folders = _SOURCES.folders
    sources.write_in(folders, name, sources.sealed(key, pickle.dumps(tuple(content), 5)), old)
    for folder in folders:
        with suppress(OSError):
            files = sorted(folder.glob("network.*.nbn"), key=lambda file: file.stat().st_mtime)
            for file in files[:-_MOST]:
                file.unlink()
