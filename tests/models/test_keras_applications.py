"""Layers that `keras.applications` has of its own: values by hand, gradients by differences, and their files."""

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import functional, input_layer, layer, legacy

from numbaconv.models import load_model
from numbaconv.models.keras.applications import CustomScaleLayer, LayerScale, StochasticDepth

RNG = np.random.default_rng(0)


def test_out_of_a_file(tmp_path):
    parts = [
        input_layer("x", 2, 3),
        layer("LayerScale", "s", "x", init_values=1e-6, projection_dim=3, trainable=True, dtype="float32"),
        layer("StochasticDepth", "d", "s", drop_path_rate=0.5),
        layer("CustomScaleLayer", "c", "x", "d", scale=0.5, trainable=True),
    ]
    gamma, x = RNG.random(3).astype("f4"), RNG.random((2, 2, 3)).astype("f4")
    for class_name in ("CustomScaleLayer", "Custom>CustomScaleLayer"):
        parts[3]["class_name"] = class_name
        model = load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["c"]), {"s": {"gamma": gamma}}))
        np.testing.assert_allclose(model(x), x + 0.5 * gamma * x, rtol=1e-6)
    parts[1]["config"]["projection_dim"] = 4
    with pytest.raises(ValueError, match="LayerScale 's': input_shape must have 4 channels"):
        load_model(legacy(tmp_path / "m", functional(parts, ["x"], ["c"]), {"s": {"gamma": gamma}}))


def differences(function, x):
    """Central differences of a function of one array."""
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        found[place] = (function(x + step) - function(x - step)) / 2e-6
    return found


def test_gradients():
    x, grad = RNG.random((2, 3, 2)), RNG.random((2, 3, 2))
    scale = LayerScale(0.5, 2, dtype="float64")
    scale(x)
    scale.gamma = [0.25, -2]
    scale.forward(x)
    np.testing.assert_allclose(scale.backward(grad), differences(lambda x: (scale(x) * grad).sum(), x), rtol=1e-6)
    np.testing.assert_allclose(scale.gradients[0], (grad * x).sum((0, 1)), rtol=1e-12)
    both = CustomScaleLayer(0.5, dtype="float64")
    both.forward([x, grad])
    first, second = both.backward(grad)
    np.testing.assert_array_equal(first, grad)
    np.testing.assert_array_equal(second, grad / 2)


def test_depth_is_not_left_to_chance_in_silence():
    x = RNG.random((2, 3)).astype("f4")
    np.testing.assert_array_equal(StochasticDepth(0.5)(x), x)
    with pytest.raises(ValueError, match="drop_path_rate must be 0 in training"):
        StochasticDepth(0.5).forward(x)
    np.testing.assert_array_equal(StochasticDepth(0.0).forward(x), x)
