"""The convolution layers of Keras as Numba loops in pure Python.

Start with `numbaconv.layers`, `numbaconv.models` (Sequential and Model) or `numbaconv.functional` (the same operations
without layers). Submodules load on first use, so that `numbaconv.shapes` needs neither NumPy nor Numba.
"""

from typing import TYPE_CHECKING

from .objects.public import publish
from .objects.version import __version__

if TYPE_CHECKING:
    from . import (
        activations,
        callbacks,
        config,
        constraints,
        dask,
        exercises,
        functional,
        history,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        reference,
        regularizers,
        schedules,
        shapes,
        utils,
    )
    from .layers import Input
    from .models import Model, Sequential

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "callbacks",
    "config",
    "constraints",
    "dask",
    "exercises",
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
    "schedules",
    "shapes",
    "utils",
]

_lazy = {name: f"{__name__}.{name}" for name in __all__ if name[0].islower()}
_classes = {"Input": "layers", "Model": "models", "Sequential": "models"}
publish(__name__, {**_lazy, **{name: f"{__name__}.{module}:{name}" for name, module in _classes.items()}})
