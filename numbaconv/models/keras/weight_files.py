"""The weights in a file, for a model that is there already."""

import os
import warnings
from typing import Any

from ...files.hdf5 import Hdf5File
from ...files.keras_file import KerasFile, opened
from .layouts import Listing, leaves_of
from .weights import assigned, found_in, weights_by_name


def load_weights(model: Any, path: str | os.PathLike[str], by_name: bool, skip_mismatch: bool) -> bool:
    """Give a built model the weights in a file of Keras's, all or none; return whether it was one."""
    with opened(path, "read as weights") as file:
        if file.own:
            return False
        hdf5 = file.weights(8 * sum(w.size for w in model.weights))
        if hdf5 is None:
            raise ValueError("it holds no weights")
        given = how(file, hdf5, model)
        left: list[str] = []
        if by_name:
            stored, left = weights_by_name(hdf5, model, given, skip_mismatch)
        else:
            stored = found_in(hdf5, model, Listing(), given)
        arrays = assigned(hdf5, stored)
    give(arrays)
    if left:
        warnings.warn(f"left out of {os.fspath(path)!r}: {'; '.join(left)}", UserWarning, stacklevel=3)
    return True


def give(arrays: list[tuple[Any, dict[str, Any]]]) -> None:
    """Give layers their weights."""
    for layer, weights in arrays:
        layer._weights = {**layer._weights, **weights}


def version_of(file: KerasFile) -> str:
    """The version of Keras that wrote a file, as far as it can be told."""
    config = file.config if isinstance(file.config, dict) else {}
    told = config.get("keras_version", file.version)
    # Only the oldest HDF5 files say nothing; in JSON, Keras 1 and 2 always do.
    return told if isinstance(told, str) else "3" if file.is_json else "1"


def how(file: KerasFile, hdf5: Hdf5File, model: Any) -> dict[str, Any]:
    """What decides how the arrays of an older file become weights."""
    version, backend = version_of(file), file.backend
    kernels = any(getattr(leaf, "rank", None) and hasattr(leaf, "kernel_size") for leaf in leaves_of(model))
    if version.startswith("1") and backend is None and "layers" not in hdf5 and kernels:
        warnings.warn(
            "the file does not say whether Keras computed with Theano or TensorFlow, and is read as TensorFlow's: if "
            "results are wrong, the kernels of its convolutions must be turned round",
            UserWarning,
            stacklevel=5,
        )
    return {"version": version, "backend": backend, "shapes": lambda path: hdf5.entry(path).shape}


def has_weights(file: Hdf5File) -> bool:
    """Whether there are weights of Keras's in a file, and no architecture alone."""
    roots = ["", *(name for name in ("model_weights",) if name in file)]
    listed = (file.attribute(root, name) for root in roots for name in ("layer_names", "layer_names0"))
    return "layers" in file or "_layer_checkpoint_dependencies" in file or any(one is not None for one in listed)
