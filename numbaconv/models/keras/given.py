"""What an operation of a file is called with, of which its handler takes what it knows."""

from collections.abc import Callable
from typing import Any

from .architecture import places

# A layer, and what it is called with.
Made = tuple[Any, Any]


class Given:
    """What an operation is called with and its settings; a handler takes what it knows."""

    def __init__(self, arguments: list[Any], settings: dict[str, Any]) -> None:
        self.arguments, self.settings = arguments, settings
        self._places: set[int] = set()

    def take(self, place: int, *names: str, default: Any = None) -> Any:
        """An argument that is given by its place or by one of some names."""
        found = [value for name in names if (value := self.settings.pop(name, None)) is not None]
        if len(self.arguments) > place:
            self._places.add(place)
            return self.arguments[place]
        return found[0] if found else default

    def all(self) -> list[Any]:
        """All that is given by its place."""
        self._places.update(range(len(self.arguments)))
        return self.arguments

    def rest(self) -> dict[str, Any]:
        """What nobody took, and asks for something."""
        left = {f"argument {i}": one for i, one in enumerate(self.arguments) if i not in self._places}
        rest = {
            name: one for name, one in {**left, **self.settings}.items() if one not in (None, []) and one is not False
        }
        if "float" in str(rest.get("dtype")):
            del rest["dtype"]
        return rest


def first(given: Given) -> Any:
    """What the operation is done on."""
    found = given.take(0, "x", "input", "features", "inputs", "tensor", "values", "logits", "a")
    if not any(True for _ in places(found)):
        raise ValueError("an operation must be called with what a layer gives")
    return found


def integers(value: Any, name: str) -> tuple[int, ...]:
    """Whole numbers; ValueError for anything else."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(type(one) is int for one in values):
        raise ValueError(f"{name} must be whole numbers that are known, got {value!r}")
    return tuple(values)


Handler = Callable[[str, str, Given], Made]
