"""Attributes that nobody has are refused: a misspelt setting would be taken in silence and change nothing."""

import dis
import inspect
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from types import FunctionType
from typing import Any, ClassVar

from .docstrings import complete_class
from .public import bare

_STORE = dis.opmap["STORE_ATTR"]
# Instructions that load variables, and the bits of their argument that tell the last one: some versions of Python load,
# or store, another one before.
_LOADS = {number: 15 if name.count("FAST") == 2 else 255 for name, number in dis.opmap.items() if "LOAD_FAST" in name}
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
        if cls._own:
            complete_class(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        if self._own and not (name.startswith("_") or name in _names(cls) or name in self.__dict__):
            raise AttributeError(_refusal(self, name))
        object.__setattr__(self, name, value)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like another; capitals and underscores count for nothing, initials will do."""
    from difflib import get_close_matches

    names = sorted(known)
    plain = {bare(one): one for one in names}
    near = get_close_matches(bare(name), plain, 1, 0.7)
    initials = [one for one in names if name == "".join(word[:1] for word in one.split("_"))]
    return plain[near[0]] if near else next(iter(initials), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest name as the end of a sentence, which is empty if there is none."""
    near = nearest(name, known)
    return "" if near is None else f"; did you mean {near!r}?"


def label_of(instance: Any) -> str:
    """What stands in front of messages about an instance, whatever it has yet."""
    named = "name" in vars(instance) and hasattr(type(instance), "_label")
    return str(instance._label) if named else type(instance).__name__


def described(instance: Any, name: str) -> str:
    """The attribute whose name is nearest, or what attributes there are."""
    known = [one for one in {*vars(instance), *_names(instance.__class__)} - {name} if not one.startswith("_")]
    near = nearest(name, known)
    values = sorted(one for one in known if not callable(getattr(type(instance), one, None)))
    return f"it has {', '.join(values)}" if near is None else f"did you mean {near!r}?"


def _refusal(instance: Any, name: str) -> str:
    if hasattr(type(instance), name):
        return f"{label_of(instance)}: {name} cannot be set, it belongs to the class"
    return f"{label_of(instance)} has no attribute {name!r}; {described(instance, name)}"


@lru_cache(maxsize=256)
def _names(cls: Any) -> frozenset[str]:
    """Names of what a class has except constants, and those that its methods assign to ``self``."""
    members = {name: member for owner in cls.__mro__ for name, member in vars(owner).items() if owner is not object}
    methods = {name for name, member in members.items() if hasattr(member, "__get__")}
    return frozenset(methods.union(*map(_assigned_in, cls.__mro__)))


@lru_cache(maxsize=256)
def _assigned_in(owner: type) -> frozenset[str]:
    """Names that the methods of a class assign to ``self``; those it inherits are left out."""
    return frozenset(name for member in list(vars(owner).values()) for name in _assigned(member))


def _assigned(member: Any) -> Iterator[str]:
    function = member.fset if isinstance(member, property) and member.fset else member
    if hasattr(function, "__wrapped__"):
        function = inspect.unwrap(function)
    if isinstance(function, FunctionType):
        code = function.__code__
        operations = code.co_code[::2]
        at = operations.find(_STORE)
        if at >= 0 and "self" in code.co_cellvars:
            # Of a variable that inner functions share, other instructions tell the name.
            yield from _assigned_to_self(function)
            return
        while at >= 0:
            # The instruction before it loads what the attribute belongs to: the first argument.
            load, (argument, name) = operations[at - 1], code.co_code[2 * at - 1 : 2 * at + 2 : 2]
            if load in _LOADS and argument & _LOADS[load] == 0 and code.co_varnames[:1] == ("self",):
                yield code.co_names[name]
            at = operations.find(_STORE, at + 1)


def _assigned_to_self(function: FunctionType) -> Iterator[str]:
    for before, instruction in pairwise(dis.get_instructions(function)):
        if instruction.opname == "STORE_ATTR" and before.argrepr == "self":
            yield instruction.argval
