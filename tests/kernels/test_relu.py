"""relu inside the kernels: what a layer without it gives, and zeros for all that is negative."""

import numpy as np
import pytest
from cases import FORMATS, WEIGHTED, each, layer_class, make_layer, operands, to_format

from numbaconv import activations, layers
from numbaconv.models import Sequential

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
LAYERS = [case for case in WEIGHTED if layer_class(case)]
SPECIAL = [np.inf, -np.inf, np.nan, 3e38, -3e38]


def pair(make, weights, shape):
    """A layer without and with relu, of the same weights."""
    made = make("linear"), make("relu")
    for layer in made:
        layer.build(shape)
        layer.set_weights(weights)
    return made


@pytest.mark.parametrize("data_format", FORMATS)
@each(LAYERS)
@by_dtype
def test_relu_of_each_layer(case, dtype, data_format, poisoned):
    x, *weights = operands(case, dtype)
    x = to_format(x, data_format)
    try:
        plain, relu = pair(lambda name: make_layer(case, data_format, activation=name, dtype=dtype), weights, x.shape)
    except (ValueError, TypeError):
        # Some settings are refused with channels first, which other tests see to.
        assert data_format == "channels_first"
        return
    wanted = np.maximum(plain(x), 0)
    np.testing.assert_array_equal(relu(x), wanted)
    np.testing.assert_array_equal(relu.forward(x), wanted)


MAKERS = {
    "direct": (lambda name: layers.Conv2D(33, 3, activation=name, algorithm="direct"), (2, 9, 8, 5)),
    "Winograd": (lambda name: layers.Conv2D(33, 3, activation=name, padding="same"), (3, 12, 12, 17)),
    "depthwise": (lambda name: layers.DepthwiseConv2D(3, activation=name, depth_multiplier=2), (2, 9, 18, 5)),
    "depthwise, neighbours": (lambda name: layers.DepthwiseConv2D(3, activation=name), (2, 9, 40, 33)),
    "separable": (lambda name: layers.SeparableConv2D(33, 3, activation=name), (2, 9, 8, 5)),
    "transposed, untouched parts": (lambda name: layers.Conv2DTranspose(3, 2, 4, activation=name), (2, 5, 6, 5)),
    "dense": (lambda name: layers.Dense(33, activation=name), (4, 5)),
}
by_maker = pytest.mark.parametrize(("make", "shape"), MAKERS.values(), ids=MAKERS)


def random_arrays(make, shape, seed):
    rng = np.random.default_rng(seed)
    layer = make("linear")
    layer.build(shape)
    weights = [rng.standard_normal(w.shape, np.float32) for w in layer.weights]
    return rng.standard_normal(shape, np.float32), weights, rng


@by_maker
def test_both_signs_occur(make, shape):
    x, weights, _ = random_arrays(make, shape, 1)
    plain, relu = pair(make, weights, shape)
    out = plain(x)
    assert (out < 0).any() and (out > 0).any()
    np.testing.assert_array_equal(relu(x), np.maximum(out, 0))


@pytest.mark.parametrize("where", ["input", "weights"])
@by_maker
def test_special_values(make, shape, where):
    """NaN stays, infinities are cut on one side, and what overflows only on Winograd's way is computed directly."""
    x, weights, rng = random_arrays(make, shape, 2)
    for value in SPECIAL:
        spoiled, changed = x.copy(), [w.copy() for w in weights]
        target = spoiled if where == "input" else changed[0]
        target.flat[rng.integers(target.size)] = value
        plain, relu = pair(make, changed, shape)
        with np.errstate(invalid="ignore", over="ignore"):
            np.testing.assert_array_equal(relu(spoiled), np.maximum(plain(spoiled), 0), f"{value} in {where}")


@by_maker
def test_an_activation_may_change(make, shape):
    x, weights, _ = random_arrays(make, shape, 3)
    plain, relu = pair(make, weights, shape)
    linear, cut = plain(x), relu(x)
    plain.activation, relu.activation = activations.relu, activations.linear
    np.testing.assert_array_equal(plain(x), cut)
    np.testing.assert_array_equal(relu(x), linear)


@pytest.mark.parametrize("filters", [3, 20])
def test_an_activation_ends_tiles_of_every_height(filters):
    conv = layers.Conv1D(filters, 1, activation="sigmoid")
    model = Sequential([layers.Input((None, 5)), conv])
    rng = np.random.default_rng(3)
    for pixels in range(1, 32):
        x = rng.standard_normal((1, pixels, 5), np.float32)
        sums = x @ conv.get_weights()[0][0]
        np.testing.assert_allclose(model.predict(x), 1 / (1 + np.exp(-sums)), rtol=1e-5)
