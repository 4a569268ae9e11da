"""What initializers, regularizers, constraints and optimizers share: configurations, and look-up by name."""

import math
import numbers
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from textwrap import fill
from typing import Any, TypeVar

from .docstrings import completed, parameter_names
from .strict import suggestion
from .telling import Telling, check_arguments

_T = TypeVar("_T", bound="Configurable")
_Function = TypeVar("_Function", bound=Callable[..., Any])
# What the docstrings of all modules that have a family say.
_GET = """
Parameters
----------
identifier : str, class, dict, callable or None
{identifier}

Raises
------
ValueError
    If there is no such name.
TypeError
    If `identifier` is none of these, or its config lacks arguments or has unknown ones.
"""
_SERIALIZE = """
Parameters
----------
{argument} : object
    An instance of one of this module's classes.

Returns
-------
dict
    "class_name" and "config", as plain JSON types.

Raises
------
TypeError
    If it is anything else, such as a function of the user's, which no plain configuration can hold.
"""


class Configurable(Telling):
    """An object that is wholly described by its constructor's arguments, each kept in an attribute of that name.

    Such an attribute that is set later is checked as the constructor checks it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if self._made and self._own and not name.startswith("_") and name in vars(self) and name in self._arguments():
            self._change(name, value)
        else:
            super().__setattr__(name, value)

    def _change(self, name: str, value: Any) -> None:
        """Give an argument another value, as the constructor takes it beside the others."""
        arguments = {argument: vars(self)[argument] for argument in self._arguments() if argument in vars(self)}
        made = type(self)(**{**arguments, name: value})
        self._check_change(name, made)
        vars(self).update({argument: vars(made)[argument] for argument in arguments})

    def _check_change(self, name: str, made: Any) -> None:
        """Raise ValueError if the object cannot go on as one that is made with another value of this argument."""

    @classmethod
    def _arguments(cls) -> tuple[str, ...]:
        own: Any = cls
        return _arguments_of(own)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        Returns
        -------
        dict
            Argument names and their values, as plain JSON types.
        """
        values = {name: getattr(self, name) for name in self._arguments()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_config(cls: type[_T], config: Mapping[str, Any]) -> _T:
        """Make an object from what `get_config` returned.

        Parameters
        ----------
        config : dict
            Constructor arguments by name; those left out take their defaults.

        Returns
        -------
        Configurable
            An object of this class, equal to the one that `config` was taken from.

        Raises
        ------
        TypeError
            If `config` is no dict or names an argument that the constructor does not have.
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"the config of {cls.__name__} must be a dict, got {config!r}")
        return cls(**check_arguments(cls, cls._arguments(), {str(name): value for name, value in config.items()}))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._arguments()))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@lru_cache(maxsize=256)
def _arguments_of(cls: Any) -> tuple[str, ...]:
    constructor = cls.__init__
    return () if constructor is object.__init__ else tuple(parameter_names(constructor)[1:])


class Registry:
    """One family of classes, found by ``ClassName``, by ``class_name`` and by aliases.

    They are those of the ``__all__`` in a module's namespace that come from ``base``. ``accepted`` says what else the
    module's ``get`` takes.
    """

    def __init__(
        self,
        family: str,
        namespace: Mapping[str, Any],
        base: type[Configurable],
        accepted: str,
        **aliases: type[Configurable],
    ) -> None:
        self.family, self.accepted = family, accepted
        found = (namespace.get(name) for name in sorted(namespace["__all__"], key=str.lower))
        classes = (cls for cls in found if isinstance(cls, type) and issubclass(cls, base) and cls is not base)
        self.classes = {cls.__name__: cls for cls in classes}
        # TopKCategorical is top_k_categorical, but RMSprop is rmsprop.
        border = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z][A-Z])(?=[A-Z])"
        snake_case = {re.sub(border, "_", name).lower(): cls for name, cls in self.classes.items()}
        self.names = {**self.classes, **snake_case, **aliases}

    def documented(self, function: _Function) -> _Function:
        """Complete the docstring of a module's ``get`` or ``serialize``."""
        names = parameter_names(function)
        text = _SERIALIZE.format(argument=names[0])
        if function.__name__ == "get":
            known = ", ".join(filter(str.islower, self.names))
            identifier = (
                f"One of the names {known}, or that of a class; a class, which is called without arguments; a dict "
                f'with "class_name" and "config"; or {self.accepted}.'
            )
            text = _GET.format(identifier=fill(identifier, 116, initial_indent="    ", subsequent_indent="    "))
        function.__doc__ = completed(function.__doc__ or "", names, text)
        return function

    def get(self, identifier: Any) -> Any:
        """Return the callable that a name, class, config or callable means."""
        if isinstance(identifier, str):
            return self._find(identifier)()
        if isinstance(identifier, Mapping):
            # Keras writes the last two beside the first two; they say nothing more about a built-in class.
            unknown = sorted(set(map(str, identifier)) - {"class_name", "config", "module", "registered_name"})
            if unknown or "class_name" not in identifier:
                raise ValueError(
                    f"{self.family} must be a dict with the keys 'class_name' and 'config', got {dict(identifier)!r}"
                )
            return self._find(identifier["class_name"]).from_config(identifier.get("config", {}))
        made = identifier() if isinstance(identifier, type) else identifier
        if not callable(made):
            raise TypeError(f"{self.family} must be a name, a class, a config or a callable, got {identifier!r}")
        return made

    def serialize(self, instance: Any) -> dict[str, Any]:
        """Return the config from which `get` makes an equal object."""
        name = type(instance).__name__
        if self.classes.get(name) is not type(instance):
            raise TypeError(
                f"{self.family} must be one of {', '.join(self.classes)} to be put in a config, got {instance!r}"
            )
        return {"class_name": name, "config": instance.get_config()}

    def _find(self, name: Any) -> type[Configurable]:
        if not isinstance(name, str) or name not in self.names:
            near = suggestion(name, self.names) if isinstance(name, str) else ""
            raise ValueError(f"{self.family} must be one of {', '.join(sorted(self.names))}, got {name!r}{near}")
        return self.names[name]


def number(
    value: Any,
    name: str,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return `value` as a float if it is a finite real number within the bounds.

    Raises TypeError if it is not a real number; a bool is not; ValueError if it is infinite, NaN or out of bounds.
    """
    bounds = ((minimum, ">="), (maximum, "<="), (above, ">"), (below, "<"))
    wanted = " and ".join(f"{sign} {bound:g}" for bound, sign in bounds if math.isfinite(bound))
    message = f"{name} must be a finite number {wanted}".rstrip() + f", got {value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    try:
        result = float(value)
    except OverflowError as error:
        raise ValueError(message) from error
    if not (math.isfinite(result) and minimum <= result <= maximum and above < result < below):
        raise ValueError(message)
    return result


def integer(value: Any, name: str) -> int:
    """Return `value` as an int if it is one, a NumPy integer included.

    Raises TypeError if it is not an integer; a bool is not.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    return int(value)
