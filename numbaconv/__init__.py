"""The convolution layers of Keras as Numba loops in pure Python.

Start with `numbaconv.layers` (the seventeen layers), `numbaconv.models` (Sequential) or `numbaconv.functional` (the
same operations without layers). Submodules load on first use, so that `numbaconv.shapes` needs neither NumPy nor Numba.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBMODULES = (
    "activations",
    "callbacks",
    "config",
    "constraints",
    "functional",
    "history",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "reference",
    "regularizers",
    "shapes",
    "utils",
)
__all__ = [*_SUBMODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
