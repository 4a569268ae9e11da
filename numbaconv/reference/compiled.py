"""`numba.njit` as all functions here use it."""

from collections.abc import Callable
from typing import Any

import numba

from ..machine.cache import keep_on_disk


def njit(function: Callable) -> Any:
    """Compile a function at its first call for each set of argument types, and keep the machine code on disk."""
    dispatcher: Any = numba.njit(function)
    # The function itself where the compiler is switched off.
    if dispatcher is not function:
        keep_on_disk(dispatcher, called=True)
    return dispatcher
