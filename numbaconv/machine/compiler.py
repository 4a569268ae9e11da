"""The one decorator through which every loop of this package is compiled."""

import functools
import importlib
import sys
from contextlib import contextmanager
from threading import local
from types import SimpleNamespace

from . import sharing, start, threads
from .sources import sources_of
from .words import Word, setting

if not start.usable():
    # Numba will run the kernels. Parallel loops that are compiled from now on get along with theirs.
    from . import launching  # noqa: F401


# Calls of a kernel after which its arguments are told by a test that is made for them.
OFTEN = 32


class _Recording(local):
    """The list that calls of this thread's go to, if there is one."""

    calls = None


_recording = _Recording()


@contextmanager
def recorded():
    """A list of the calls of kernels that this thread makes meanwhile: what was called, and its arguments."""
    before, _recording.calls = _recording.calls, []
    try:
        yield _recording.calls
    finally:
        _recording.calls = before


def door(kernel, args):
    """What computes a kernel for arguments of these types, and looks at the types no more; the kernel, if unknown."""
    if not hasattr(kernel, "overloads"):
        return kernel
    from numba import typeof

    return getattr(kernel.overloads.get(tuple(map(typeof, args))), "entry_point", kernel)


class ParallelKernel:
    """A kernel of two forms: with its ``prange`` loop spread over the cores, and as a plain loop for small work."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        # From now on changes of the sources are seen.
        sources_of(self)
        # Machine code that was found without Numba: what tells its arguments, and the code.
        self._known = []
        # The same by kinds of arguments, with how often it was asked for.
        self._loaded = {}

    def __getattr__(self, name):
        if name == "__wrapped__":
            importlib.import_module(self.__module__)
            return vars(self)[name]
        # Made at need, for Numba takes long over it, and longer to be imported.
        if name != "dispatcher":
            raise AttributeError(name)
        with threads.compiler_lock:
            if name not in vars(self):
                from .dispatching import kernel

                self.dispatcher = kernel(self.__wrapped__)
            return vars(self)[name]

    def __reduce__(self):
        return named, (self.__module__, self.__name__)

    def __call__(self, *args, serial=False):
        plain = True if serial or threads.alone else False  # noqa: SIM210 (bool takes longer)
        for fits, code in self._known:
            if fits(args):
                kernel = code
                break
        else:
            kernel = self._found(args)
        if _recording.calls is not None:
            _recording.calls.append((kernel, (plain, *args)))
        kernel(plain, *args)

    def _found(self, args):
        """What computes the kernel for these arguments."""
        of = start.kinds((True, *args)) if start.usable() else None
        code, asked = self._loaded.get(of) or (of and start.load(self, of), 0)
        if code:
            self._loaded[of] = code, asked + 1
            # To prepare a test takes as long as to look at arguments so often.
            if asked + 1 == OFTEN:
                self._known.append((start.test_of(args), code))
            return code
        sharing.ask()
        return self.dispatcher


# Kernels whose modules nobody has imported yet.
_named = {}


def named(module, name):
    """The kernel of this name in a module, which is imported when the kernel is about to be compiled."""
    if (module, name) in _named:
        return _named[module, name]
    if setting("DISABLE_JIT", 0) or module in sys.modules:
        return getattr(importlib.import_module(module), name)
    kernel = _named[module, name] = ParallelKernel(SimpleNamespace(__module__=module, __name__=name, __qualname__=name))
    del kernel.__wrapped__
    return kernel


def _without_compiler(function):
    """What stands for a kernel where the compiler is switched off."""

    @functools.wraps(function)
    def refuse(*args, **kwargs):
        raise RuntimeError(
            "NUMBA_DISABLE_JIT=1 is set, but the kernels of numbaconv exist as machine code only. Unset it, or use "
            "numbaconv.reference, which computes the same operations in plain Python too"
        )

    return refuse


def compiled(function=None, *, parallel=False, inline=False, counted=True):
    """Compile loops over arrays and integers, which check nothing and never raise, as the whole package has them.

    ``parallel`` makes a kernel, called from Python, with a ``prange`` loop over tasks that write to different places;
    ``prange`` may count in unsigned integers: cast to int64 before any subtraction. A kernel is compiled at its first
    call for each set of argument types, kept on disk where a folder is writable, and contains whatever it calls.

    With ``inline`` the code becomes part of its callers however long it is: a call passes every field of every array,
    which counts where little is done between calls. Without ``counted``, references to arrays that are taken out of
    tuples are not counted, which takes a call each; it may then neither make nor return arrays, nor call what does.

    Floating-point rules stay strict except that a product and a sum may fuse into one rounding ("contract"): NaN and
    infinities behave as the formula says.
    """
    if function is None:
        return lambda f: compiled(f, parallel=parallel, inline=inline, counted=counted)
    if setting("DISABLE_JIT", 0):
        return _without_compiler(function)
    if parallel:
        kernel = _named.pop((function.__module__, function.__qualname__), None)
        return functools.update_wrapper(kernel, function) if kernel else ParallelKernel(function)

    def make(function):
        from .dispatching import helper

        return helper(function, inline, counted=counted)

    return Word(function, make)
