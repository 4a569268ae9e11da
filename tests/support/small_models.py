"""A model of three layers, for tests of models and their files."""

import numpy as np

from numbaconv.layers import Conv2D, Cropping2D
from numbaconv.models import Sequential

SHAPE = (None, 6, 5, 2)


def small(**first):
    """A model of three layers for inputs of two channels."""
    return Sequential([Conv2D(3, 2, name="a", **first), Cropping2D(((0, 1), (1, 0)), name="b"), Conv2D(2, 1, name="c")])


def built():
    model = small(input_shape=SHAPE[1:])
    model.set_weights([np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(model.weights)])
    return model


def batch(n=3, shape=SHAPE[1:]):
    return np.random.default_rng(7).normal(size=(n, *shape)).astype(np.float32)
