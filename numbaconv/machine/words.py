"""Names for Numba's that kernels are written in, so that their modules are imported without it.

Numba takes as long to import as a network to load and run. A process that finds all its machine code on disk never
needs it (see `native`), so what stands for Numba here fetches it when the compiler first asks.
"""

import functools
import importlib
import os
import sys
from typing import Any

from .private import lost_without

# Set in Numba's place when a kernel is about to be compiled: see `made_of_numba`.
prange = range


class Later:
    """A module that is imported when one of its names is first asked for."""

    def __init__(self, name: str, package: str | None = None) -> None:
        self._named = name, package

    def __getattr__(self, name: str) -> Any:
        if name == "_module":
            self._module = importlib.import_module(*self._named)
            return self._module
        return getattr(self._module, name)


class _Fixed(Later):
    """One whose names stay what they are."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        setattr(self, name, found)
        return found


ir, types, cgutils = map(_Fixed, ("llvmlite.ir", "numba.types", "numba.core.cgutils"))
tiles = _Fixed(f"{__package__}.tiles")
# Registers what `overloaded` has collected, in order.
_overloads: list[tuple[Any, Any]] = []


def setting(name: str, usual: Any = None) -> Any:
    """A setting of Numba's, from its environment variable where Numba has not been imported."""
    numba = sys.modules.get("numba")
    if numba is None and not os.path.exists(".numba_config.yaml"):
        text = os.environ.get(f"NUMBA_{name}")
        return usual if text is None else int(text) if isinstance(usual, int) else text
    from numba import config

    # That of the number of threads has the name of its variable there.
    return getattr(config, name if hasattr(config, name) else f"NUMBA_{name}")


class Word:
    """A function of compiled code that Numba makes when it first meets it."""

    __name__: str
    __wrapped__: Any

    def __init__(self, function: Any, make: Any) -> None:
        functools.update_wrapper(self, function)
        self._make = make

    @functools.cached_property
    def made(self) -> Any:
        """Numba's own object."""
        return self._make(self.__wrapped__)

    @property
    def py_func(self) -> Any:
        """The function itself, as of Numba's dispatchers."""
        return self.__wrapped__

    @property
    def _numba_type_(self) -> Any:
        return _type_of(self.made)

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.__name__} exists in compiled code only: call it from a numba.njit function")


@functools.cache
def _types() -> Any:
    """Where Numba keeps the types of functions; None where it is not what it was."""
    found = None
    with lost_without("functions of tiles cannot be called from functions of your own"):
        from numba.core.registry import cpu_target

        found = cpu_target.typing_context
        found.refresh, found.resolve_value_type  # noqa: B018
    return found


def _type_of(made: Any) -> Any:
    """Numba's type of one of its functions."""
    register()
    _types().refresh()
    return _types().resolve_value_type(made)


def intrinsic(function: Any = None, **options: Any) -> Any:
    """Decorator like Numba's."""
    if function is None:
        return functools.partial(intrinsic, **options)

    def make(function: Any) -> Any:
        from numba.extending import intrinsic

        return intrinsic(**options)(function) if options else intrinsic(function)

    return Word(function, make)


def overloaded(function: Any) -> Any:
    """Decorator like ``numba.extending.overload``."""

    def decorate(overload: Any) -> Any:
        _overloads.append((function, overload))
        return overload

    return decorate


def register() -> None:
    """Have Numba know the operators of tiles, and what has been overloaded."""
    from numba.extending import overload

    # Operators are known once the module has been imported.
    tiles.INT  # noqa: B018
    while _overloads:
        function, made = _overloads.pop(0)
        overload(function)(made)


def made_of_numba(function: Any) -> Any:
    """A kernel with Numba's own name for its parallel loop, which it knows by nothing else."""
    import numba

    register()
    if "prange" in function.__globals__:
        function.__globals__["prange"] = numba.prange
    if _types() is None:
        _replace()
    return function


def _replace() -> None:
    """Put what Numba has made in the place of all words, where it would not know what they are."""
    package = __name__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        if name.startswith((f"{package}.kernels", f"{package}.machine")):
            for attribute, value in list(vars(module).items()):
                if isinstance(value, Word):
                    setattr(module, attribute, value.made)
