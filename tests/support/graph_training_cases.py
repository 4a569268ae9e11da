"""Small models of several inputs and outputs, and examples for them."""

import numpy as np

from numbaconv.layers import Add, Dense, Input
from numbaconv.losses import SparseCategoricalCrossentropy
from numbaconv.models import Model

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(14, 3)), RNG.normal(size=(14, 2))
SIDE, KIND = RNG.normal(size=(14, 1)), RNG.integers(3, size=14)
XS, YS = [LEFT, RIGHT], [SIDE, KIND]
WEIGHTS = np.linspace(0, 2, 14)
QUIET = {"verbose": 0}
SPARSE = SparseCategoricalCrossentropy(from_logits=True)
LAYERS = ["narrow", "shared", "side", "kind"]
MEASURED = {"side": "mae", "kind": "accuracy"}


def factor(value, name, **settings):
    return Dense(1, use_bias=False, weights=[[[value]]], name=name, **settings)


def two_factors(a=3.0, b=-1.0, shared=2.0, **settings):
    """``shared * a * x`` and ``shared * b * x``."""
    x = Input((1,), name="x")
    middle = factor(shared, "shared", **settings)(x)
    return Model(x, [factor(a, "a")(middle), factor(b, "b")(middle)], name="m")


def model_of(form=list, optimizer="sgd", loss=None, metrics=MEASURED, **settings):
    """Two inputs and two outputs with fixed weights, compiled."""
    left, right = Input((3,), name="left"), Input((2,), name="right")
    shared = Dense(4, "tanh", name="shared")
    first, second = shared(Dense(2, name="narrow")(left)), shared(right)
    outputs = {"side": Dense(1, name="side")(second), "kind": Dense(3, name="kind")(Add(name="add")([first, second]))}
    model = Model([left, right], outputs if form is dict else list(outputs.values()), name="m")
    rng = np.random.default_rng(5)
    for name in LAYERS:
        model.get_layer(name).set_weights([rng.normal(size=w.shape) for w in model.get_layer(name).weights])
    model.compile(optimizer, {"side": "mse", "kind": SPARSE} if loss is None else loss, metrics, **settings)
    return model
