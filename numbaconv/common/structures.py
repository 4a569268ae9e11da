"""Nested lists, tuples and dicts of values, such as the inputs of a model."""

from collections.abc import Callable, Iterator
from typing import Any


def _never(value: Any) -> bool:
    return False


def leaves(structure: Any, is_leaf: Callable[[Any], bool] = _never) -> Iterator[Any]:
    """The values in a structure, those of dicts in the order of their keys as Keras has it: sorted."""
    if is_leaf(structure) or not isinstance(structure, list | tuple | dict):
        yield structure
        return
    for one in structure if not isinstance(structure, dict) else (structure[key] for key in sorted(structure)):
        yield from leaves(one, is_leaf)


def mapped(function: Callable[[Any], Any], structure: Any, is_leaf: Callable[[Any], bool] = _never) -> Any:
    """The same structure with a function's results in place of its values, taken in the order of `leaves`."""
    if is_leaf(structure) or not isinstance(structure, list | tuple | dict):
        return function(structure)
    if isinstance(structure, dict):
        found = {key: mapped(function, structure[key], is_leaf) for key in sorted(structure)}
        return {key: found[key] for key in structure}
    return type(structure)([mapped(function, one, is_leaf) for one in structure])
