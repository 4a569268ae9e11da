"""Models as files: one npz archive with the configuration as JSON text and the weights as arrays.

The entry ``config`` holds the JSON text; ``0/kernel``, ``0/bias``, ``2/kernel``, ... hold the weights, named after the
layer's position and the weight. Reached through `numbaconv.models.Sequential.save` and ``Sequential.load``.
"""

import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import __version__

if TYPE_CHECKING:
    from .models import Sequential

FORMAT_VERSION = 1


def save(model: "Sequential", path: str | os.PathLike[str]) -> None:
    """Write a model to a file; see `numbaconv.models.Sequential.save`."""
    if not model.built:
        raise ValueError(f"Sequential {model.name!r}: save needs a built model: call it, or build(input_shape), first")
    header = {"format_version": FORMAT_VERSION, "library_version": __version__, "model": model.get_config()}
    entries: dict[str, Any] = {"config": json.dumps(header), **_named_weights(model)}
    # A link is written through, as by open().
    target = Path(os.path.realpath(Path(path)))
    temporary = target.with_name(f".numbaconv-{uuid.uuid4().hex}")
    try:
        # A file object, because np.savez adds a suffix to a name.
        with open(temporary, "xb") as file:
            np.savez(file, **entries)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str], model_class: "type[Sequential]") -> "Sequential":
    """Read a model from a file; see `numbaconv.models.Sequential.load`."""
    with open(Path(path), "rb") as file:
        try:
            config, arrays = _read(file)
            model = model_class.from_config(_with_weights(config, arrays))
            _check_weights(model, arrays)
        # A damaged or hostile file makes zipfile, zlib, NumPy and json raise errors of a dozen kinds.
        except Exception as error:
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded as a model: {error}") from error
    return model


def _named_weights(model: "Sequential") -> dict[str, np.ndarray]:
    # Positions, because a layer's name may hold characters that an archive's entry cannot.
    return {f"{i}/{name}": w for i, layer in enumerate(model.layers) for name, w in layer._weights.items()}


def _read(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    """The model's configuration and the weights by entry, not yet compared with each other."""
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no zip archive, or is cut short")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        entries = {name: archive[name] for name in archive.files}
    text = entries.pop("config", None)
    if not isinstance(text, np.ndarray) or text.dtype.kind != "U" or text.ndim != 0:
        raise ValueError("it has no entry 'config' with a text in it")
    try:
        header = json.loads(text.item())
    # RecursionError: brackets nested too deeply.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its entry 'config' is no JSON: {error}") from error
    if not isinstance(header, dict) or set(header) != {"format_version", "library_version", "model"}:
        found = (
            f"version {header['format_version']!r}"
            if isinstance(header, dict) and "format_version" in header
            else "none"
        )
        header = {"format_version": None} if not isinstance(header, dict) else header
    return header, entries
