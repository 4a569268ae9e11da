"""Numba's dispatchers for the loops of this package: what `compiler` hands to Numba, once it is needed."""

import numba
from numba import config

from . import launching, tiles  # noqa: F401
from .cache import keep_on_disk
from .private import lost_without
from .vectors import TILE_ROWS, TILE_VECS, VECTOR_BYTES
from .words import made_of_numba

parts = None
with lost_without("compiling takes longer, and Ctrl-C or a fork may break into it"):
    from . import parts


def _dispatcher(function, **options):
    return numba.njit(fastmath={"contract"}, error_model="numpy", nogil=True, **options)(function)


# Of a kernel. What its two forms call, nearly all of its machine code, is there once.
_FORMS = """
def {name}(serial, {arguments}):
    if serial:
        alone({arguments})
    else:
        spread({arguments})
"""


def kernel(function):
    """A dispatcher that Python calls, with before all arguments whether the loop over tasks is a plain one."""
    function = made_of_numba(function)
    code = function.__code__
    text = _FORMS.format(name=function.__name__, arguments=", ".join(code.co_varnames[: code.co_argcount]))
    alone = helper(function)
    # Numba drops bounds checks in parallel code.
    names = {"alone": alone, "spread": alone if config.BOUNDSCHECK else helper(function, parallel=True)}
    exec(compile(text, code.co_filename, "exec"), names)
    forms = names[function.__name__]
    # Who asks for its source, as Numba does, gets the function's.
    forms.__code__ = forms.__code__.replace(co_firstlineno=code.co_firstlineno)
    forms.__module__, forms.__qualname__, forms.__doc__ = function.__module__, function.__qualname__, function.__doc__
    dispatcher = _dispatcher(forms)
    if parts:
        parts.bend_kernel(dispatcher)
    keep_on_disk(dispatcher, VECTOR_BYTES, TILE_ROWS, TILE_VECS)
    return dispatcher


def helper(function, inline=False, parallel=False, counted=True):
    """A dispatcher that compiled code calls."""
    dispatcher = _dispatcher(function, parallel=parallel)
    if parts:
        parts.bend_helper(dispatcher, inline, counted)
    return dispatcher
