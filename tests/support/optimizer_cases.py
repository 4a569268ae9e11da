"""Optimizers and arrays that the tests of their steps and of their state share."""

import numpy as np

from numbaconv.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Lion, Nadam, RMSprop
from numbaconv.schedules import ExponentialDecay

# Every kind of optimizer, anew at each call.
EVERY = [
    lambda: SGD(0.1),
    lambda: SGD(0.1, 0.9),
    lambda: SGD(0.1, 0.9, True, weight_decay=0.01, clipnorm=1),
    lambda: RMSprop(0.1, clipvalue=0.5),
    lambda: RMSprop(0.1, momentum=0.5, centered=True),
    lambda: Adam(0.1, global_clipnorm=1),
    lambda: Adam(0.1, amsgrad=True),
    lambda: AdamW(ExponentialDecay(0.1, 2, 0.5)),
    lambda: Nadam(0.1),
    lambda: Adagrad(0.1),
    lambda: Adadelta(0.1),
    lambda: Adamax(0.1),
    lambda: Lion(0.1),
]
SHAPES = [(3, 3, 2, 4), (4,), (), (0, 3), (2, 1)]
DTYPES = ["float32"] * len(SHAPES)
ONE, TWO = np.ones(3, "float32"), np.ones((2, 2), "float32")


def arrays(seed, dtypes=DTYPES):
    """Values or gradients, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), dtype) for shape, dtype in zip(SHAPES, dtypes, strict=True)]


def run(optimizer, values, steps):
    """The values after steps with the gradients of these seeds."""
    for seed in steps:
        values = optimizer.step(values, arrays(seed, [value.dtype for value in values]))
    return values


def assert_same(values, expected):
    """The same shapes, dtypes and bits."""
    assert [(value.shape, value.dtype) for value in values] == [(value.shape, value.dtype) for value in expected]
    for value, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, other)
