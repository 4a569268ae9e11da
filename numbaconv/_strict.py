"""Attributes that nobody has are refused: a misspelt setting would be taken in silence and change nothing."""

import dis
import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from types import FunctionType
from typing import Any, ClassVar

_PACKAGE = __name__.partition(".")[0]


class Strict:
    """Base of the library's classes, whose instances take the public attributes that they have and no others.

    Instances of a class that a user has derived from one take what they are given.
    """

    # Whether the class is the library's own.
    _own: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._own = cls.__module__.partition(".")[0] == _PACKAGE

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        if self._own and not (name.startswith("_") or name in _names(cls) or name in self.__dict__):
            raise AttributeError(_refusal(self, name))
        object.__setattr__(self, name, value)


def _refusal(instance: Any, name: str) -> str:
    label = getattr(instance, "_label", type(instance).__name__)
    if hasattr(instance, name):
        return f"{label}: {name} cannot be set, it belongs to the class"
    known = [known for known in {*vars(instance), *_names(instance.__class__)} if not known.startswith("_")]
    initials = [full for full in known if name == "".join(word[:1] for word in full.split("_"))]
    near = get_close_matches(name, known, 1, 0.7) or initials
    values = sorted(name for name in known if not callable(getattr(type(instance), name, None)))
    advice = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(values)}"
    return f"{label} has no attribute {name!r}; {advice}"


@lru_cache(maxsize=256)
def _names(cls: Any) -> frozenset[str]:
    """Names of what a class has except constants, and those that its methods assign to ``self``."""
    members = {name: member for owner in cls.__mro__ for name, member in vars(owner).items() if owner is not object}
    methods = {name for name, member in members.items() if hasattr(member, "__get__")}
    owned = (member for owner in cls.__mro__ for member in vars(owner).values())
    return frozenset(methods.union(name for member in owned for name in _assigned(member)))


def _assigned(member: Any) -> Iterator[str]:
    function = inspect.unwrap(member.fset if isinstance(member, property) and member.fset else member)
    if isinstance(function, FunctionType):
        for before, instruction in pairwise(dis.get_instructions(function)):
            # Some versions of Python load two variables at once; the last one is what the attribute belongs to.
            if instruction.opname == "STORE_ATTR" and before.argrepr.rpartition(", ")[2] == "self":
                yield instruction.argval
