"""Targets and predictions that the tests of losses and of metrics beside Keras share."""

import numpy as np

from numbaconv import activations


def draw(name, from_logits, shape, dtype, seed=0):
    """Targets and predictions of one kind and shape."""
    rng = np.random.default_rng(seed)
    y_pred = rng.normal(0, 3, shape)
    if name == "BinaryCrossentropy":
        y_true = rng.integers(0, 2, shape)
        y_pred = y_pred if from_logits else activations.sigmoid(y_pred)
    elif name == "CategoricalCrossentropy":
        y_true = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        y_pred = y_pred if from_logits else activations.softmax(y_pred) * 3
    elif name == "SparseCategoricalCrossentropy":
        y_true = rng.integers(0, shape[-1], shape[:-1])
        y_pred = y_pred if from_logits else activations.softmax(y_pred) * 0.9
    elif name in ("Hinge", "SquaredHinge"):
        # Keras takes zeros for -1 where there is nothing but zeros and ones.
        y_true = rng.integers(0, 2, shape) * (2 - seed % 2) - (1 - seed % 2)
    elif name == "CategoricalHinge":
        y_true = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    elif name in ("KLDivergence", "Dice"):
        y_true, y_pred = rng.uniform(size=shape), activations.sigmoid(y_pred)
    else:
        y_true = rng.normal(size=shape)
    return y_true.astype("int32" if y_true.dtype.kind == "i" else dtype), y_pred.astype(dtype)
