"""The model in a file of Keras's."""

from collections.abc import Mapping
from math import prod
from typing import Any

from ...files.keras_file import KerasFile
from ...layers.building import unfilled
from ...objects.tuples import NamedTuple
from .architecture import Architecture, architecture_of
from .arguments import Reading
from .layouts import Listing, leaves_of
from .making import Maker
from .weight_files import give, has_weights, how, version_of
from .weights import Stored, assigned, found_in

# Weights that are drawn at most for an architecture without any.
_MOST_DRAWN = 2**29


class Loaded(NamedTuple):
    """A model out of a file, with what made it and where its weights were read."""

    model: Any
    maker: Maker
    stored: list[Stored]


def loaded(file: KerasFile, custom_objects: Mapping[str, Any] | None) -> Loaded:
    """The model in a file of Keras's, with its weights if the file has any."""
    if file.config is None:
        raise ValueError("it holds weights alone: make the model, and call model.load_weights with this file")
    architecture = architecture_of(file.config)
    maker = Maker(Reading(version_of(file), custom_objects))
    # Sizes come before arrays: nothing is read or drawn that the file cannot hold.
    model = _unfilled(maker, architecture)
    size = _size(model)
    hdf5 = file.weights(8 * size)
    if hdf5 is None or not has_weights(hdf5):
        if file.is_archive and size:
            raise ValueError("it must have the weights of its layers, which are missing")
        _check_size(size)
        return Loaded(maker.model(architecture), maker, [])
    if not model.built:
        raise ValueError("it has weights, but does not say of what shape the model's inputs are")
    stored = found_in(hdf5, model, listed_by(maker), how(file, hdf5, model))
    give(assigned(hdf5, stored))
    return Loaded(model, maker, stored)


def drawn(entry: Any, version: str, custom_objects: Mapping[str, Any] | None) -> Any:
    """The model that an architecture describes, with fresh weights."""
    architecture, maker = architecture_of(entry), Maker(Reading(version, custom_objects))
    _check_size(_size(_unfilled(maker, architecture)))
    return maker.model(architecture)


def _unfilled(maker: Maker, architecture: Architecture) -> Any:
    with unfilled():
        return maker.model(architecture)


def _size(model: Any) -> int:
    return sum(prod(w.shape) for leaf in leaves_of(model) for w in leaf._weights.values())


def _check_size(size: int) -> None:
    if size > _MOST_DRAWN:
        raise ValueError(f"an architecture without weights must have at most {_MOST_DRAWN} of them, got {size}")


def listed_by(maker: Maker) -> Listing:
    """The layers of a model in the order of the file that a maker has read."""
    return Listing(maker.listed, maker.classes)
