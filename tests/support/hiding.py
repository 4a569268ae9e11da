"""Names of Numba's that this package does not find, or finds changed, while Numba itself goes on using them."""

import importlib
import sys
import types
import warnings
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numba
from numba.core.registry import CPUDispatcher


def _for_numba_alone(name):
    """An attribute that the modules of this package cannot read."""

    def read(self):
        if sys._getframe(1).f_globals["__name__"].startswith("numbaconv."):
            raise AttributeError(f"'CPUDispatcher' object has no attribute {name!r}")
        return self.__dict__[name]

    return property(read, lambda self, value: self.__dict__.update({name: value}))


@contextmanager
def _imported(name, module):
    """Context in which an import finds `module`; unlike `patch.dict`, it keeps what else is imported meanwhile."""
    before, sys.modules[name] = sys.modules[name], module
    try:
        yield
    finally:
        sys.modules[name] = before


def changed(*args, **kwargs):
    """What a function is in a Numba that wants other arguments."""
    raise TypeError("it got other arguments than it wants")


@contextmanager
def hidden(names, **instead):
    """Context in which imports do not find `names`, each with its module before it or "dispatcher", but `instead`."""
    with ExitStack() as stack:
        for name in names:
            owner, _, last = name.rpartition(".")
            if owner == "dispatcher":
                stack.enter_context(patch.object(CPUDispatcher, last, _for_numba_alone(last), create=True))
                continue
            module = importlib.import_module(owner)
            less = types.ModuleType(owner)
            less.__dict__.update({key: value for key, value in vars(module).items() if key != last}, **instead)
            package, _, short = owner.rpartition(".")
            stack.enter_context(patch.object(sys.modules[package], short, less))
            stack.enter_context(_imported(owner, less))
            if name in sys.modules:
                stack.enter_context(_imported(name, None))
        yield


@contextmanager
def one_warning(*texts):
    """Context that warns once, of a Numba that is not known, in a sentence that contains all `texts`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    (warning,) = caught
    assert warning.category is RuntimeWarning
    for text in (f"Numba {numba.__version__}", *texts):
        assert text in str(warning.message), warning.message


def forget():
    """Have the next import read this package anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "numbaconv"]:
        del sys.modules[name]
