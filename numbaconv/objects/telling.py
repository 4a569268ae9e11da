"""What is answered to a wrong name: an argument or an attribute that an instance has not."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

from .public import attribute_advice
from .strict import Strict, described, label_of, suggestion

# By name the values that ask for nothing, and why others are refused.
Neutral = Mapping[str, tuple[tuple[Any, ...], str]]
# What stands for any value of a kind.
_KINDS = {str: "a string", int: "an integer"}


class Telling(Strict):
    """Base of what also names the nearest name where an attribute or a keyword argument is missing.

    Layers are `Strict` alone: all their attributes, of which a call reads many, would be slower to read.
    """

    # Arguments of Keras's that are taken where they ask for nothing.
    _neutral: ClassVar[Neutral] = {}
    # Whether the constructor is done.
    _made = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _telling(cls.__init__)  # type: ignore[method-assign]

    # Type checkers would believe that instances have every name.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            cls = type(self)
            if hasattr(cls, name):
                # A property in which something else is missing: let it say so.
                return object.__getattribute__(self, name)
            message = f"{cls.__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                advice = attribute_advice(name, (owner.__name__ for owner in cls.__mro__))
                message = f"{label_of(self)} has no attribute {name!r}; {advice or described(self, name)}"
            # Without the object in it, Python does not add a guess of its own.
            raise AttributeError(message, name=name)


def check_neutral(name: str, value: Any, neutral: tuple[Any, ...], reason: str) -> None:
    """Raise ValueError unless an argument of Keras's has a value that asks for nothing; `str` is any string."""
    if not any((type(value) is type(one) and value == one) or one is type(value) for one in neutral):
        wanted = " or ".join(_KINDS.get(one, repr(one)) if isinstance(one, type) else repr(one) for one in neutral)
        raise ValueError(f"{name} must be {wanted}, because {reason}, got {value!r}")


def check_arguments(cls: Any, names: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the given arguments that a class takes, without the neutral ones of Keras's.

    Raises TypeError for names that neither has, and ValueError for arguments of Keras's that ask for what is not here.
    """
    unknown = [name for name in given if name not in names and name not in cls._neutral]
    if unknown:
        known = ", ".join(names) or "no arguments"
        raise TypeError(f"{cls.__name__} takes {known}, got {', '.join(unknown)}{suggestion(unknown[0], names)}")
    for name in given:
        if name not in names:
            check_neutral(f"{name} of {cls.__name__}", given[name], *cls._neutral[name])
    return {name: value for name, value in given.items() if name in names}


def _telling(method: Callable[..., None]) -> Callable[..., None]:
    """A constructor that answers unknown keyword arguments."""
    code = inspect.unwrap(method).__code__
    if code.co_flags & inspect.CO_VARKEYWORDS:
        return method
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]

    @wraps(method)
    def __init__(self: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807
        if any(name not in names for name in keywords):
            keywords = check_arguments(type(self), names, keywords)
        method(self, *arguments, **keywords)
        if type(self).__init__ is __init__:
            self._made = True

    return __init__
