"""Pooling layers beside Keras's: arguments, declared shapes, values and gradients, on random configurations."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import keras, quiet
from .random_configurations import GLOBAL_POOLING, POOLING

tensorflow = pytest.importorskip("tensorflow")

EXAMPLES = 25


def random_layer(name: str, rng: np.random.Generator) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arguments of a layer, and the shape of an input for it."""
    rank = int(name[-2])
    lengths = tuple(int(n) for n in rng.integers(1, 9, rank))
    data_format = str(rng.choice(["channels_last", "channels_first"]))
    arguments: dict[str, Any] = {"data_format": data_format}
    if name in GLOBAL_POOLING:
        arguments["keepdims"] = bool(rng.integers(2))
    else:
        arguments["padding"] = str(rng.choice(["valid", "same"]))
        most = lengths if arguments["padding"] == "valid" else (4,) * rank
        arguments["pool_size"] = tuple(int(rng.integers(1, min(n, 4) + 1)) for n in most)
        # With strides further beyond it, TensorFlow's windows over volumes begin within the input: as for Conv3D.
        longest = (k + 2 if rank == 3 else 5 for k in arguments["pool_size"])
        strides = tuple(int(rng.integers(1, n)) for n in longest)
        arguments["strides"] = None if rng.random() < 0.3 else strides
    batch, channels = int(rng.integers(1, 4)), int(rng.integers(1, 21))
    return arguments, (batch, *lengths, channels) if data_format == "channels_last" else (batch, channels, *lengths)


def small(name: str) -> dict[str, Any]:
    """The arguments that Keras requires: for averages the window's size, which it has a default of for maxima."""
    return {"pool_size": 2} if name.startswith("Average") else {}


def keras_values(layer: Any, x: np.ndarray, grad_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What Keras computes for ``x``, and its gradient."""
    with quiet(), tensorflow.GradientTape() as tape:
        x = tensorflow.convert_to_tensor(x)
        tape.watch(x)
        out = layer(x)
        return np.asarray(out), np.asarray(tape.gradient(out, x, grad_out))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name, dtype in product([*POOLING, *GLOBAL_POOLING], ["float32", "float64"])
        # TensorFlow has no float64 kernels for windows of three axes.
        if dtype == "float32" or name in GLOBAL_POOLING or not name.endswith("3D")
    ],
)
def test_values_and_gradients(name: str, dtype: str) -> None:
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(EXAMPLES):
        arguments, shape = random_layer(name, rng)
        ours, theirs = (getattr(module, name)(dtype=dtype, **arguments) for module in (layers, keras.layers))
        # Distinct values: TensorFlow shares the gradient of a global maximum among equals.
        x = rng.permutation(np.arange(np.prod(shape), dtype=dtype)).reshape(shape) / 16
        ours.build(shape)
        out, kept = ours._forward(x)
        grad_out = rng.standard_normal(out.shape).astype(dtype)
        expected, wanted = keras_values(theirs, x, grad_out)
        assert out.shape == expected.shape == ours.compute_output_shape(shape), (arguments, shape)
        assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
        np.testing.assert_allclose(out, expected, 0 if "Max" in name else 1e-5, err_msg=f"{arguments} {shape}")
        grad, _ = ours._backward(kept, grad_out, True)
        np.testing.assert_allclose(grad, wanted, 1e-5, 1e-6, err_msg=f"{arguments} {shape}")


@pytest.mark.parametrize("name", [*POOLING, *GLOBAL_POOLING])
def test_configurations_are_those_of_keras(name: str) -> None:
    for arguments in (small(name), random_layer(name, np.random.default_rng(1))[0]):
        ours, theirs = (getattr(module, name)(**arguments).get_config() for module in (layers, keras.layers))
        keys = {"pool_size", "strides", "padding", "data_format", "keepdims"}
        assert {key: value for key, value in ours.items() if key in keys} == {
            key: list(value) if isinstance(value, tuple) else value for key, value in theirs.items() if key in keys
        }
        del ours["dtype"]
        getattr(keras.layers, name).from_config(ours)


@pytest.mark.parametrize("name", [*POOLING, *GLOBAL_POOLING])
def test_unknown_lengths_stay_unknown(name: str) -> None:
    rank = int(name[-2])
    ours, theirs = (getattr(module, name)(**small(name)) for module in (layers, keras.layers))
    for batch, lengths in product((None, 4), ((9,) * rank, (None,) * rank)):
        shape = (batch, *lengths, 3)
        assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
