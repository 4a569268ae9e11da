"""Arrays and arguments beyond 32 bits: right results, or an error before anything is computed."""

import time
from math import prod

import numpy as np
import pytest
from fuzzing import limited_memory

from numbaconv import functional, layers, shapes
from numbaconv.calls import conv as calls
from numbaconv.calls import gradients as gradient_calls
from numbaconv.calls.window import window_of
from numbaconv.kernels.plan import plans, positions, sums
from numbaconv.kernels.plan.axes import BEFORE, OUT_STRIDE, STRIDE, WINDOWS, Axis, axis_table

pytestmark = pytest.mark.situation("more than 2^31 elements")

HUGE = [2**40, 2**45, 2**57, 2**57 + 1, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, 10**400]
X, W = np.ones((1, 6, 1), np.float32), np.ones((2, 1, 1), np.float32)
X2, W2 = np.ones((1, 6, 6, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)


@pytest.fixture(autouse=True, scope="module")
def bounded():
    with limited_memory(2**30):
        yield


def long(n):
    """So many steps that take no memory; of more than NumPy has, as many as it has."""
    return np.broadcast_to(np.float32(1), (1, min(n, 2**60), 1))


# Calls with a huge number whose result would be as huge.
TOO_LARGE = {
    "input of conv": lambda n: functional.conv(long(n), W, padding="same"),
    "input of conv in 2D": lambda n: functional.conv(long(n)[:, None], W2, padding="same"),
    "input of Winograd": lambda n: functional.conv(long(n)[:, None], W2, padding="same", algorithm="winograd"),
    "input of depthwise_conv": lambda n: functional.depthwise_conv(long(n), W, padding="causal"),
    "input of separable_conv": lambda n: functional.separable_conv(long(n), W, W[:1], padding="same"),
    "input of conv_transpose": lambda n: functional.conv_transpose(long(n), W),
    "input of crop": lambda n: functional.crop(long(n), 1),
    "input of upsample": lambda n: functional.upsample(long(n), 1),
    "input of max_pool": lambda n: functional.max_pool(long(n), 2),
    "batch": lambda n: functional.conv(long(n).swapaxes(0, 1), W, padding="same"),
    "channels": lambda n: functional.depthwise_conv(long(n).swapaxes(1, 2), long(n)[:, None], padding="same"),
    "padding": lambda n: functional.zero_pad(X, n),
    "padding on one side": lambda n: functional.zero_pad(X2, ((0, 0), (n, 0))),
    "size": lambda n: functional.upsample(X, n),
    "size, bilinear": lambda n: functional.upsample(X2, n, "bilinear"),
    "strides of conv_transpose": lambda n: functional.conv_transpose(X, W, strides=n),
    "dilation of conv_transpose": lambda n: functional.conv_transpose(X, W, dilation_rate=n),
    "dilation of conv": lambda n: functional.conv(X, W, dilation_rate=n),
    "cropping": lambda n: functional.crop(X, n),
    "x_shape of conv_input_grad": lambda n: functional.conv_input_grad(long(n), W, (1, n, 1), padding="same"),
    "x_shape and strides": lambda n: functional.conv_input_grad(X[:, :1], W, (1, n, 1), strides=n, padding="same"),
    "x_shape of depthwise": lambda n: functional.depthwise_conv_input_grad(long(n), W, (1, n, 1), padding="same"),
    "x_shape of average_pool_grad": lambda n: functional.average_pool_grad(X[:, :1], (1, n, 1), n),
    "x_shape of conv_transpose_input_grad": lambda n: functional.conv_transpose_input_grad(
        long(n), W, (1, n, 1), padding="same"
    ),
    "kernel_size of conv_weight_grad": lambda n: functional.conv_weight_grad(X, X, n, padding="same"),
    "kernel_size and strides": lambda n: functional.conv_weight_grad(X, X[:, :1], n, strides=n, padding="same"),
    "kernel_size of depthwise": lambda n: functional.depthwise_conv_weight_grad(X, X, n, padding="same"),
    "kernel_size of conv_transpose": lambda n: functional.conv_transpose_weight_grad(X, X, n, padding="same"),
    "filters": lambda n: layers.Conv1D(n, 2)(X),
    "kernel_size": lambda n: layers.Conv1D(1, n, padding="same")(X),
    "units": lambda n: layers.Dense(n)(X),
    "depth_multiplier": lambda n: layers.DepthwiseConv2D(1, depth_multiplier=n)(X2),
    "filters of SeparableConv": lambda n: layers.SeparableConv1D(n, 2)(X),
    "filters, all zeros": lambda n: layers.Conv1D(n, 2, kernel_initializer="zeros")(X),
    "filters of Conv2DTranspose": lambda n: layers.Conv2DTranspose(n, 2)(X2),
    "UpSampling3D": lambda n: layers.UpSampling3D(n)(X2[None]),
    "ZeroPadding2D": lambda n: layers.ZeroPadding2D(n)(X2),
    "Flatten": lambda n: layers.Flatten()(long(n)),
    "BatchNormalization": lambda n: layers.BatchNormalization()(long(n)),
    "units of LSTM": lambda n: layers.LSTM(n)(X),
    "input_dim of Embedding": lambda n: layers.Embedding(n, 2)(X),
    "heads": lambda n: layers.MultiHeadAttention(n, 2)(X, X),
    "GlobalMaxPooling1D": lambda n: layers.GlobalMaxPooling1D()(long(n)),
}


@pytest.mark.parametrize("n", HUGE, ids=lambda n: f"2^{n.bit_length() - 1}")
@pytest.mark.parametrize("call", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_refused_before_anything_is_computed(call, n):
    begin = time.monotonic()
    with pytest.raises((ValueError, MemoryError)):
        call(n)
    # Planning for so many windows would take days.
    assert time.monotonic() - begin < 20


# Calls with a huge number that changes nothing once it is beyond the input, and a small number that does the same.
RIGHT = {
    "strides": lambda n: functional.conv(X, W, strides=n),
    "strides, same": lambda n: functional.conv(X2, W2, strides=n, padding="same"),
    "strides of depthwise_conv": lambda n: functional.depthwise_conv(X2, W2, strides=n, padding="same"),
    "dilation, same": lambda n: functional.conv(X, W[:1], dilation_rate=n, padding="same"),
    "dilation of three taps": lambda n: functional.conv(X2, W2, dilation_rate=n, padding="same"),
    "dilation of Winograd": lambda n: functional.conv(X2, W2, dilation_rate=n, padding="same", algorithm="winograd"),
    "dilation, causal": lambda n: functional.conv(X, W, dilation_rate=n, padding="causal"),
    "strides of max_pool": lambda n: functional.max_pool(X, 2, n),
    "pool_size": lambda n: functional.max_pool(X2, n + 1, 1, "same"),
    "pool_size of average_pool": lambda n: functional.average_pool(X2, n + 1, n, "same"),
    "pool_size of max_pool_grad": lambda n: functional.max_pool_grad(X, X, n + 1, 1, "same"),
    "pool_size of average_pool_grad": lambda n: functional.average_pool_grad(X[:, :1], X.shape, n, n, "same"),
    "strides of conv_weight_grad": lambda n: functional.conv_weight_grad(X, X[:, :1], 2, strides=n),
    "strides of conv_input_grad": lambda n: functional.conv_input_grad(X[:, :1], W, X.shape, strides=n),
    "dilation of conv_weight_grad": lambda n: functional.conv_weight_grad(X, X, 3, padding="same", dilation_rate=n),
    "dilation of conv_input_grad": lambda n: functional.conv_input_grad(
        X, W[[0, 0, 0]], X.shape, padding="same", dilation_rate=n
    ),
    "strides of conv_transpose_input_grad": lambda n: functional.depthwise_conv_input_grad(
        X[:, :1], W, X.shape, strides=n
    ),
}


@pytest.mark.parametrize("call", RIGHT.values(), ids=RIGHT)
def test_steps_beyond_the_input(call):
    wanted = call(13)
    for n in (2**31, 2**32 + 1, 2**40, 2**55):
        assert np.array_equal(call(n), wanted), n
    for n in (2**62, 2**63, 10**30, 10**400):
        with pytest.raises(ValueError, match=r"2\*\*57"):
            call(n)


@pytest.mark.parametrize("n", [2**57 + 1, 2**63, 10**30])
def test_shapes_say_the_same(n):
    for layer in (layers.Conv1D(1, 1), layers.Dense(1), layers.Flatten(), layers.UpSampling1D(2), layers.Cropping1D()):
        with pytest.raises(ValueError, match=r"input_shape must have at most 2\*\*57 values"):
            layer.compute_output_shape((1, n, 1))
    with pytest.raises(ValueError, match=r"output_shape must have at most 2\*\*57 values"):
        shapes.zero_pad_output_shape((1, 4, 1), n)
    with pytest.raises(ValueError, match=r"windows must reach and step at most 2\*\*57 positions"):
        shapes.conv_output_shape((1, 4, 1), 1, 1, strides=n)
    assert shapes.conv_output_shape((None, None, None), 1, 3) == (None, None, 1)


LARGE = [
    ((3, 2**17, 2**16, 1), (2, 3, 1, 5)),
    ((1, 2**20, 2**15, 3), (3, 3, 3, 32)),
    ((1, 2**33 + 5, 1), (3, 1, 1)),
    ((2**33, 5, 1), (3, 1, 1)),
    ((2, 2**12, 2**12, 2**11, 2), (3, 3, 3, 2, 4)),
]


@pytest.mark.parametrize(("x_shape", "weights_shape"), LARGE, ids=str)
@pytest.mark.parametrize("algorithm", ["direct", "auto"])
def test_plans_of_large_arrays_fit_64_bits(x_shape, weights_shape, algorithm, monkeypatch):
    """The tables of numbers from which kernels compute where they read and write."""
    for module in (plans, positions, sums):
        monkeypatch.setattr(module, "check_memory", lambda *_: None)
    window = window_of(weights_shape[:-2], padding="same")
    uncached = [f.__wrapped__ for f in (calls.conv_call, gradient_calls.conv_grad, calls.depthwise_call)]
    conv, grad = (f(x_shape, weights_shape, 4, window, algorithm) for f in uncached[:2])
    found = tables((conv, grad, uncached[2](x_shape, (*weights_shape[:-1], 2), 4, window)))
    width, seen = axis_table((Axis(1, 1, 1, 1, 0, 0),) * 4, [1] * 4).shape[1], 0
    for table in found:
        assert table.dtype == np.int64
        if table.shape[-1] != width:
            assert table.min() >= 0
            continue
        # The axes come first in a plan, of which there may be several.
        plans_of = table.reshape(-1, *table.shape[-2:])
        assert plans_of[:, 4:].min(initial=0) >= 0
        for axes in plans_of[:, :4]:
            seen += 1
            windows, strides, out = (axes[:, i].astype(object) for i in (WINDOWS, STRIDE, OUT_STRIDE))
            # The last windows of rows begin within the image, where those before are computed by themselves.
            assert np.delete(axes, BEFORE, 1).min() >= 0
            assert axes[:, BEFORE].min() > -max(x_shape)
            # Every place is inside of the largest array that there is here.
            assert sum((windows - 1) * out) < 2 * prod(x_shape) * prod(weights_shape)
            assert all((windows - 1) * strides <= max(x_shape))
    assert seen
    assert len(conv.out_shape) == 5
    assert conv.out_shape[0] == x_shape[0]
    assert conv.rank == len(x_shape) - 2


def tables(value):
    if isinstance(value, np.ndarray):
        return [value]
    return [t for part in value for t in tables(part)] if isinstance(value, tuple | list) else []
