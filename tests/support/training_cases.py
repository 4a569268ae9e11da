"""A small layer that learns, and models and examples made for the tests of training."""

import numpy as np

from numbaconv import constraints, initializers, regularizers
from numbaconv.callbacks import LambdaCallback
from numbaconv.layers import Layer
from numbaconv.losses import SparseCategoricalCrossentropy
from numbaconv.models import Sequential


class Linear(Layer):
    """``x @ kernel`` on arrays of two axes."""

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        # What was asked of the layer, in order.
        self.asked = []

    def _weight_shapes(self, channels):
        return {"kernel": (channels, self.units)}

    def _output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def call(self, x):
        self.asked.append("call")
        return x @ self._weights["kernel"]

    def _forward(self, x):
        self.asked.append("forward")
        return x @ self._weights["kernel"], x

    def _backward(self, x, grad_out, input_grad):
        self.asked.append(f"backward {'with' if input_grad else 'without'} input")
        return grad_out @ self._weights["kernel"].T if input_grad else None, {"kernel": x.T @ grad_out}


class Counted(Layer):
    """What it gets; counts its forward passes in a weight that the optimizer leaves alone."""

    statistics = ("count",)
    count_initializer = staticmethod(np.zeros)

    def _weight_shapes(self, channels):
        return {"count": (1,)}

    def _output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return x.copy()

    def _forward(self, x):
        self._assign({"count": self._weights["count"] + 1})
        return x, None

    def _backward(self, kept, grad_out, input_grad):
        return grad_out, {}


def one_weight(value=1.0, **settings):
    """A model ``x * value`` in float64."""
    return Sequential([Linear(1, weights=[[[value]]], dtype="float64", input_shape=(1,), **settings)], name="m")


def weight_of(model):
    (kernel,) = model.weights
    return kernel.item()


def classes(n=20, seed=0):
    """Points of two coordinates, and on which side of a line they are."""
    x = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    return x, (x.sum(axis=1) > 0).astype(int)


def classifier(*, optimizer="sgd", metrics=("accuracy",), **settings):
    """A compiled model for `classes` with fixed weights."""
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=shape) for shape in ((2, 4), (4, 2))]
    layers = [Linear(4, weights=[weights[0]], name="a", **settings), Linear(2, weights=[weights[1]], name="b")]
    model = Sequential(layers, name="m")
    model.compile(optimizer, SparseCategoricalCrossentropy(from_logits=True), list(metrics))
    return model


def scripted(values, name="q"):
    """A callback that adds these values, one for each epoch, to the results."""

    def add(epoch, logs):
        logs[name] = values[epoch]

    return LambdaCallback(on_epoch_end=add)


def same(arrays, others):
    """Whether lists of arrays are the same to the last bit."""
    return len(arrays) == len(others) and all(a.tobytes() == b.tobytes() for a, b in zip(arrays, others, strict=True))
