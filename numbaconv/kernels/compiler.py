"""The one decorator through which every loop of this package is compiled.

Numba keys its disk cache on the file that holds a function, so a change in a helper or an intrinsic of another
file would go unnoticed and old machine code would run. Here the key covers all of ``kernels/``.
"""

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
    def _index_key(self, sig, codegen):
        return super()._index_key(sig, codegen), _BUILD


def compiled(function=None, *, parallel=False):
    """Compile a kernel with the options that hold for the whole package.

    Parameters
    ----------
    function : callable
        Loops over arrays and integers; it checks nothing and never raises.
    parallel : bool
        Spread its ``prange`` loops over the cores. Under ``NUMBA_BOUNDSCHECK=1`` they run serially, because Numba
        drops the checks in parallel code.

    Returns
    -------
    numba dispatcher
        Compiled at its first call for each set of argument types, and kept on disk where a folder is writable.

    Notes
    -----
    Floating-point rules stay strict except that a product and a sum may fuse into one rounding ("contract"): NaN and
    infinities behave as the formula says.
    """
    if function is None:
        return lambda f: compiled(f, parallel=parallel)
    dispatcher = numba.njit(
        parallel=parallel and not config.BOUNDSCHECK, fastmath={"contract"}, error_model="numpy", nogil=True
    )(function)
    # Nothing to cache without the compiler, and nowhere to cache in a read-only installation.
    if hasattr(dispatcher, "_cache"):
        try:
            dispatcher._cache = _KernelCache(function)
        except RuntimeError:
            pass
    return dispatcher
