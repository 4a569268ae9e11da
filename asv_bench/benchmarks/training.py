"""Training: forward and backward of layers, and a whole model's `fit` and `predict`."""

from collections.abc import Callable
from functools import cache

import numpy as np

from numbaconv import layers
from numbaconv.models import Sequential

from . import random

# Name: (layer, settings, input shape).
LAYERS = {
    "3x3, batch 8 of 56x56x64 -> 64": ("Conv2D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (8, 56, 56, 64)),
    "3x3/2, batch 8 of 56x56x64 -> 128": ("Conv2D", {"filters": 128, "kernel_size": 3, "strides": 2}, (8, 56, 56, 64)),
    "1x1, batch 8 of 56x56x64 -> 256": ("Conv2D", {"filters": 256, "kernel_size": 1}, (8, 56, 56, 64)),
    "7x7/2, batch 8 of 112x112x3 -> 64": ("Conv2D", {"filters": 64, "kernel_size": 7, "strides": 2}, (8, 112, 112, 3)),
    "1D 3 dilated 8, batch 8 of 2000x64 -> 64": (
        "Conv1D",
        {"filters": 64, "kernel_size": 3, "dilation_rate": 8, "padding": "causal"},
        (8, 2000, 64),
    ),
    "3D 3x3x3, 8x28x28x32 -> 64": ("Conv3D", {"filters": 64, "kernel_size": 3, "padding": "same"}, (1, 8, 28, 28, 32)),
    "depthwise 3x3, batch 8 of 56x56x64": ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}, (8, 56, 56, 64)),
    "separable 3x3, batch 8 of 28x28x64 -> 64": (
        "SeparableConv2D",
        {"filters": 64, "kernel_size": 3, "padding": "same"},
        (8, 28, 28, 64),
    ),
    "transposed 4x4*2, batch 8 of 28x28x64 -> 32": (
        "Conv2DTranspose",
        {"filters": 32, "kernel_size": 4, "strides": 2, "padding": "same"},
        (8, 28, 28, 64),
    ),
    "batch normalization, batch 8 of 56x56x64": ("BatchNormalization", {}, (8, 56, 56, 64)),
    "nearest *2, batch 8 of 28x28x64": ("UpSampling2D", {"size": 2}, (8, 28, 28, 64)),
    "max pooling 2x2, batch 8 of 56x56x64": ("MaxPooling2D", {}, (8, 56, 56, 64)),
    "dense, batch 64 of 1024 -> 256": ("Dense", {"units": 256}, (64, 1024)),
}


class Layer:
    """Gradients of input, weights and bias, the weights packed anew as after every step of an optimizer."""

    params = tuple(LAYERS)
    param_names = ("layer",)
    repeat = (5, 50, 0.5)

    def setup(self, name: str) -> None:
        self.step = _layer_step(name)

    def time_forward_and_backward(self, name: str) -> None:
        self.step()


class Model:
    """128 images through four convolutions, pooling and a dense layer, in batches of 32."""

    params = (((8, 8, 1), (32, 32, 3)),)
    param_names = ("image",)
    repeat = (3, 20, 1.0)

    def setup(self, image: tuple[int, ...]) -> None:
        self.model, self.x, self.y = trained_model(image)

    def time_predict(self, image: tuple[int, ...]) -> None:
        self.model.predict(self.x, verbose=0)

    def time_fit(self, image: tuple[int, ...]) -> None:
        """One epoch."""
        self.model.fit(self.x, self.y, seed=0, verbose=0)


@cache
def _layer_step(name: str) -> Callable[[], None]:
    kind, settings, shape = LAYERS[name]
    layer, x = getattr(layers, kind)(**settings), random(*shape)
    grad_out = random(*layer(x).shape)
    weights = layer.get_weights()

    def step() -> None:
        layer.set_weights(weights)
        layer.forward(x)
        layer.backward(grad_out)

    step()
    return step


@cache
def trained_model(image: tuple[int, ...]) -> tuple[Sequential, np.ndarray, np.ndarray]:
    """A model that has been trained for an epoch, images and their labels."""
    x, y = random(128, *image), np.random.default_rng(0).integers(10, size=128)
    convolutions = [layers.Conv2D(n, 3, padding="same", activation="relu") for n in (32, 32, 64, 64)]
    convolutions.insert(2, layers.MaxPooling2D())
    model = Sequential([*convolutions, layers.Flatten(), layers.Dropout(0.5, seed=0), layers.Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, seed=0, verbose=0)
    model.predict(x, verbose=0)
    return model, x, y
