"""`numba.njit` as all functions here use it."""

from collections.abc import Callable
from typing import Any

import numba
from numba import config as _config

from ..machine.cache import keep_on_disk
from ..machine.threads import compiler_lock

# LLVM's optimization level: further ones take half as long again, and loops in this order hardly run faster.
LEVEL = 1
# Typed as a module that defines nothing.
config: Any = _config


def njit(function: Callable) -> Any:
    """Compile a function at its first call for each set of argument types, and keep the machine code on disk."""
    dispatcher: Any = numba.njit(function)
    # The function itself where the compiler is switched off.
    if dispatcher is not function:
        keep_on_disk(dispatcher, LEVEL, called=True)
        thoroughly = dispatcher.compile

        def compile_fast(sig: Any) -> Any:
            # Numba compiles under this lock, so no other function sees the level.
            with compiler_lock:
                level = config.OPT
                config.OPT = type(level)(LEVEL)
                try:
                    return thoroughly(sig)
                finally:
                    config.OPT = level

        dispatcher.compile = compile_fast
    return dispatcher
