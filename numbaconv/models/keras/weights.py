"""The weights in a file of Keras's, and the layers that they belong to."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...files.hdf5 import Hdf5File
from ...layers.weights import frozen
from ...objects.tuples import NamedTuple
from .conversions import Conversion, converted
from .layouts import Listing, layers_of, legacy_order, variables

# Groups of a file that are no layers.
_TOP = "top_level_model_weights"
_MOST_DEPTH, _MOST_ARRAYS = 64, 2**17


class Stored(NamedTuple):
    """What a weight of a layer is read from: paths of arrays, and what is done with these."""

    layer: Any
    name: str
    paths: tuple[str, ...]
    conversion: Conversion


def found_in(file: Hdf5File, model: Any, listing: Listing, how: Mapping[str, Any]) -> list[Stored]:
    """With each weight of a model where it is in the file; all of them, and no others, are known to be there.

    Raises ValueError if one is missing, surplus or has another shape.
    """
    if "layers" in file or "_layer_checkpoint_dependencies" in file:
        return _by_path(file, model, listing)
    return _by_order(file, model, listing, how)


def assigned(file: Hdf5File, stored: list[Stored]) -> list[tuple[Any, dict[str, np.ndarray]]]:
    """The arrays by layer and name, read and of each layer's dtype."""
    found: dict[int, tuple[Any, dict[str, np.ndarray]]] = {}
    for one in stored:
        arrays = [file.read(path) for path in one.paths]
        value = one.conversion(arrays)
        weights = found.setdefault(id(one.layer), (one.layer, {}))[1]
        weights[one.name] = frozen(value, one.layer._weights[one.name].shape, one.layer.dtype, one.name)
    return list(found.values())


# -- Keras 3 -------------------------------------------------------------------------------------------------------


def _by_path(file: Hdf5File, model: Any, listing: Listing) -> list[Stored]:
    root = "layers" if "layers" in file else "_layer_checkpoint_dependencies"
    stored, wanted = [], set()
    found = [(one, _present(file, one.path.replace("layers", root, 1))) for one in variables(model, listing)]
    # Of a layer that several models within share, Keras writes the weights once.
    there = {(id(one.layer), one.name) for one, path in found if path is not None}
    for variable, path in found:
        if path is None and (id(variable.layer), variable.name) in there:
            continue
        label = f"weight {variable.name!r} of layer {variable.layer.name!r}"
        if path is None:
            raise ValueError(f"{label} must be at {variable.path!r}, of shape {variable.shape}, but is missing")
        shape = file.entry(path).shape
        if shape != variable.shape:
            raise ValueError(f"{label} must have shape {variable.shape}, got {shape} at {path!r}")
        wanted.add(path)
        stored.append(Stored(variable.layer, variable.name, (path,), Conversion()))
    surplus = [path for path in _arrays(file, root) if path not in wanted and not _is_state(file, path)]
    if surplus:
        raise ValueError(f"it must have no more weights than the model, got {', '.join(surplus[:5])}")
    return stored


def _present(file: Hdf5File, path: str) -> str | None:
    """A path as it is in the file, where Keras 2 put an underscore before the parts of some layers."""
    if path in file:
        return path
    *before, part, group, number = path.split("/")
    other = "/".join([*before, f"_{part}", group, number])
    return other if other in file else None


def _arrays(file: Hdf5File, root: str) -> list[str]:
    """The paths of all arrays below a group."""
    found: list[str] = []
    groups = [root]
    # The list grows while it is gone through. One group may be reached by very many ways.
    for group in groups:
        if group.count("/") > _MOST_DEPTH:
            raise ValueError(f"its groups must not lie more than {_MOST_DEPTH} deep in each other")
        for name in file.names(group):
            path = f"{group}/{name}"
            (found if file.is_array(path) else groups).append(path)
            if len(found) + len(groups) > _MOST_ARRAYS:
                raise ValueError(f"it must have at most {_MOST_ARRAYS} groups and arrays")
    return found


def _is_state(file: Hdf5File, path: str) -> bool:
    """Whether an array is where random numbers have got to, or a count, and no weight."""
    if "seed_generator" in path or "_random_generator" in path:
        return True
    dtype, shape = file.entry(path)
    return shape == () and dtype.kind in "iu"


# -- Keras 1 and 2 -------------------------------------------------------------------------------------------------


def groups_of(file: Hdf5File) -> dict[str, list[str]]:
    """The layers of an older file, and the paths of the weights of each, in order; those without weights are left out.

    Raises ValueError if there are no lists of them.
    """
    root = "model_weights" if "model_weights" in file else ""
    names = names_in(file, root, "layer_names")
    if names is None:
        raise ValueError("it must have weights of Keras's: a group 'layers', or an attribute 'layer_names'")
    prefix = f"{root}/" if root else ""
    found = {}
    for name in names:
        weights = names_in(file, f"{prefix}{name}", "weight_names")
        if weights is None:
            raise ValueError(f"the group of layer {name!r} must have an attribute 'weight_names'")
        if weights and name != _TOP:
            found[name] = [f"{prefix}{name}/{weight}" for weight in weights]
    return found


def names_in(file: Hdf5File, path: str, name: str) -> list[str] | None:
    """A list of names in an attribute, or in several if there are many; None without any."""
    found = file.attribute(path, name)
    if found is None:
        number = 0
        parts: list[str] = []
        while (more := file.attribute(path, f"{name}{number}")) is not None:
            parts.extend(more)
            number += 1
        return parts if number else None
    if isinstance(found, list):
        return found
    if isinstance(found, np.ndarray) and not found.size:
        return []
    raise ValueError(f"its attribute {name!r} must be a list of names, got {str(found)[:80]}")


def _by_order(file: Hdf5File, model: Any, listing: Listing, how: Mapping[str, Any]) -> list[Stored]:
    groups = groups_of(file)
    wanted = [(layer, order) for layer in listing(model) if (order := legacy_order(layer, listing))]
    names = [layer.name for layer, _ in wanted]
    if set(names) != set(groups):
        if len(names) != len(groups):
            missing = [name for name in names if name not in groups]
            surplus = [name for name in groups if name not in names]
            raise ValueError(
                f"it must have weights for {len(names)} layers, got {len(groups)}: {', '.join(missing[:5]) or 'none'} "
                f"missing, {', '.join(surplus[:5]) or 'none'} too many"
            )
        # Names are made up anew in each program; the order is what counts.
        names = list(groups)
    return [
        one
        for (layer, order), name in zip(wanted, names, strict=True)
        for one in matched(file, layer, order, groups[name], how)
    ]


def matched(
    file: Hdf5File, layer: Any, order: list[tuple[Any, str]], paths: list[str], how: Mapping[str, Any]
) -> list[Stored]:
    """The weights of one layer of an older file."""
    pieces = converted(order, paths, how)
    stored = []
    for (leaf, name), (parts, conversion) in zip(order, pieces, strict=True):
        wanted = leaf._weights[name].shape
        shapes = [file.entry(path).shape for path in parts]
        given = conversion.shape(shapes)
        if given != wanted:
            raise ValueError(
                f"weight {name!r} of layer {leaf.name!r} must have shape {wanted}, got {given} at {parts[0]!r}"
            )
        stored.append(Stored(leaf, name, tuple(parts), conversion))
    return stored


def weights_by_name(
    file: Hdf5File, model: Any, how: Mapping[str, Any], skip_mismatch: bool
) -> tuple[list[Stored], list[str]]:
    """The weights of those layers that the file has under the same name; and what was left out and why."""
    groups, stored, left = groups_of(file), [], []
    for layer in layers_of(model):
        order = legacy_order(layer)
        if order and layer.name in groups:
            try:
                stored += matched(file, layer, order, groups[layer.name], how)
            except ValueError as error:
                if not skip_mismatch:
                    raise
                left.append(str(error))
    return stored, left
