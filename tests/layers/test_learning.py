"""Layers' forward and backward: gradients against the reference's, and the rules that all layers share."""

import copy
import pickle

import numpy as np
import pytest
from cases import (
    CASES,
    FORMATS,
    assert_close,
    expected,
    layer_class,
    make_layer,
    operands,
    reference_gradients,
    to_format,
)

from numbaconv import layers

LAYERS = [case for case in CASES if layer_class(case)]


def drawn(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def loss_of(layer, x, grad_out):
    """A loss whose gradient with respect to the layer's output is ``grad_out``, plus the layer's penalties."""
    return float((layer(x) * grad_out).sum()) + sum(layer.losses)


def slope(layer, x, grad_out, target, step=1e-6):
    """The derivative of `loss_of` by finite differences, along a direction of the input or of a weight."""
    weights, losses = layer.get_weights(), []
    direction = drawn(x.shape if target is None else weights[target].shape, 7)
    for sign in (1, -1):
        moved = [w.copy() for w in weights]
        if target is not None:
            moved[target] += sign * step * direction
        layer.set_weights(moved)
        losses.append(loss_of(layer, x + sign * step * direction if target is None else x, grad_out))
    layer.set_weights(weights)
    return (losses[0] - losses[1]) / (2 * step), direction


def assert_gradients_are_slopes(layer, x):
    grad_out = drawn(layer(x).shape)
    layer.forward(x)
    grad_x = layer.backward(grad_out)
    for target, gradient in [(None, grad_x), *enumerate(layer.gradients)]:
        wanted, direction = slope(layer, x, grad_out, target)
        assert float((gradient * direction).sum()) == pytest.approx(wanted, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_gradients_match_the_reference(case, dtype, data_format):
    layer, x = make_layer(case, data_format, dtype=dtype), operands(case, dtype)[0]
    if layer.data_format != data_format:
        pytest.skip("the layer knows one data format only")
    x, out = to_format(x, data_format), to_format(expected(case), data_format)
    grad_out = drawn(expected(case).shape)
    wanted = reference_gradients(case, operands(case), grad_out)
    grad_out = to_format(grad_out, data_format)
    before = x.copy(), grad_out.copy()
    assert_close(layer.forward(x), out)
    grad_x = layer.backward(grad_out)
    assert_close(grad_x, to_format(wanted.pop("x"), data_format))
    assert grad_x.dtype == dtype
    for gradient, right in zip(layer.gradients, wanted.values(), strict=True):
        assert gradient.dtype == dtype
        assert_close(gradient, right)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(grad_out, before[1])


@pytest.mark.double
@pytest.mark.parametrize("activation", ["elu", "softmax", "tanh", "softplus", "silu", "gelu"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_activations_penalties_and_biases_have_their_part(activation, data_format):
    settings = {
        "activation": activation,
        "data_format": data_format,
        "dtype": "float64",
        "bias_regularizer": "l2",
        "activity_regularizer": "l1_l2",
    }
    x = drawn((2, 6, 7, 3) if data_format == "channels_last" else (2, 3, 6, 7))
    for layer in (
        layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", **settings),
        layers.DepthwiseConv2D(3, 2, depth_multiplier=2, depthwise_regularizer="l1", **settings),
        layers.SeparableConv2D(4, 3, depth_multiplier=2, pointwise_regularizer="l2", **settings),
        layers.Conv2DTranspose(4, 3, 2, kernel_regularizer="l1_l2", **settings),
    ):
        layer.build(x.shape)
        # The same on every run: an l1 penalty has a kink at 0, which finite differences may step over.
        layer.set_weights([0.5 * drawn(w.shape, seed) for seed, w in enumerate(layer.weights)])
        assert_gradients_are_slopes(layer, x)


def test_backward_needs_a_forward_of_its_own():
    layer, x = layers.Conv2D(2, 3), drawn((1, 5, 5, 1))
    with pytest.raises(ValueError, match=r"Conv2D 'conv2d.*backward needs a forward"):
        layer.backward(np.ones((1, 3, 3, 2)))
    layer.forward(x)
    layer.backward(np.ones((1, 3, 3, 2)))
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(np.ones((1, 3, 3, 2)))
    layer.forward(x)
    layer.forward(x, training=False)
    with pytest.raises(ValueError, match="backward needs a forward"):
        layer.backward(np.ones((1, 3, 3, 2)))


def test_backward_refuses_a_gradient_of_another_shape_and_keeps_what_it_needs():
    layer = layers.Conv2D(2, 3)
    layer.forward(drawn((1, 5, 5, 1)))
    with pytest.raises(ValueError, match=r"grad_out must have shape \(1, 3, 3, 2\),.* got \(2,\)"):
        layer.backward(np.ones(2))
    with pytest.raises(TypeError, match="grad_out must hold real numbers"):
        layer.backward(np.full((1, 3, 3, 2), "a"))
    assert layer.backward(np.ones((1, 3, 3, 2))).shape == (1, 5, 5, 1)


def test_layers_that_are_not_trainable_pass_gradients_on_only():
    x, grad_out = drawn((2, 5, 5, 3)), drawn((2, 5, 5, 4))
    layer = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")
    layer.forward(x)
    wanted = layer.backward(grad_out)
    layer.trainable = False
    layer.forward(x)
    assert layer.backward(grad_out).tobytes() == wanted.tobytes()
    assert layer.gradients == [None, None]
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 2


def test_the_gradient_of_the_input_can_be_left_out():
    x, grad_out = drawn((2, 5, 5, 3)), drawn((2, 5, 5, 4))
    layer = layers.SeparableConv2D(4, 3, padding="same", activation="relu")
    layer.forward(x)
    layer.backward(grad_out)
    wanted = [g.tobytes() for g in layer.gradients]
    layer.forward(x)
    assert layer.backward(grad_out, input_grad=False) is None
    assert [g.tobytes() for g in layer.gradients] == wanted


def test_weights_set_between_forward_and_forward_are_those_that_count():
    x, grad_out = drawn((1, 5, 5, 2)), drawn((1, 5, 5, 2))
    layer = layers.Conv2D(2, 3, padding="same")
    layer.forward(x)
    first = layer.backward(grad_out)
    layer.kernel = 2 * layer.kernel
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(grad_out), 2 * first)


@pytest.mark.parametrize("trainable", [True, False])
def test_weights_set_between_forward_and_backward_are_refused(trainable):
    for layer in (layers.Dense(3), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.PReLU()):
        x = np.ones((2, 4, 4, 3))
        layer.trainable = trainable
        out = layer.forward(x)
        layer.set_weights(layer.get_weights())
        with pytest.raises(ValueError, match=r"between forward and backward, but (gamma|kernel|alpha)"):
            layer.backward(out)
        layer.backward(layer.forward(x))
        if trainable:
            assert layer.gradients[0].shape == layer.weights[0].shape


def test_copies_forget_what_forward_kept():
    layer = layers.Conv2D(2, 3)
    layer.forward(drawn((1, 5, 5, 2)))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        with pytest.raises(ValueError, match="backward needs a forward"):
            other.backward(np.ones((1, 3, 3, 2)))


def test_an_activation_without_a_gradient_is_refused_by_name():
    def squared(x):
        return x**2

    layer, x = layers.Dense(2, activation=squared, dtype="float64"), drawn((1, 1, 3, 2))
    out = layer.forward(x)
    with pytest.raises(ValueError, match=r"Dense 'dense.*'gradient', a function \(grad_out, y\).*squared"):
        layer.backward(out)
    squared.gradient = lambda grad_out, x: grad_out * 2 * x
    assert_gradients_are_slopes(layer, x)
    squared.gradient = lambda grad_out, x: grad_out[0]
    layer.forward(x)
    with pytest.raises(ValueError, match=r"Dense 'dense.*the activation's gradient must have shape \(1, 1, 3, 2\)"):
        layer.backward(out)


def test_gradients_are_the_same_bits_for_any_number_of_threads(each_thread_count):
    x, grad_out = drawn((3, 40, 30, 20)), drawn((3, 40, 30, 40))
    results = set()
    for _ in each_thread_count():
        layer = layers.Conv2D(40, 3, padding="same", weights=[drawn((3, 3, 20, 40)), np.ones(40)])
        layer.forward(x)
        grad_x = layer.backward(grad_out)
        results.add((grad_x.tobytes(), *(g.tobytes() for g in layer.gradients)))
    assert len(results) == 1
