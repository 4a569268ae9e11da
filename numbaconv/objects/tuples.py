"""Named tuples, written as with `typing.NamedTuple` and the same in use, but made in a tenth of the time.

A network that is found on disk runs before a hundred of them are made as `typing` makes them.
"""

import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or sys.version_info >= (3, 14):
    # There annotations are put together when somebody asks for them.
    from typing import NamedTuple as NamedTuple
else:
    from collections import _tuplegetter

    @functools.cache
    def _maker(count: int) -> Any:
        """A function that makes a tuple of so many values."""
        names = "".join(f"a{i}, " for i in range(count))
        return eval(f"lambda _cls, {names}: new(_cls, ({names}))", {"new": tuple.__new__})

    class _Kind(type):
        """The type of named tuples."""

        def __new__(cls, name: str, bases: tuple[type, ...], own: dict[str, Any]) -> Any:
            types = own.get("__annotations__", {})
            fields = tuple(types)
            defaults = {field: own[field] for field in fields if field in own}
            if fields and bases != (NamedTuple,):
                raise TypeError(f"{name} would add fields to those of another tuple")
            if fields:
                if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                    raise TypeError(f"{name} has a field without a default after one with")
                maker = _maker(len(fields))
                new = type(maker)(maker.__code__.replace(co_varnames=("_cls", *fields)), maker.__globals__, "__new__")
                new.__defaults__, new.__annotations__ = tuple(defaults.values()), dict(types)
                new.__qualname__ = f"{name}.__new__"
                own |= {field: _tuplegetter(i, f"Alias for field number {i}") for i, field in enumerate(fields)}
                own |= {"__new__": new, "_fields": fields, "__match_args__": fields, "_field_defaults": defaults}
            return super().__new__(cls, name, bases, {"__slots__": (), **own})

    class NamedTuple(tuple, metaclass=_Kind):
        """What `typing.NamedTuple` is; the methods that each of those has of its own are here once."""

        _fields = ()

        @classmethod
        def _make(cls, values: Any) -> Any:
            return cls(*values)

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed: Any) -> Any:
            return type(self)(**{**self._asdict(), **changed})

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={one!r}' for name, one in self._asdict().items())})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)
