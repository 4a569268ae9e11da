"""Layers without windows beside Keras's, forwards and backwards."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from numbaconv import layers

from .keras_oracle import keras, quiet

tf = pytest.importorskip("tensorflow")

# Name and arguments of a layer, and the shape of an input.
CASES: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Dense", {"units": 7}, (5, 4)),
    ("Dense", {"units": 3, "activation": "relu", "use_bias": False}, (2, 6, 4)),
    ("Dense", {"units": 4, "activation": "softmax"}, (2, 3, 2, 5)),
    ("Dense", {"units": 2, "activation": "tanh", "kernel_regularizer": "l2", "activity_regularizer": "l2"}, (5, 4)),
    ("Dense", {"units": 2, "trainable": False}, (5, 4)),
    ("Flatten", {}, (2, 3, 4, 5)),
    ("Flatten", {"data_format": "channels_first"}, (2, 3, 4, 5)),
    ("Flatten", {"data_format": "channels_first"}, (2, 3)),
    ("Activation", {"activation": "sigmoid"}, (2, 3, 4)),
    ("Activation", {"activation": "softmax"}, (2, 3, 4)),
    ("Dropout", {"rate": 0.0}, (2, 3)),
    ("BatchNormalization", {}, (10, 3)),
    ("BatchNormalization", {"momentum": 0.6, "epsilon": 0.1}, (4, 5, 6, 3)),
    ("BatchNormalization", {"axis": 1}, (4, 3, 5, 6)),
    ("BatchNormalization", {"axis": 3, "center": False}, (4, 5, 6, 3)),
    ("BatchNormalization", {"axis": -2, "scale": False, "gamma_regularizer": "l1"}, (4, 3, 9)),
    ("BatchNormalization", {"beta_regularizer": "l2"}, (2, 3, 4, 5, 6)),
    ("BatchNormalization", {"axis": 2, "momentum": 0.7}, (3, 2, 4, 5)),
    ("BatchNormalization", {"trainable": False}, (4, 5, 3)),
    ("LayerNormalization", {}, (4, 5, 6)),
    ("LayerNormalization", {"axis": 1, "epsilon": 0.1, "gamma_regularizer": "l2"}, (3, 4, 5, 2)),
    ("LayerNormalization", {"axis": [1, 2], "center": False}, (3, 4, 5)),
    ("LayerNormalization", {"axis": [3, 1], "scale": False}, (2, 3, 4, 5)),
    # Weights whose sizes are in the order of the numbers, not of the axes.
    ("LayerNormalization", {"axis": [-1, 1]}, (2, 3, 4, 5)),
    ("GroupNormalization", {"groups": 2}, (3, 4, 5, 6)),
    ("GroupNormalization", {"groups": 3, "axis": 1, "beta_regularizer": "l1"}, (2, 6, 3, 4)),
    ("GroupNormalization", {"groups": -1, "axis": -2, "scale": False, "epsilon": 0.1}, (2, 5, 6, 3)),
    ("GroupNormalization", {"groups": 1, "center": False}, (3, 4)),
    ("Normalization", {}, (4, 5, 3)),
    ("Normalization", {"axis": [1, 3], "invert": True}, (2, 3, 4, 5)),
    ("Normalization", {"axis": None}, (4, 3)),
    ("Normalization", {"axis": -2, "mean": [1.0, 2.0, 3.0], "variance": [0.5, 0.0, 2.0]}, (2, 3, 4)),
    ("Normalization", {"axis": [-1, 1], "mean": [1.0, 2.0], "variance": [0.5, 4.0]}, (2, 3, 4, 2)),
    ("Normalization", {"mean": 2.0, "variance": 3.0, "invert": True}, (2, 3)),
    ("RMSNormalization", {}, (4, 5, 6)),
    ("RMSNormalization", {"axis": [1, 2], "epsilon": 0.1}, (3, 4, 5)),
    ("RMSNormalization", {"axis": 1}, (2, 4, 3, 4)),
    ("UnitNormalization", {}, (4, 3)),
    ("UnitNormalization", {"axis": [1, 2]}, (2, 3, 4, 5)),
    ("UnitNormalization", {"axis": 1}, (2, 3, 4)),
    ("Reshape", {"target_shape": [4, 3]}, (2, 6, 2)),
    ("Reshape", {"target_shape": [2, -1, 3]}, (2, 6, 2)),
    ("Reshape", {"target_shape": [-1]}, (2, 6, 2)),
    ("Permute", {"dims": [2, 1]}, (2, 3, 4)),
    ("Permute", {"dims": [3, 1, 2]}, (2, 3, 4, 5)),
    ("RepeatVector", {"n": 3}, (2, 4)),
    ("ReLU", {}, (2, 3, 4)),
    ("ReLU", {"max_value": 0.75}, (2, 3, 4)),
    ("ReLU", {"max_value": 6.0}, (2, 3, 4)),
    ("ReLU", {"negative_slope": 0.25}, (2, 3, 4)),
    ("ReLU", {"max_value": 0.75, "negative_slope": 0.25, "threshold": 0.5}, (2, 3, 4)),
    ("ReLU", {"threshold": 0.5}, (2, 3, 4)),
    ("ReLU", {"max_value": 0.25, "threshold": 0.5}, (2, 3, 4)),
    ("LeakyReLU", {}, (2, 3, 4)),
    ("LeakyReLU", {"negative_slope": 1.5}, (2, 3)),
    ("LeakyReLU", {"negative_slope": 0.0}, (2, 3)),
    ("PReLU", {}, (4, 3)),
    ("PReLU", {"alpha_regularizer": "l2", "shared_axes": [1, 2]}, (2, 3, 4, 5)),
    ("PReLU", {"alpha_initializer": "he_normal", "alpha_constraint": "non_neg", "shared_axes": [3]}, (2, 3, 4, 5)),
    ("PReLU", {"trainable": False}, (4, 3)),
    ("ELU", {}, (2, 3, 4)),
    ("ELU", {"alpha": 0.5}, (2, 3, 4)),
    ("ELU", {"alpha": 0.0}, (2, 3, 4)),
    ("Softmax", {}, (2, 3, 4)),
    ("Softmax", {"axis": 1}, (2, 3, 4)),
    ("Softmax", {"axis": [1, -1]}, (2, 3, 4, 5)),
    ("SpatialDropout1D", {"rate": 0.0}, (2, 3, 4)),
    ("SpatialDropout2D", {"rate": 0.0, "seed": 3, "data_format": "channels_first"}, (2, 3, 4, 5)),
    ("SpatialDropout3D", {"rate": 0.0}, (2, 3, 4, 5, 6)),
    ("GaussianNoise", {"stddev": 0.0, "seed": 3}, (2, 3)),
    ("GaussianDropout", {"rate": 0.0}, (2, 3)),
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1}, (2, 3, 4)),
    ("Rescaling", {"scale": [1.0, 2.0, 4.0], "offset": [[0.5], [3.0]]}, (2, 2, 3)),
    ("ActivityRegularization", {"l1": 0.25, "l2": 0.5}, (2, 3, 4)),
    ("ActivityRegularization", {}, (2, 3)),
    ("Identity", {}, (2, 3, 4)),
]
# What needs to know the sizes that its weights lie along.
WEIGHTED = {"Dense", "BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization"}
IDS = [f"{name}{arguments or ''}" for name, arguments, _ in CASES]
# Arguments of Keras 3's that these layers do not have.
NOT_OURS = {
    *("lora_rank", "lora_alpha", "quantization_config"),
    *("renorm", "renorm_clipping", "renorm_momentum", "synchronized"),
}


def make_both(name: str, arguments: dict[str, Any], shape: tuple[int, ...], dtype: str) -> tuple[Any, Any]:
    """The same layer, ours and Keras's, with the same random weights."""
    ours, theirs = (getattr(module, name)(dtype=dtype, **arguments) for module in (layers, keras.layers))
    theirs.build((None, *shape[1:]))
    ours.build((None, *shape[1:]))
    rng = np.random.default_rng(3)
    weights = [rng.uniform(0.5, 2, w.shape).astype(dtype) for w in theirs.get_weights()]
    if name == "Normalization" and weights:
        weights[2] = np.zeros((), int)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    if name == "Normalization":
        theirs.finalize_state()
    return ours, theirs


def simplified(value: Any) -> Any:
    """A setting as both libraries write it: Keras says more about classes, and rounds to float32."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return value["config"]["name"]
        return {key: simplified(v) for key, v in value.items() if key not in ("module", "registered_name")}
    if isinstance(value, list | tuple):
        return [simplified(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_arguments_and_defaults(name: str) -> None:
    ours, theirs = (
        {p.name: p.default for p in inspect.signature(getattr(module, name)).parameters.values() if p.name != "kwargs"}
        for module in (layers, keras.layers)
    )
    assert list(ours.items()) == [(k, v) for k, v in theirs.items() if k not in NOT_OURS]


@pytest.mark.parametrize(("name", "arguments", "shape"), CASES, ids=IDS)
def test_keras_reads_our_configuration(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    config = getattr(layers, name)(**arguments).get_config()
    with quiet():
        twin = getattr(keras.layers, name).from_config(config).get_config()
    assert {key: simplified(twin.get(key)) for key in config} == {key: simplified(config[key]) for key in config}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arguments", "shape"), CASES, ids=IDS)
def test_values_gradients_and_statistics(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], dtype: str
) -> None:
    # Keras computes penalties in float32, and rounds some settings to it.
    single = dtype == "float32" or any("regularizer" in argument for argument in arguments)
    single = single or name in ("LeakyReLU", "Rescaling", "ActivityRegularization")
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if single else {"rtol": 1e-10, "atol": 1e-10}
    rng = np.random.default_rng(4)
    with quiet():
        ours, theirs = make_both(name, arguments, shape, dtype)
        for _ in range(3):
            x = (rng.standard_normal(shape) + 0.5).astype(dtype)
            expected = np.asarray(theirs(x))
            assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape)) == expected.shape
            np.testing.assert_allclose(ours(x), expected, **tolerance)

            grad_out = rng.standard_normal(expected.shape).astype(dtype)
            given = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(given)
                out = theirs(given, training=True)
                loss = tf.reduce_sum(out * grad_out) + sum(theirs.losses)
            variables = [v.value for v in theirs.trainable_variables]
            grad_x, *gradients = tape.gradient(loss, [given, *variables])
            np.testing.assert_allclose(ours.forward(x), np.asarray(out), **tolerance)
            np.testing.assert_allclose(sum(ours.losses), float(sum(theirs.losses)), **tolerance)
            np.testing.assert_allclose(ours.backward(grad_out), np.asarray(grad_x), **tolerance)
            found = [grad for grad in ours.gradients if grad is not None]
            assert len(found) == len(gradients) == len(ours.trainable_weights)
            for grad, wanted in zip(found, gradients, strict=True):
                np.testing.assert_allclose(grad, np.asarray(wanted), **tolerance)
            for weight, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_allclose(weight, wanted, **tolerance)


@pytest.mark.parametrize("axis", [-1, 1, None, (1, 2)])
def test_normalization_adapts_as_keras_does(axis: Any) -> None:
    data = np.random.default_rng(1).normal(3, 2, (20, 4, 3)).astype(np.float32)
    found = []
    for module in (layers, keras.layers):
        layer = module.Normalization(axis)
        for given in (data, [data[:5], data[5:]]):
            with quiet():
                layer.adapt(given)
            found.append([np.asarray(w) for w in layer.get_weights()])
    for others in found[1:]:
        for ours, theirs in zip(found[0], others, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_whole_channels_are_dropped_as_in_keras(rank: int, data_format: str) -> None:
    settings = {"data_format": data_format} if rank > 1 else {}
    ours, theirs = (getattr(m, f"SpatialDropout{rank}D")(0.5, seed=1, **settings) for m in (layers, keras.layers))
    x = np.ones((40, *(8, 4, 3)[:rank], 6), np.float32)
    with quiet():
        outs = [ours.forward(x), np.asarray(theirs(x, training=True))]
    for out in outs:
        assert set(np.unique(out).tolist()) == {0, 2}
    for axis in range(x.ndim):
        alike = [bool((out == out.take([0], axis)).all()) for out in outs]
        assert alike[0] == alike[1]


def test_noise_is_distributed_as_in_keras() -> None:
    x = np.full((200, 500), 3, np.float32)
    for name, amount in (("GaussianNoise", 0.5), ("GaussianDropout", 0.25)):
        ours, theirs = (getattr(module, name)(amount, seed=1) for module in (layers, keras.layers))
        with quiet():
            wanted = np.asarray(theirs(x, training=True))
        found = ours.forward(x)
        # Five standard deviations of what 100,000 draws give.
        scale = wanted.std() / np.sqrt(x.size)
        assert abs(found.mean() - wanted.mean()) < 5 * np.sqrt(2) * scale
        assert abs(found.std() - wanted.std()) < 5 * scale


@pytest.mark.parametrize("axis", [-1, 1, [1, 2]])
@pytest.mark.parametrize("mask_shape", [(2, 3, 4), (1, 4), (3, 1)])
def test_softmax_of_masked_values(axis: Any, mask_shape: Any) -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.random(mask_shape) > 0.4
    mask[..., 0, :] = False
    ours, theirs = (module.Softmax(axis) for module in (layers, keras.layers))
    ours.build(x.shape)
    for given in (mask, mask.astype(np.float32)):
        with quiet():
            wanted = np.asarray(theirs(x, mask=given))
        np.testing.assert_allclose(ours.call(x, mask=given), wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("noise_shape", [None, (None, 1, None), (50, 1, 30), (1, 1, 30), (30,), (20, 30)])
@pytest.mark.parametrize("rate", [0.3, 1.0])
def test_dropout_draws_as_keras_does(noise_shape: Any, rate: float) -> None:
    """Not the same values, which depend on the generator: the same factors, alike along the same axes."""
    x = np.ones((50, 20, 30), np.float32)
    with quiet():
        theirs = np.asarray(keras.layers.Dropout(rate, noise_shape, seed=1)(x, training=True))
    ours = layers.Dropout(rate, noise_shape, seed=1).forward(x)
    np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-6)
    for axis in range(3):
        alike = [bool((out == out.take([0], axis)).all()) for out in (ours, theirs)]
        assert alike[0] == alike[1]


def test_unknown_sizes() -> None:
    for name, arguments, shape in CASES:
        axis = arguments.get("axis", -1) if name in WEIGHTED else None
        axes = axis if isinstance(axis, list) else [] if axis is None else [axis]
        known = {i % len(shape) for i in axes}
        unknown = tuple(n if i in known else None for i, n in enumerate(shape))
        for given in (unknown, (None, *shape[1:])):
            ours, theirs = (getattr(module, name)(**arguments) for module in (layers, keras.layers))
            assert ours.compute_output_shape(given) == tuple(theirs.compute_output_shape(given))
