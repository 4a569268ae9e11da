"""The one decorator through which every loop of this package is compiled."""

import functools
from contextlib import contextmanager
from threading import local

import numba
from numba import config

from . import threads
from .cache import keep_on_disk, sources_of
from .private import lost_without
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES

parts = None
with lost_without("compiling takes longer, and Ctrl-C or a fork may break into it"):
    from . import parts


def _dispatcher(function, **options):
    return numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True, **options)(function)


def _kernel(function, parallel):
    dispatcher = _dispatcher(function, parallel=parallel)
    if parts:
        parts.bend_kernel(dispatcher)
    keep_on_disk(dispatcher, parallel, VECTOR_BYTES, TILE_ROWS, TILE_VECS)
    return dispatcher


def _helper(function, inline):
    dispatcher = _dispatcher(function)
    if parts:
        parts.bend_helper(dispatcher, inline)
    return dispatcher


class _Recording(local):
    """The list that calls of this thread's go to, if there is one."""

    calls = None


_recording = _Recording()


@contextmanager
def recorded():
    """A list of the calls of kernels that this thread makes meanwhile: what was called, and its arguments."""
    _recording.calls = calls = []
    try:
        yield calls
    finally:
        _recording.calls = None


def door(kernel, args):
    """What computes a kernel for arguments of these types, and looks at the types no more; the kernel, if unknown."""
    return getattr(kernel.overloads.get(tuple(map(numba.typeof, args))), "entry_point", kernel)


class ParallelKernel:
    """A kernel compiled twice at need: with its ``prange`` loop spread over the cores, and as a plain loop."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        # From now on changes of the sources are seen.
        sources_of(function)

    def __getattr__(self, name):
        # Made at need, for Numba takes long over it.
        if name not in ("parallel", "serial"):
            raise AttributeError(name)
        with threads.compiler_lock:
            if name not in vars(self):
                setattr(self, name, _kernel(self.__wrapped__, name == "parallel"))
            return vars(self)[name]

    def __call__(self, *args, serial=False):
        # Numba drops bounds checks in parallel code.
        kernel = self.serial if serial or threads.alone or config.BOUNDSCHECK else self.parallel
        if _recording.calls is not None:
            _recording.calls.append((kernel, args))
        kernel(*args)


def _without_compiler(function):
    """What stands for a kernel where the compiler is switched off."""

    @functools.wraps(function)
    def refuse(*args, **kwargs):
        raise RuntimeError(
            "NUMBA_DISABLE_JIT=1 is set, but the kernels of numbaconv exist as machine code only. Unset it, or use "
            "numbaconv.reference, which computes the same operations in plain Python too"
        )

    return refuse


def compiled(function=None, *, parallel=False, inline=False):
    """Compile loops with the options that hold for the whole package.

    Parameters
    ----------
    function : callable
        Loops over arrays and integers; it checks nothing and never raises.
    parallel : bool
        Whether it is a kernel, called from Python, with a ``prange`` loop over tasks that write to different places.
        ``prange`` may count in unsigned integers: cast to int64 before any subtraction.
    inline : bool
        Whether the code becomes part of its callers however long it is: a call passes every field of every array, which
        counts where little is done between calls.

    Returns
    -------
    ParallelKernel or numba dispatcher
        Compiled at its first call for each set of argument types; kernels are kept on disk where a folder is writable,
        and contain whatever they call. Only kernels can be called from Python.

    Notes
    -----
    Floating-point rules stay strict except that a product and a sum may fuse into one rounding ("contract"): NaN and
    infinities behave as the formula says.
    """
    if function is None:
        return lambda f: compiled(f, parallel=parallel, inline=inline)
    if config.DISABLE_JIT:
        return _without_compiler(function)
    if parallel:
        return ParallelKernel(function)
    return _helper(function, inline)
