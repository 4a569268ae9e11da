"""Compiles ahead what a process would otherwise compile at its first calls."""

import importlib
import pkgutil

from .. import kernels as _kernels
from ..machine import start
from ..machine.compiler import ParallelKernel


def kernels() -> dict[str, ParallelKernel]:
    """All kernels, by name."""
    found = pkgutil.walk_packages(_kernels.__path__, f"{_kernels.__name__}.")
    modules = (importlib.import_module(module.name) for module in found)
    return {
        f"{value.__module__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, ParallelKernel)
    }


def call_by_numba() -> None:
    """Let calls go through Numba from now on: machine code found without it does not tell argument types."""
    importlib.import_module("numba")
    start.usable.cache_clear()
    for kernel in kernels().values():
        kernel._known.clear()


def counts() -> tuple[int, int]:
    """How many kernels, for all argument types, were compiled since `call_by_numba`, and how many found on disk."""
    stats = [kernel.dispatcher.stats for kernel in kernels().values()]
    return sum(s.cache_misses.total() for s in stats), sum(s.cache_hits.total() for s in stats)
