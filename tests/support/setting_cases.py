"""Every class of layers, made with what it requires, and an input for it."""

import inspect

import numpy as np
from cases import LAYERS

from numbaconv import layers

SIZE = 6
REQUIRED = {"filters": 4, "kernel_size": 3, "units": 4, "rate": 0.5, "activation": "tanh", "stddev": 0.5, "scale": 0.5}
REQUIRED |= {"target_shape": (-1, 4), "dims": (2, 1), "n": 2, "height": 4, "width": 5}
# Without a seed, Dropout differs from its twin; strides of their own do not follow the pool_size.
FIXED = {
    **{name: {"seed": 1} for name in layers.__all__ if "Dropout" in name or "Noise" in name},
    "Softmax": {"axis": 2},
    "GroupNormalization": {"groups": 2},
    "Normalization": {"mean": 0.5, "variance": 2.0},
    **{f"{kind}Pooling{n}D": {"strides": 1} for kind in ("Max", "Average") for n in (1, 2, 3)},
}
CLASSES = LAYERS
# Lambda has no configuration.
CLASSES = [name for name in LAYERS if name != "Lambda"]


def make(cls, **arguments):
    parameters = inspect.signature(getattr(layers, cls)).parameters.values()
    required = {p.name: REQUIRED[p.name] for p in parameters if p.default is p.empty and p.name in REQUIRED}
    return getattr(layers, cls)(**{**required, **FIXED.get(cls, {}), "name": "mine", **arguments})


def example(layer):
    """As many channels as positions, so that both data formats fit."""
    rank = layer.rank or (0 if isinstance(layer, layers.RepeatVector) else 1)
    return np.random.default_rng(rank).standard_normal((2, *(SIZE,) * (rank + 1)), np.float32)
