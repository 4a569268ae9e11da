"""Defaults, weights and declared shapes of the layers beside Keras's."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import keras, page_arguments
from .random_configurations import RANKS, WEIGHTED

Shape = tuple[int | None, ...]

CHANNELS = 20
SAYS_NO_FORMAT = {"Cropping1D", "UpSampling1D", "ZeroPadding1D"}
LAYERS_AND_FORMATS = [
    (name, data_format)
    for name, data_format in product(RANKS, ["channels_last", "channels_first"])
    if data_format == "channels_last" or name not in SAYS_NO_FORMAT
]


def make_both(name: str, **arguments: Any) -> tuple[Any, Any]:
    """The same layer, ours and Keras's, with what is required and what is asked for."""
    if name in WEIGHTED:
        arguments = {"kernel_size": 5, **arguments}
        if not name.startswith("Depthwise"):
            arguments = {"filters": 40, **arguments}
    return getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)


def formatted(name: str, data_format: str) -> dict[str, str]:
    return {} if name in SAYS_NO_FORMAT else {"data_format": data_format}


def input_shape(data_format: str, batch: int | None, lengths: tuple[int | None, ...]) -> Shape:
    return (batch, *lengths, CHANNELS) if data_format == "channels_last" else (batch, CHANNELS, *lengths)


def normalised(name: str, key: str, value: Any) -> Any:
    """The value as tuples over all axes, however the library happens to store it."""
    rank = RANKS[name]
    if key == "activation":
        return value or "linear"
    if key in ("kernel_size", "strides", "dilation_rate", "size"):
        return (value,) * rank if isinstance(value, int) else tuple(value)
    if key == "cropping" or (key == "padding" and name not in WEIGHTED):
        amounts = [(value, value)] * rank if isinstance(value, int) else [value] if rank == 1 else value
        return tuple((before, after) for before, after in amounts)
    return value


@pytest.mark.parametrize("name", RANKS)
def test_defaults_are_those_of_keras(name: str) -> None:
    ours, theirs = (layer.get_config() for layer in make_both(name))
    keys = page_arguments(name, theirs)
    assert keys
    assert {k: normalised(name, k, ours[k]) for k in keys} == {k: normalised(name, k, theirs[k]) for k in keys}


VARIANTS: list[dict[str, Any]] = [
    {},
    {"strides": 3},
    {"padding": "same"},
    {"padding": "same", "strides": 2},
    {"dilation_rate": 2},
    {"output_padding": 1, "strides": 2},
    {"output_padding": 1, "strides": 2, "padding": "same"},
]


@pytest.mark.parametrize(("name", "data_format"), LAYERS_AND_FORMATS)
def test_unknown_lengths_stay_unknown(name: str, data_format: str) -> None:
    rank = RANKS[name]
    known = (13, 11, 9)[:rank]
    unknown = [known, (None,) * rank, *((*known[:axis], None, *known[axis + 1 :]) for axis in range(rank))]
    for variant in VARIANTS if name in WEIGHTED else [{}]:
        if "output_padding" in variant and not name.endswith("Transpose"):
            continue
        if (name, *variant) == ("Conv3DTranspose", "dilation_rate"):
            continue
        ours, theirs = make_both(name, **variant, **formatted(name, data_format))
        for batch, lengths in product([None, 4], unknown):
            shape = input_shape(data_format, batch, lengths)
            assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape)), (variant, shape)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("name", "data_format"), [case for case in LAYERS_AND_FORMATS if case[0] in WEIGHTED])
def test_weights_come_in_the_order_of_keras(name: str, data_format: str, use_bias: bool) -> None:
    several = {} if name.startswith("Conv") else {"depth_multiplier": 3}
    ours, theirs = make_both(name, use_bias=use_bias, **several, **formatted(name, data_format))
    shape = input_shape(data_format, 2, (13, 11, 9)[: RANKS[name]])
    ours.build(shape)
    theirs.build(shape)
    shapes = [w.shape for w in theirs.get_weights()]
    assert [w.shape for w in ours.get_weights()] == shapes
    assert ours.count_params() == theirs.count_params()

    numbered = [np.full(s, number, np.float32) for number, s in enumerate(shapes)]
    ours.set_weights(numbered)
    assert [np.unique(w).tolist() for w in ours.get_weights()] == [[float(number)] for number in range(len(shapes))]


@pytest.mark.parametrize("name", WEIGHTED)
def test_kernels_begin_glorot_uniform_and_biases_zero(name: str) -> None:
    """Both libraries draw from the same interval; that of Keras vouches for the formula of the bound."""
    several = {} if name.startswith("Conv") else {"depth_multiplier": 10}
    for layer in make_both(name, kernel_size=9 if RANKS[name] < 3 else 3, **several):
        layer.build(input_shape("channels_last", 2, (13, 11, 9)[: RANKS[name]]))
        *kernels, bias = layer.get_weights()
        assert not bias.any()
        for kernel in kernels:
            receptive_field = np.prod(kernel.shape[:-2])
            bound = np.sqrt(6 / (receptive_field * (kernel.shape[-2] + kernel.shape[-1])))
            assert 0.98 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)
            assert abs(kernel.mean()) < 0.1 * bound
            assert abs(kernel.std() / bound - 1 / np.sqrt(3)) < 0.03
