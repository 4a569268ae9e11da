"""What is stable from version 1.0 on: public names, their arguments and members, in `docs/stable.txt`.

    python tests/support/stable.py    # writes it, after something was added

From 1.0 to 2.0 lines may be added to it, and arguments to lines. Nothing may be taken away or change its place.
"""

import importlib
import inspect
import re
import types
from pathlib import Path

import numbaconv
from numbaconv.common import words

LIST = Path(__file__).parents[2] / "docs" / "stable.txt"
# Public, and on the page among what is not stable.
NEW_MODULES = {"dask", "exercises"}
NEW_METHODS = {"predict_tiled"}
# What the library's own parts ask of each other.
INNER = {"check_quantities", "what_it_does"}


def modules():
    """The stable modules by their names, the package itself last, where some things are again."""
    names = [name for name in numbaconv.__all__ if name.islower() and not name.startswith("_")]
    found = {f"numbaconv.{name}": importlib.import_module(f"numbaconv.{name}") for name in names}
    return {name: found[name] for name in found if name.partition(".")[2] not in NEW_MODULES} | {"numbaconv": numbaconv}


def lines():
    """What the list should be."""
    yield "**common: " + ", ".join(words.Common.__annotations__)
    homes = modules()
    for module, home in homes.items():
        for name in sorted(home.__all__):
            if f"{module}.{name}" not in homes and name not in NEW_MODULES:
                yield from _described(f"{module}.{name}", getattr(home, name))


def _described(name, thing):
    place = _place(thing)
    if place is None or inspect.isroutine(thing):
        yield name + (_arguments(thing) if place else "")
    elif place != name:
        yield f"{name} = {place}"
    else:
        yield name + _arguments(thing)
        yield from (f"    .{member}{_shape(thing, member)}" for member in _own(thing))


def _place(thing):
    """The name by which something with arguments is listed; None for all else."""
    if isinstance(thing, types.GenericAlias) or not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return None
    places = [f"{name}.{thing.__name__}" for name, home in modules().items()]
    return next((p for p in places if _is_at(p, thing)), f"{thing.__module__}.{thing.__name__}")


def _is_at(place, thing):
    module, _, name = place.rpartition(".")
    return name in modules()[module].__all__ and getattr(modules()[module], name) is thing


def _own(cls):
    """Members with a description, but for those that a public base has with the same arguments."""
    bases = [base for base in cls.__mro__[1:] if any(_is_at(f"{name}.{base.__name__}", base) for name in modules())]
    for member in dir(cls):
        home = next((base for base in cls.__mro__ if member in vars(base)), object)
        inner = member.startswith("_") or member.endswith("_initializer") or member in INNER | NEW_METHODS
        if inner or not home.__module__.startswith("numbaconv"):
            continue
        found = vars(home)[member]
        told = found.__doc__ and hasattr(found, "__get__")
        inherited = next((base for base in bases if hasattr(base, member)), None)
        if _shape(cls, member) != _shape(inherited, member) if inherited else told:
            yield member


def _shape(cls, member):
    found = inspect.getattr_static(cls, member)
    if isinstance(found, staticmethod | classmethod):
        return _arguments(getattr(cls, member))
    return _arguments(found) if inspect.isfunction(found) else ""


def _arguments(function):
    """``(filters, strides=1, *, name=None)``; ``**common`` are the keywords of all layers."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        kind = re.fullmatch(r"Unpack\[(\w+)\]", str(parameter.annotation).strip("'"))
        if kind and kind[1] == "Penalized":
            parameters.append(inspect.Parameter("activity_regularizer", parameter.KEYWORD_ONLY, default=None))
        if parameter.name != "self":
            name = "common" if kind else parameter.name
            parameters.append(parameter.replace(name=name, annotation=parameter.empty))
    text = str(inspect.Signature(parameters))
    # A keyword that nobody knows is refused.
    return re.sub(r", \*\*unknown|<built-in function (\w+)>", r"\1", text)


if __name__ == "__main__":
    LIST.write_text("\n".join(lines()) + "\n", encoding="utf-8")
