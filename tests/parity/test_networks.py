"""Whole Keras networks in which every layer that we have is replaced by ours, the rest remaining Keras's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import keras, page_arguments, quiet
from .random_configurations import GLOBAL_POOLING, POOLING, RANKS

L = keras.layers
OURS = {*RANKS, *POOLING, *GLOBAL_POOLING}


class Swapped(keras.layers.Layer):
    """A Keras layer that hands its work to ours, made from another Keras layer's arguments and weights."""

    def __init__(self, original: Any) -> None:
        super().__init__(name=f"swapped_{original.name}")
        kind, config = type(original).__name__, original.get_config()
        self.ours = getattr(layers, kind)(**page_arguments(kind, config))
        self.values = original.get_weights()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.ours.build(input_shape)
        self.ours.set_weights(self.values)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.ours.compute_output_shape(input_shape)

    def call(self, x: Any) -> Any:
        return keras.ops.convert_to_tensor(self.ours(np.asarray(x)))


def mobilenet() -> Any:
    return keras.applications.MobileNet(input_shape=(64, 64, 3), weights=None, classes=10)


def xception() -> Any:
    return keras.applications.Xception(input_shape=(71, 71, 3), weights=None, classes=10, classifier_activation=None)


def resnet50() -> Any:
    return keras.applications.ResNet50(input_shape=(64, 64, 3), weights=None, classes=10, classifier_activation=None)


def unet() -> Any:
    """Down twice and up twice, once with a transposed convolution and once bilinearly, with skips cut to fit."""
    x = inputs = keras.Input((37, 42, 3))
    x = L.ZeroPadding2D(((1, 2), (3, 3)))(x)
    skips = []
    for filters in (8, 16):
        x = skip = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        skips.append(skip)
        x = L.Conv2D(2 * filters, 3, strides=2, padding="same", activation="elu")(x)
    x = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, dilation_rate=2)(x)
    x = L.MaxPooling2D(3, 1, "same")(x)
    x = L.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Concatenate()([x, skips[1]])
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.Concatenate()([x, skips[0]])
    x = L.SeparableConv2D(8, (3, 5), padding="same", activation="selu")(x)
    x = L.Cropping2D(((1, 2), (3, 3)))(x)
    return keras.Model(inputs, L.Conv2D(4, 1, activation="softmax")(x))


def wavenet() -> Any:
    """Dilated causal convolutions with gates and residuals, and the one-dimensional layers around them."""
    inputs = keras.Input((100, 2))
    x = L.Conv1D(12, 1)(L.ZeroPadding1D((4, 0))(inputs))
    skips = []
    for dilation in (1, 2, 4, 8):
        filtered = L.Conv1D(12, 3, padding="causal", dilation_rate=dilation, activation="tanh")(x)
        gate = L.Conv1D(12, 3, padding="causal", dilation_rate=dilation, activation="sigmoid")(x)
        gated = L.Multiply()([filtered, gate])
        skips.append(L.SeparableConv1D(8, 5, padding="same", depth_multiplier=2)(gated))
        x = L.Add()([x, L.Conv1D(12, 1)(gated)])
    x = L.Cropping1D((4, 0))(L.Activation("relu")(L.Add()(skips)))
    x = L.UpSampling1D(2)(L.Conv1D(8, 4, strides=2, padding="same")(x))
    return keras.Model(inputs, L.Conv1D(5, 1)(x))


def volumes() -> Any:
    x = inputs = keras.Input((9, 12, 10, 2))
    x = L.ZeroPadding3D(((1, 0), (0, 0), (1, 1)))(x)
    x = L.Conv3D(6, 3, padding="same", activation="relu")(x)
    x = L.BatchNormalization()(x)
    x = L.Conv3D(8, (3, 2, 3), strides=2, padding="valid", activation="softsign")(x)
    x = L.Conv3DTranspose(6, 3, strides=2, padding="same", activation="elu")(x)
    x = L.UpSampling3D((1, 2, 1))(x)
    x = L.Cropping3D(((0, 1), (2, 1), (1, 0)))(x)
    return keras.Model(inputs, L.Conv3DTranspose(3, 2, strides=3, output_padding=1)(x))


def randomise(network: Any, rng: np.random.Generator) -> None:
    """Give biases, scales and offsets something to do, and normalizations the statistics of a random batch."""
    normalizations = [layer for layer in network.layers if isinstance(layer, L.BatchNormalization)]
    for layer in network.layers:
        if type(layer).__name__ in RANKS and getattr(layer, "use_bias", False):
            *kernels, bias = layer.get_weights()
            layer.set_weights([*kernels, rng.normal(0, 0.2, bias.shape)])
    for layer in normalizations:
        layer.momentum = 0.0
        for weight, low, high in ((layer.gamma, 0.7, 1.3), (layer.beta, -0.3, 0.3)):
            if weight is not None:
                weight.assign(rng.uniform(low, high, weight.shape))
    network(rng.standard_normal((4, *network.input_shape[1:])).astype(np.float32), training=True)


# Every layer of the large ones is in a small one, too.
LARGE = [pytest.param(make, marks=pytest.mark.nightly) for make in (xception, resnet50)]


@pytest.mark.parametrize("make", [mobilenet, unet, wavenet, volumes, *LARGE])
def test_network_with_our_layers(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(11)
    keras.utils.set_random_seed(11)
    with quiet():
        network = make()
        randomise(network, rng)
        ours = [layer for layer in network.layers if type(layer).__name__ in OURS]
        mixed = keras.models.clone_model(
            network, clone_function=lambda layer: Swapped(layer) if layer in ours else layer
        )
        swapped = [layer for layer in mixed.layers if isinstance(layer, Swapped)]
        assert len(swapped) == len(ours) > 0
        assert not [layer for layer in mixed.layers if type(layer).__name__ in OURS or isinstance(layer, keras.Model)]

        x = rng.standard_normal((2, *network.input_shape[1:])).astype(np.float32)
        expected = np.asarray(network(x, training=False))
        y = np.asarray(mixed(x, training=False))
    assert np.isfinite(expected).all()
    assert 0.1 < np.abs(expected).max() < 1000
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= 1e-4 * np.abs(expected).max()
