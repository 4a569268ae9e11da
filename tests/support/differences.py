"""Gradients by central differences, to which the backward passes of layers are held."""

import numpy as np

STEP = 1e-5


def numeric(loss, value):
    """The gradient of ``loss``, a function of an array, at ``value``."""
    grad = np.empty(value.shape)
    for i in np.ndindex(value.shape):
        there, here = value.copy(), value.copy()
        there[i] += STEP
        here[i] -= STEP
        grad[i] = (loss(there) - loss(here)) / (2 * STEP)
    return grad


def assert_gradients(layer, x, forward=None):
    """Compare a float64 layer's backward pass, for a random gradient of its output, with differences.

    ``forward``, by default the layer's own in training, must give the same every time; penalties of weights count.
    """
    forward = forward or layer.forward
    grad_out = np.random.default_rng(5).standard_normal(forward(x).shape)
    given = grad_out.copy()
    grad_x = layer.backward(grad_out)
    gradients = layer.gradients
    np.testing.assert_array_equal(grad_out, given)

    def loss(out):
        return (out * grad_out).sum() + sum(layer.losses)

    np.testing.assert_allclose(grad_x, numeric(lambda at: loss(forward(at)), x), rtol=1e-6, atol=1e-7)
    assert len(gradients) == len(layer.weights)
    for name, weight, grad in zip(layer.named_weights, layer.get_weights(), gradients, strict=True):
        if name in layer.statistics:
            assert grad is None
            continue

        def loss_of(value, name=name):
            setattr(layer, name, value)
            return loss(forward(x))

        wanted = numeric(loss_of, weight)
        setattr(layer, name, weight)
        assert grad.shape == weight.shape
        np.testing.assert_allclose(grad, wanted, rtol=1e-6, atol=1e-7, err_msg=name)

    forward(x)
    assert layer.backward(grad_out, input_grad=False) is None
    again = [grad for grad in layer.gradients if grad is not None]
    for grad, before in zip(again, [grad for grad in gradients if grad is not None], strict=True):
        np.testing.assert_array_equal(grad, before)
