"""Models as files: one npz archive with the configuration as JSON text and the weights as arrays.

The entry ``config`` holds the JSON text; ``0/kernel``, ``0/bias``, ``2/kernel``, ... hold the weights, named after the
layer's position and the weight. From format 2 on ``optimizer/iterations``, ... hold the state of the optimizer of a
compiled model. Reached through `numbaconv.models.Sequential.save` and ``Sequential.load``.
"""

import errno
import json
import os
import shutil
import stat
import uuid
import zipfile
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .. import layers
from ..common.arguments import check_bool
from ..objects.version import __version__
from .npz import Archive, Entry

if TYPE_CHECKING:
    from ..models import Sequential

FORMAT_VERSION = 2
# Characters of the configuration: that of a thousand layers takes a million.
MOST_TEXT = 2**23
_OPTIMIZER = "optimizer/"
_KERAS_WEIGHTS = "get_weights and set_weights carry weights from here to Keras and back"
_KERAS_FILE = f"It is a file of Keras's, which cannot be read: {_KERAS_WEIGHTS}"
# By the names of the classes; `numbaconv.layers` has aliases besides.
_CLASSES: dict[str, type[layers.Layer]] = {
    cls.__name__: cls for cls in (getattr(layers, name) for name in layers.__all__) if cls is not layers.Layer
}


def save(model: "Sequential", path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model to a file; see `numbaconv.models.Sequential.save`."""
    with model._named():
        check_suffix(path, "path")
        check_bool(overwrite, "overwrite")
    if not model.built:
        raise ValueError(f"Sequential {model.name!r}: save needs a built model: call it, or build(input_shape), first")
    header = {
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
        "model": model.get_config(),
        "training": _training(model),
    }
    text = json.dumps(header)
    if len(text) > MOST_TEXT:
        raise ValueError(f"{model._label}: the configuration must have at most {MOST_TEXT} characters, got {len(text)}")
    entries: dict[str, Any] = {"config": text, **_named_weights(model), **_optimizer_state(model)}
    # A link is written through, as by open().
    target = Path(os.path.realpath(Path(path)))
    _check_regular(target, "written")
    if not overwrite and target.exists():
        raise FileExistsError(errno.EEXIST, "the file exists and overwrite is False", os.fspath(path))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is write-protected", os.fspath(path))
    temporary = target.with_name(f".numbaconv-{uuid.uuid4().hex}")
    try:
        # A file object, because np.savez adds a suffix to a name.
        with open(temporary, "xb") as file:
            np.savez(file, **entries)
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


def load(path: str | os.PathLike[str], model_class: "type[Sequential]") -> "Sequential":
    """Read a model from a file; see `numbaconv.models.Sequential.load`."""
    _check_regular(Path(path), "loaded as a model")
    with open(Path(path), "rb") as file:
        try:
            archive = Archive(file)
            header = _header(_text(archive))
            trained = header["format_version"] > 1
            names = [name for name in archive.entries if name != "config"]
            states = [name for name in names if trained and name.startswith(_OPTIMIZER)]
            # Sizes come before arrays: nothing is read or built that the file cannot hold.
            wanted = _wanted(header["model"])
            _check_weights({name: archive.entries[name] for name in names if name not in states}, wanted)
            _check_state({name: archive.entries[name] for name in states}, wanted)
            model = model_class.from_config(_with_weights(header["model"], {n: archive.read(n) for n in wanted}))
            if trained:
                _set_training(model, header.get("training"), {name: archive.read(name) for name in states})
        except MemoryError:
            raise
        # A damaged or hostile file makes zipfile, zlib and json raise errors of a dozen kinds.
        except Exception as error:
            file.seek(0)
            hint = f". {_KERAS_FILE}" if _is_keras_file(file) else ""
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded as a model: {error}{hint}") from error
    return model


def check_suffix(path: str | os.PathLike[str], name: str) -> None:
    """Raise ValueError for names that say that a file is one of Keras's."""
    suffix = Path(path).suffix.lower()
    if suffix in (".h5", ".hdf5", ".keras"):
        raise ValueError(
            f"{name} must have another suffix, such as .npz, because files of Keras's ({suffix}) cannot be written, "
            f"got {os.fspath(path)!r}. {_KERAS_WEIGHTS}"
        )


def layer_config(layer: layers.Layer) -> dict[str, Any]:
    """The class and the settings of a layer as plain JSON types."""
    name = type(layer).__name__
    if _CLASSES.get(name) is not type(layer):
        raise TypeError(f"only layers of numbaconv.layers can be put in a config, got {layer!r}")
    return {"class_name": name, "config": layer.get_config()}


def layer_from_config(entry: Any) -> layers.Layer:
    """The layer that `layer_config` described, with fresh weights."""
    check_keys(entry, "a layer in config", "class_name", "config")
    name, config = entry["class_name"], entry["config"]
    if not isinstance(name, str) or name not in _CLASSES:
        raise ValueError(f"class_name must be one of {', '.join(_CLASSES)}, got {name!r}")
    if not isinstance(config, dict):
        raise TypeError(f"config of a {name} must be a dict, got {config!r}")
    return _CLASSES[name].from_config(config)


def check_keys(config: Any, name: str, *keys: str) -> None:
    """Raise unless ``config`` is a dict with these keys and no others."""
    if not isinstance(config, dict):
        raise TypeError(f"{name} must be a dict, got {config!r}")
    if set(config) != set(keys):
        raise ValueError(f"{name} must have the keys {', '.join(keys)}, got {', '.join(map(str, config))}")


def check_model_keys(config: Any) -> None:
    """Raise unless ``config`` is a dict with the keys of a model's configuration."""
    optional = ("trainable",) if isinstance(config, dict) and "trainable" in config else ()
    check_keys(config, "config", "build_input_shape", "layers", "name", *optional)


def _named_weights(model: "Sequential") -> dict[str, np.ndarray]:
    # Positions, because a layer's name may hold characters that an archive's entry cannot.
    return {f"{i}/{name}": w for i, layer in enumerate(model.layers) for name, w in layer.named_weights.items()}


def _training(model: "Sequential") -> dict[str, Any]:
    """What training goes on from besides weights and the optimizer's state, as plain JSON types."""
    states = {str(i): layer.get_state() for i, layer in enumerate(model.layers) if hasattr(layer, "get_state")}
    return {"compile": model.get_compile_config(), "stepped": model._stepped, "layers": states}


def _optimizer_state(model: "Sequential") -> dict[str, np.ndarray]:
    state = {} if model.optimizer is None else model.optimizer.get_state()
    for name, array in state.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"{model._label}: the optimizer's state must be finite to be saved, got infinities or NaN in {name}; "
                "compile the model anew to save it"
            )
    return {f"{_OPTIMIZER}{name}": array for name, array in state.items()}


def _set_training(model: "Sequential", training: Any, state: dict[str, np.ndarray]) -> None:
    """Give a loaded model what `_training` and `_optimizer_state` took from the saved one."""
    check_keys(training, "training", "compile", "stepped", "layers")
    if training["compile"] is not None:
        model.compile_from_config(training["compile"])
        model.optimizer.set_state({name.removeprefix(_OPTIMIZER): array for name, array in state.items()})
    elif state:
        raise ValueError(f"its model is not compiled, but it has {', '.join(state)}")
    stepped = training["stepped"]
    if stepped is not None and not (isinstance(stepped, list) and all(isinstance(name, str) for name in stepped)):
        raise ValueError(f"stepped must be a list of names of weights, got {stepped!r}")
    model._stepped = stepped
    stateful: dict[str, Any] = {str(i): layer for i, layer in enumerate(model.layers) if hasattr(layer, "get_state")}
    check_keys(training["layers"], "states of layers", *stateful)
    for i, layer in stateful.items():
        layer.set_state(training["layers"][i])


def _check_regular(path: Path, use: str) -> None:
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
    entry = archive.entries.get("config")
    if entry is None or entry.dtype.kind != "U" or entry.shape != ():
        raise ValueError("it has no entry 'config' with a text in it")
    if entry.dtype.itemsize > 4 * MOST_TEXT:
        raise ValueError(f"its entry 'config' must have at most {MOST_TEXT} characters")
    order = "le" if entry.dtype.newbyteorder("<") == entry.dtype else "be"
    return archive.read("config").tobytes().decode(f"utf-32-{order}").rstrip("\0")


def _header(text: str) -> dict[str, Any]:
    """The content of the entry ``config``, of a format that this version knows."""
    try:
        header = json.loads(text)
    # RecursionError: brackets nested too deeply.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its entry 'config' is not valid JSON: {error}") from error
    version = header.get("format_version") if isinstance(header, dict) else None
    if type(version) is not int or version < 1 or "model" not in header:
        raise ValueError("its entry 'config' must be a JSON object with a format_version and a model")
    if version > FORMAT_VERSION:
        writer = header.get("library_version")
        raise ValueError(
            f"format_version must be at most {FORMAT_VERSION} for numbaconv {__version__}, got {version}, written by "
            f"numbaconv {writer}"
        )
    return header


def _entries_of_layers(config: Any) -> list[dict[str, Any]]:
    entries = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("config"), dict) for e in entries
    ):
        raise ValueError("its model must have a list of layers, each with a config")
    return entries


def _wanted(config: Any) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shapes and dtypes of the weights that a configuration asks for, by entry; nothing is built."""
    entries = _entries_of_layers(config)
    check_model_keys(config)
    shape = config["build_input_shape"]
    if shape is None:
        raise ValueError("its model must be that of a built model, with a build_input_shape")
    wanted = {}
    for i, entry in enumerate(entries):
        layer = layer_from_config({**entry, "config": {**entry["config"], "weights": None}})
        out_shape = layer.compute_output_shape(shape)
        sizes = layer._weight_shapes(layer._channels_of(tuple(shape)))
        wanted.update({f"{i}/{name}": (size, np.dtype(layer.dtype)) for name, size in sizes.items()})
        shape = out_shape
    return wanted


def _with_weights(config: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The configuration with each layer's arrays as its ``weights`` argument."""
    for i, entry in enumerate(config["layers"]):
        entry["config"]["weights"] = [array for name, array in arrays.items() if name.startswith(f"{i}/")]
    return config


def _check_weights(entries: dict[str, Entry], wanted: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Raise ValueError unless the arrays are those that the model has, in name, order, shape and dtype."""
    if list(entries) != list(wanted):
        raise ValueError(f"its weights must be {list(wanted)}, got {list(entries)}")
    for name, (shape, dtype) in wanted.items():
        if entries[name].shape != shape:
            raise ValueError(f"its weight {name!r} must have shape {shape}, got {entries[name].shape}")
        # Either byte order will do: the machine that wrote the file may have had the other one.
        if entries[name].dtype.newbyteorder("=") != dtype:
            raise ValueError(f"its weight {name!r} must have dtype {dtype}, got {entries[name].dtype}")


def _check_state(entries: dict[str, Entry], wanted: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Raise ValueError for entries that are larger than what an optimizer keeps of a weight."""
    most = 8 * max((prod(shape) for shape, _ in wanted.values()), default=1)
    for name, entry in entries.items():
        if entry.nbytes > most:
            raise ValueError(f"its entry {name!r} must have at most {most} bytes, got {entry.nbytes}")
