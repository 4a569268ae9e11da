"""Every class of layers, made with what it requires, and an input for it."""

import numpy as np
from cases import LAYERS

from numbaconv import layers
from numbaconv.layers.arguments import argument_names

SIZE = 6
REQUIRED = {"filters": 4, "kernel_size": 3, "units": 4, "rate": 0.5, "activation": "tanh"}
# Without a seed, Dropout differs from its twin; strides of their own do not follow the pool_size.
FIXED = {
    "Dropout": {"seed": 1},
    "GroupNormalization": {"groups": 2},
    "Normalization": {"mean": 0.5, "variance": 2.0},
    **{f"{kind}Pooling{n}D": {"strides": 1} for kind in ("Max", "Average") for n in (1, 2, 3)},
}
CLASSES = LAYERS


def make(cls, **arguments):
    taken = argument_names(getattr(layers, cls))
    required = {k: v for k, v in REQUIRED.items() if k in taken and (k != "activation" or cls == "Activation")}
    return getattr(layers, cls)(**{**required, **FIXED.get(cls, {}), "name": "mine", **arguments})


def example(layer):
    """As many channels as positions, so that both data formats fit."""
    rank = layer.rank or 1
    return np.random.default_rng(rank).standard_normal((2, *(SIZE,) * (rank + 1)), np.float32)
