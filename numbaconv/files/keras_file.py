"""What a file of Keras's holds, whatever its name; nothing is read before it is asked for."""

import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .hdf5 import Hdf5File
from .hdf5.blocks import SIGNATURE
from .saving import MOST_TEXT, check_regular, parsed
from .zipped import Zipped

_WEIGHTS = "model.weights.h5"
# Besides weights and the state of training, which are two to four times as large, an HDF5 file has headers.
_HEADERS = 2**24
_STATES = 5


class KerasFile:
    """What is in a file of Keras's."""

    def __init__(self, file: BinaryIO) -> None:
        # The architecture, ``class_name`` and ``config``, and what the model was compiled with.
        self.config: Any = None
        self.training: Any = None
        # Of Keras, and what it computed with, if the file says it.
        self.version: str | None = None
        self.backend: str | None = None
        # Whether it is an architecture alone, as text, or an npz file of this library's, of which no more is read here.
        self.is_json = self.own = False
        self._zipped: Zipped | None = None
        self._hdf5: Hdf5File | None = None
        # The file itself, what the system said of it, and when that was.
        self.raw, self.stamp, self.opened = file, _stamp_of(file), time.time()
        start = file.read(8)
        file.seek(0)
        if start == SIGNATURE:
            self._read_hdf5(file)
        elif start[:2] == b"PK":
            self._read_zip(file)
        elif start.lstrip()[:1] == b"{":
            self.config, self.is_json = parsed(file.read(MOST_TEXT + 1), "it"), True
        else:
            raise ValueError(
                "it must be a .keras or HDF5 file of Keras's, an architecture in JSON or an .npz file of numbaconv's"
            )

    @property
    def changed(self) -> bool:
        """Whether somebody has written to the file since."""
        return _stamp_of(self.raw) != self.stamp

    @property
    def is_archive(self) -> bool:
        """Whether it is a ``.keras`` file, which always comes with weights."""
        return self._zipped is not None and not self.own

    def weights(self, size: int) -> Hdf5File | None:
        """The file's arrays, if it has any; ``size`` is the number of bytes of those that are wanted."""
        if self._zipped is not None and self._hdf5 is None and _WEIGHTS in self._zipped.infos:
            content = self._zipped.content(_WEIGHTS, max(_STATES * size + _HEADERS, self._stored))
            self._hdf5 = Hdf5File(content)
        return self._hdf5

    def place(self, paths: Sequence[str]) -> int:
        """Where in an archive the array at the only path begins.

        Raises ValueError if it does not lie there in one piece and as it is.
        """
        (path,) = paths
        if self._zipped is None or self._hdf5 is None:
            raise ValueError("it must be an archive")
        return self._zipped.place(_WEIGHTS) + self._hdf5.place(path)

    def _read_hdf5(self, file: BinaryIO) -> None:
        self._hdf5 = Hdf5File(file)
        config = self._hdf5.attribute("", "model_config")
        training = self._hdf5.attribute("", "training_config")
        self.config = None if config is None else parsed(config, "its attribute model_config")
        self.training = None if training is None else parsed(training, "its attribute training_config")
        roots = ["", *(name for name in ("model_weights",) if name in self._hdf5)]
        for root in roots:
            self.version = self._hdf5.attribute(root, "keras_version") or self.version
            self.backend = self._hdf5.attribute(root, "backend") or self.backend

    def _read_zip(self, file: BinaryIO) -> None:
        self._zipped = Zipped(file)
        infos = self._zipped.infos
        if "config.json" not in infos:
            self.own = "config.npy" in infos
            if not self.own:
                raise ValueError("it must have an entry 'config.json', as .keras files have")
            return
        for name in infos:
            # Nothing is unpacked; but whoever makes such a name means no good.
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
                raise ValueError(f"its entry {name!r} must not lead out of the folder")
        if _WEIGHTS not in infos:
            # Without this, the model would silently get fresh ones.
            raise ValueError(f"it must have an entry {_WEIGHTS!r}; weights in several files are not read")
        # What is stored as it is cannot be larger than the file.
        weights = infos.get(_WEIGHTS)
        stored = weights is not None and weights.compress_type == zipfile.ZIP_STORED
        self._stored = weights.file_size if weights is not None and stored else 0
        config = parsed(self._zipped.content("config.json", MOST_TEXT), "its entry 'config.json'")
        self.training = config.pop("compile_config", None) if isinstance(config, dict) else None
        self.config = config
        if "metadata.json" in infos:
            metadata = parsed(self._zipped.content("metadata.json", MOST_TEXT), "its entry 'metadata.json'")
            self.version = str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else "3"


def _stamp_of(file: BinaryIO) -> tuple[int, ...]:
    """What the system says of a file that is written to: nanoseconds and bytes; nothing for what is no file."""
    try:
        found = os.fstat(file.fileno())
    except OSError:
        return ()
    return found.st_ctime_ns, found.st_mtime_ns, found.st_size


@contextmanager
def opened(path: str | os.PathLike[str], use: str = "loaded as a model") -> Iterator[KerasFile]:
    """Context with what is in a file.

    Raises ValueError if the file is damaged or no such file; and for whatever goes wrong while it is open, with its
    name in front.
    """
    if Path(path).is_dir():
        raise ValueError(
            f"{os.fspath(path)!r} cannot be {use}: it is a folder, such as TensorFlow's SavedModel, and no file of "
            "Keras's; model.save('x.keras') makes one"
        )
    if not Path(path).exists() and Path(f"{os.fspath(path)}.index").exists():
        raise ValueError(
            f"{os.fspath(path)!r} cannot be {use}: it is a checkpoint of TensorFlow's, of several files, and no file "
            "of Keras's; model.save_weights('x.weights.h5') makes one"
        )
    check_regular(Path(path), use)
    with open(Path(path), "rb") as file:
        try:
            yield KerasFile(file)
        except MemoryError:
            raise
        # A damaged or hostile file makes zipfile, zlib, struct and json raise errors of a dozen kinds.
        except Exception as error:
            text = str(error) or type(error).__name__
            raise ValueError(f"{os.fspath(path)!r} cannot be {use}: {text}") from error
