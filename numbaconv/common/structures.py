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


def matched(structure: Any, form: Any) -> list[Any]:
    """What stands in a structure where another one of the same form has its values, in the order of `leaves`.

    Raises ValueError if the structure has another form.
    """
    if isinstance(form, dict):
        if not isinstance(structure, dict) or set(structure) != set(form):
            got = ", ".join(map(str, structure)) if isinstance(structure, dict) else repr(structure)
            raise ValueError(f"a dict with the keys {', '.join(sorted(form))} is needed, got {got}")
        return [one for key in sorted(form) for one in matched(structure[key], form[key])]
    if isinstance(form, list | tuple):
        if not isinstance(structure, list | tuple) or len(structure) != len(form):
            raise ValueError(f"a list of {len(form)} is needed, got {structure!r}")
        return [one for part, like in zip(structure, form, strict=True) for one in matched(part, like)]
    return [structure]


def mapped(function: Callable[[Any], Any], structure: Any, is_leaf: Callable[[Any], bool] = _never) -> Any:
    """The same structure with a function's results in place of its values, taken in the order of `leaves`."""
    if is_leaf(structure) or not isinstance(structure, list | tuple | dict):
        return function(structure)
    if isinstance(structure, dict):
        found = {key: mapped(function, structure[key], is_leaf) for key in sorted(structure)}
        return {key: found[key] for key in structure}
    return type(structure)([mapped(function, one, is_leaf) for one in structure])
