"""Gradients of biases, which convolutions sum up in the pass of those of their weights: digits, bits, odd values."""

import numpy as np
import pytest

from numbaconv import layers

# Layers, and shapes of their inputs: filters in one or several panels, the last filled up; branches joined and apart;
# windows in several blocks and shares; weights whose gradients are products; none at all.
SAME = {"padding": "same"}
KINDS = {
    "one filter": (layers.Conv2D(1, 3), (2, 20, 21, 4)),
    "windows seen as one": (layers.Conv2D(2, 3), (2, 80, 63, 2)),
    "1x1": (layers.Conv2D(40, 1), (3, 40, 41, 64)),
    "by Winograd's": (layers.Conv2D(33, 3), (2, 30, 31, 16)),
    "many images": (layers.Conv2D(70, 3, strides=2, **SAME), (40, 9, 9, 5)),
    "channels first": (layers.Conv2D(33, 3, data_format="channels_first"), (2, 8, 30, 31)),
    "few windows": (layers.Conv2D(7, 3), (1, 5, 5, 300)),
    "joined branches": (layers.Conv2D(12, 3, groups=3, **SAME), (2, 30, 31, 6)),
    "branches of panels": (layers.Conv2D(120, 3, groups=3), (2, 9, 10, 15)),
    "branches in lines": (layers.Conv2D(24, 3, groups=6, **SAME), (2, 30, 31, 24)),
    "depthwise": (layers.DepthwiseConv2D(3, **SAME), (2, 60, 61, 70)),
    "depth multiplier": (layers.DepthwiseConv2D(3, depth_multiplier=3, strides=2), (2, 31, 30, 13)),
    "separable": (layers.SeparableConv2D(35, 3, **SAME), (2, 30, 31, 6)),
    "transposed": (layers.Conv2DTranspose(35, 3, strides=2), (2, 30, 31, 6)),
    "causal": (layers.Conv1D(20, 3, dilation_rate=4, padding="causal"), (3, 700, 8)),
    "volumes": (layers.Conv3D(20, 3, **SAME), (2, 5, 9, 10, 8)),
    "no image": (layers.Conv2D(5, 3), (0, 20, 21, 4)),
}
by_kind = pytest.mark.parametrize("kind", KINDS)


def bias_gradient(kind, grad_of):
    """The gradient of the bias, and that of the output, in a row for each filter."""
    layer, shape = KINDS[kind]
    out = layer.forward(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    grad = grad_of(out.shape).astype(np.float32)
    layer.backward(grad)
    axis = 1 if layer.data_format == "channels_first" else -1
    return layer.gradients[-1], np.moveaxis(grad, axis, 0).reshape(out.shape[axis], -1)


@by_kind
def test_sums_of_whole_numbers_are_exact(kind, poisoned):
    rng = np.random.default_rng(1)
    found, lines = bias_gradient(kind, lambda shape: rng.integers(-1000, 1000, shape))
    np.testing.assert_array_equal(found, lines.sum(1, dtype=np.float64).astype(np.float32))


@by_kind
def test_many_small_terms_beside_a_large_one_count(kind):
    """In float32, 1e8 swallows every one of the small terms."""

    def grad_of(shape):
        grad = np.full(shape, 0.001)
        grad.reshape(-1)[: shape[-1]] = 1e8
        return grad

    found, lines = bias_gradient(kind, grad_of)
    np.testing.assert_allclose(found, lines.sum(1, dtype=np.float64), rtol=1.2e-7)


@by_kind
def test_infinities_and_what_overflows_stay_with_their_filter(kind):
    def grad_of(shape):
        grad = np.full(shape, 3e38)
        grad[..., -1:, :1] = np.inf
        return grad

    found, lines = bias_gradient(kind, grad_of)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, lines.sum(1, dtype=np.float64).astype(np.float32))


@by_kind
def test_bits_do_not_depend_on_threads(kind, each_thread_count):
    rng = np.random.default_rng(2)
    grads = {}
    found = {
        bias_gradient(kind, lambda shape: grads.setdefault(shape, rng.standard_normal(shape)))[0].tobytes()
        for _ in each_thread_count()
    }
    assert len(found) == 1
