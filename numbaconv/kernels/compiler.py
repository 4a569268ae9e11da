"""The one decorator through which every loop of this package is compiled.

Numba keys its disk cache on the file that holds a function, so a change in a helper or an intrinsic of another
file would go unnoticed and old machine code would run. Here the key covers all of ``kernels/``.
"""

import functools
import hashlib
from pathlib import Path

import numba
from numba.core import config
from numba.core.caching import FunctionCache

from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES


def _build_key():
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest(), VECTOR_BYTES, TILE_ROWS, TILE_VECS, bool(config.BOUNDSCHECK)


_BUILD = _build_key()


class _KernelCache(FunctionCache):
    parallel = False

    def _index_key(self, sig, codegen):
        return super()._index_key(sig, codegen), self.parallel, _BUILD


def _dispatcher(function, parallel):
    return numba.njit(parallel=parallel, fastmath={"contract"}, error_model="numpy", nogil=True, no_cfunc_wrapper=True)(
        function
    )


def _kernel(function, parallel):
    dispatcher = _dispatcher(function, parallel)
    try:
        dispatcher._cache = _KernelCache(function)
        dispatcher._cache.parallel = parallel
    except RuntimeError:
        # Nowhere to write, as in a read-only installation without a home: compile anew in every process.
        pass
    return dispatcher


class ParallelKernel:
    """A kernel compiled twice at need: with its ``prange`` loop spread over the cores, and as a plain loop."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.parallel, self.serial = _kernel(function, True), _kernel(function, False)

    def __call__(self, *args, serial=False):
        # Numba drops bounds checks in parallel code.
        (self.serial if serial or config.BOUNDSCHECK else self.parallel)(*args)


def compiled(function=None, *, parallel=False):
    """Compile loops with the options that hold for the whole package.

    Parameters
    ----------
    function : callable
        Loops over arrays and integers; it checks nothing and never raises.
    parallel : bool
        Whether it is a kernel, called from Python, with a ``prange`` loop over tasks that write to different places.
        ``prange`` may count in unsigned integers: cast to int64 before any subtraction.

    Returns
    -------
    ParallelKernel or numba dispatcher
        Compiled at its first call for each set of argument types; kernels are kept on disk where a folder is writable,
        and contain whatever they call.

    Notes
    -----
    Floating-point rules stay strict except that a product and a sum may fuse into one rounding ("contract"): NaN and
    infinities behave as the formula says.
    """
    if function is None:
        return lambda f: compiled(f, parallel=parallel)
    return ParallelKernel(function) if parallel else _dispatcher(function, False)
