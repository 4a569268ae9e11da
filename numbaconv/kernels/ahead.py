"""Compiles ahead what a process would otherwise compile at its first calls."""

import importlib
import pkgutil

from . import __path__ as _folders
from .compiler import ParallelKernel


def kernels():
    """All kernels of this folder, by name."""
    modules = (importlib.import_module(f".{found.name}", __package__) for found in pkgutil.iter_modules(_folders))
    return {
        f"{value.__module__}.{value.__name__}": value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, ParallelKernel)
    }


def compile_both_twins():
    """Compile each kernel's parallel and serial twin for all argument types that either was called with.

    Returns
    -------
    compiled, found : int
        How many this process has compiled since its start, and how many it has found on disk.
    """
    twins = [(kernel.parallel, kernel.serial) for kernel in kernels().values()]
    for pair in twins:
        for signature in {signature for twin in pair for signature in twin.signatures}:
            for twin in pair:
                twin.compile(signature)
    stats = [twin.stats for pair in twins for twin in pair]
    return sum(s.cache_misses.total() for s in stats), sum(s.cache_hits.total() for s in stats)
