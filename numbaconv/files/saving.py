"""Dicts and arrays as files: one npz archive with the dict as JSON text in its entry ``config``.

What they mean is the business of `numbaconv.models`.
"""

import errno
import importlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from .npz import Archive

CONFIG = "config"
# Characters of the configuration: that of a thousand layers takes a million.
MOST_TEXT = 2**23
_KERAS_FILE = "It is a file of Keras's: numbaconv.models.load_model reads it"


def save(path: str | os.PathLike[str], config: Any, arrays: dict[str, np.ndarray], overwrite: bool = True) -> None:
    """Write plain JSON types and arrays by name to a file, which is replaced once the new one is complete.

    Raises ValueError or OSError if the text is too long, or the file cannot be written, is write-protected, a pipe or a
    device.
    """
    text = json.dumps(config)
    if len(text) > MOST_TEXT:
        raise ValueError(f"the configuration must have at most {MOST_TEXT} characters, got {len(text)}")
    entries: dict[str, Any] = {CONFIG: text, **arrays}
    with replaced(path, overwrite) as file:
        np.savez(file, **entries)


@contextmanager
def replaced(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Context with a new file, which takes the place of the one of this name once it is complete.

    Raises ValueError or OSError if the file cannot be written, is write-protected, a pipe or a device.
    """
    # A link is written through, as by open().
    target = Path(os.path.realpath(Path(path)))
    check_regular(target, "written")
    if not overwrite and target.exists():
        raise FileExistsError(errno.EEXIST, "the file exists and overwrite is False", os.fspath(path))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", os.fspath(path))
    temporary = target.with_name(f".numbaconv-{os.urandom(16).hex()}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error.__context__, KeyboardInterrupt):
            # Interrupted while it closes its archive, zipfile has an error of its own to report.
            raise error.__context__ from None
        if isinstance(error, OSError) and error.errno is not None:
            # The temporary file is nobody's business.
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, Archive]]:
    """Context with what `save` has written: the configuration, and the arrays, which are read when they are asked for.

    Raises ValueError if the file is damaged; and for whatever goes wrong while it is open, with its name in front.
    """
    check_regular(Path(path), "loaded as a model")
    with open(Path(path), "rb") as file:
        try:
            archive = Archive(file)
            yield parsed(_text(archive), f"its entry {CONFIG!r}"), archive
        except MemoryError:
            raise
        # A damaged or hostile file makes zipfile, zlib and json raise errors of a dozen kinds.
        except Exception as error:
            file.seek(0)
            hint = f". {_KERAS_FILE}" if _is_keras_file(file) else ""
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded as a model: {error}{hint}") from error


def check_suffix(path: str | os.PathLike[str], name: str) -> None:
    """Raise ValueError for names that say that a file is one of Keras 2's."""
    suffix = Path(path).suffix.lower()
    if suffix in (".h5", ".hdf5"):
        raise ValueError(
            f"{name} must end in .keras, which Keras 3 reads, or have another suffix, such as .npz, because models in "
            f"HDF5 are those of older versions, got {os.fspath(path)!r}; save_weights writes .weights.h5"
        )


def h5py() -> Any:
    """The library that writes HDF5."""
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "h5py is needed to write files of Keras's: pip install h5py, or save as .npz", name="h5py"
        ) from error


def check_regular(path: Path, use: str) -> None:
    """Raise ValueError for pipes and devices: reading could take for ever, and writing would replace them."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(f"{os.fspath(path)!r} cannot be {use}: it is no regular file")


def _is_keras_file(file: IO[bytes]) -> bool:
    """Whether the content is HDF5's, or an archive as Keras 3 writes it."""
    if file.read(4) == b"\x89HDF":
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            return "metadata.json" in archive.namelist()
    # A damaged file makes zipfile raise errors of many kinds.
    except Exception:
        return False


def _text(archive: Archive) -> str:
    entry = archive.entries.get(CONFIG)
    if entry is None or entry.dtype.kind != "U" or entry.shape != ():
        raise ValueError(f"it has no entry {CONFIG!r} with a text in it")
    if entry.dtype.itemsize > 4 * MOST_TEXT:
        raise ValueError(f"its entry {CONFIG!r} must have at most {MOST_TEXT} characters")
    order = "le" if entry.dtype.newbyteorder("<") == entry.dtype else "be"
    return archive.read(CONFIG).tobytes().decode(f"utf-32-{order}").rstrip("\0")


def parsed(text: Any, what: str) -> Any:
    """What a text in JSON says.

    Raises ValueError if it is too long or no JSON.
    """
    if len(text) > MOST_TEXT:
        raise ValueError(f"{what} must have at most {MOST_TEXT} characters, got {len(text)}")
    try:
        return json.loads(text)
    # RecursionError: brackets nested too deeply. TypeError: an attribute that is no text.
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"{what} is not valid JSON: {error}") from error
