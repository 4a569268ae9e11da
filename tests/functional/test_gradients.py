"""The gradients of `numbaconv.functional` against the reference's, over the shared table."""

import numpy as np
import pytest
from backward import gradients
from cases import (
    CASES,
    FORMATS,
    WEIGHTED,
    assert_close,
    each,
    operands,
    output_shape,
    reference_gradients,
    run,
    to_format,
)
from cuts import LARGE_BLOCKS, SMALL_BLOCKS, THREADS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_cases import random_cases

from numbaconv import functional, layers
from numbaconv.calls.gradients import ProductInputCall, conv_grad, depthwise_grad
from numbaconv.calls.transposed import ScatterCall
from numbaconv.calls.window import window_of
from numbaconv.calls.winograd import WinogradCall
from numbaconv.calls.winograd_grad import WinogradSumCall
from numbaconv.machine import threads
from numbaconv.machine.vectors import VECTOR_BYTES
from numbaconv.selfcheck import textbook

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
by_format = pytest.mark.parametrize("data_format", FORMATS)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def drawn(request):
    case = request.param
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case, "channels_last"), dtype=np.float32)
    return case, grad_out


@by_dtype
@by_format
def test_gradients_match_the_reference(drawn, dtype, data_format, poisoned):
    case, grad_out = drawn
    arrays = operands(case, dtype)
    wanted = reference_gradients(case, operands(case, "float64"), grad_out.astype("float64"))
    arrays[0] = to_format(arrays[0], data_format)
    found = gradients(case, arrays, to_format(grad_out.astype(dtype), data_format), data_format)
    wanted["x"] = to_format(wanted["x"], data_format)
    assert list(found) == [name for name in wanted if name != "bias"]
    for name, gradient in found.items():
        assert gradient.dtype == dtype
        assert gradient.flags.c_contiguous
        assert_close(gradient, wanted[name])


@each([case for case in WEIGHTED if "smoke" in case.name or "blocks" in case.name or "strided" in case.name])
@pytest.mark.parametrize(
    "knobs", [SMALL_BLOCKS, LARGE_BLOCKS, {**SMALL_BLOCKS, "sum_tasks": 3}], ids=["small", "large", "few tasks"]
)
@by_dtype
def test_any_cut_gives_the_gradients(case, knobs, dtype, recut, poisoned):
    recut(knobs)
    arrays = operands(case)
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case))
    wanted = reference_gradients(case, arrays, grad_out)
    for name, gradient in gradients(case, [a.astype(dtype) for a in arrays], grad_out.astype(dtype)).items():
        assert_close(gradient, wanted[name])


@each([case for case in WEIGHTED if "smoke" in case.name or "blocks" in case.name or "strided" in case.name])
@by_dtype
def test_no_number_of_threads_changes_a_bit(case, dtype, recut):
    arrays = operands(case, dtype)
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case)).astype(dtype)
    found = set()
    for knobs in THREADS:
        recut(knobs)
        found.add(b"".join(gradient.tobytes() for gradient in gradients(case, arrays, grad_out).values()))
    assert len(found) == 1


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=random_cases(), data_format=st.sampled_from(FORMATS))
def test_no_number_of_threads_changes_a_bit_of_random_configurations(case, data_format, recut):
    arrays = operands(case, "float32")
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case)).astype("float32")
    arrays[0], grad_out = to_format(arrays[0], data_format), to_format(grad_out, data_format)
    found = set()
    for knobs in THREADS:
        recut(knobs)
        results = run(case, arrays, data_format), *gradients(case, arrays, grad_out, data_format).values()
        found.add(b"".join(result.tobytes() for result in results))
    assert len(found) == 1


@by_dtype
@settings(max_examples=150)
@given(case=random_cases(), data_format=st.sampled_from(FORMATS))
def test_random_configurations(case, data_format, dtype):
    arrays = operands(case)
    grad_out = np.random.default_rng(1).standard_normal(output_shape(case))
    wanted = reference_gradients(case, arrays, grad_out)
    wanted["x"] = to_format(wanted["x"], data_format)
    arrays[0] = to_format(arrays[0], data_format)
    arrays, grad_out = [a.astype(dtype) for a in arrays], to_format(grad_out.astype(dtype), data_format)
    for name, gradient in gradients(case, arrays, grad_out, data_format).items():
        assert_close(gradient, wanted[name])


@pytest.mark.parametrize("shape", [(8, 28, 28, 1), (64, 40, 28, 1), (64, 7, 7, 1), (4, 28, 28, 16)])
def test_few_windows_of_a_large_kernel_are_spread(shape):
    """All other ways multiply zeros, hundreds of times as many numbers."""
    call = conv_grad(shape, (shape[2], shape[2], shape[3], 128), 4, window_of((shape[2],) * 2))
    assert isinstance(call.input_call, ScatterCall | ProductInputCall)


@pytest.mark.parametrize("taps", [3, 5])
def test_input_gradients_run_as_winograd_where_the_operation_does(taps):
    x_shape, weights_shape = (2, 16, 16, 20), (taps, taps, 20, 24)
    call = conv_grad(x_shape, weights_shape, 4, window_of((taps, taps), padding="same"), "auto")
    assert isinstance(call.input_call, WinogradCall)
    rng = np.random.default_rng(0)
    weights, grad_out = rng.standard_normal(weights_shape), rng.standard_normal((2, 16, 16, 24))
    arrays = grad_out.astype("float32"), weights.astype("float32"), x_shape
    direct = functional.conv_input_grad(*arrays, padding="same", algorithm="direct")
    assert_close(functional.conv_input_grad(*arrays, padding="same"), direct)


@pytest.mark.parametrize("operation", ["conv", "conv_transpose"])
@pytest.mark.parametrize(
    ("image", "size", "settings"),
    [
        # Taps that lie outside of the image, whatever the window, and some of the others in the middle.
        ((2, 4, 5), (5, 3), {"dilation_rate": 6}),
        ((3, 9, 1, 5), (3, 3, 3), {}),
        ((2, 1, 3), (4, 2), {"strides": 2}),
        # Windows that take the place of the image.
        ((2, 9, 11), (3, 3), {"padding": "valid"}),
        ((2, 40), (5,), {"dilation_rate": 3}),
        ((1, 4, 6, 7), (2, 3, 1), {"dilation_rate": (1, 2, 1)}),
    ],
    ids=str,
)
@pytest.mark.parametrize(("channels", "filters"), [(33, 2), (2, 33), (20, 1)])
def test_weight_gradients_of_taps_that_are_met(operation, image, size, settings, channels, filters, poisoned):
    rng, settings = np.random.default_rng(0), {"padding": "same", **settings}
    pair = (filters, channels) if operation == "conv_transpose" else (channels, filters)
    x, weights = rng.standard_normal((*image, channels)), rng.standard_normal((*size, *pair))
    bias = np.zeros(filters)
    grad_out = rng.standard_normal(textbook.result(operation, [x, weights, bias], **settings).shape)
    wanted = textbook.gradients(operation, [x, weights, bias], grad_out, **settings)[1]
    arrays = x.astype("float32"), grad_out.astype("float32")
    found = getattr(functional, f"{operation}_weight_grad")(*arrays, size, **settings)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("value", [1, np.inf])
def test_gradients_of_a_large_depthwise_convolution_in_one_pass_are_those_of_two(value, poisoned):
    rng, layer = np.random.default_rng(0), layers.DepthwiseConv2D((3, 4), padding="same")
    x, grad_out = (rng.standard_normal((4 * threads.count(), 31, 45, 33), dtype=np.float32) for _ in range(2))
    layer.build(x.shape)
    layer.set_weights([value * rng.standard_normal(w.shape) for w in layer.weights])
    call = depthwise_grad(x.shape, layer.depthwise_kernel.shape, 4, window_of((3, 4), padding="same"))
    assert call.joint
    layer.forward(x)
    grad_x = layer.backward(grad_out)
    settings = {"padding": "same"}
    wanted = functional.depthwise_conv_input_grad(grad_out, layer.depthwise_kernel, x.shape, **settings)
    np.testing.assert_array_equal(grad_x, wanted)
    wanted = functional.depthwise_conv_weight_grad(x, grad_out, (3, 4), **settings)
    np.testing.assert_array_equal(layer.gradients[0], wanted)
    total = grad_out.sum((0, 1, 2), dtype="float64")
    np.testing.assert_allclose(layer.gradients[1], total, rtol=1e-6, atol=1e-5)


def weight_gradients(x, grad_out, padding="same", algorithm="auto"):
    return functional.conv_weight_grad(x, grad_out, 3, padding=padding, algorithm=algorithm)


def drawn_for_winograd(images, height, width, channels, filters, padding="same"):
    rng, less = np.random.default_rng(0), 2 * (padding == "valid")
    x = rng.standard_normal((images, height, width, channels), dtype=np.float32)
    return x, rng.standard_normal((images, height - less, width - less, filters), dtype=np.float32)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "sizes",
    # Whole images, rows and parts of rows in a block; vectors that are not full, and several panels; blocks left over.
    [(17, 9, 10, 16, 16), (5, 15, 16, 30, 45), (2, 31, 34, 16, 16), (1, 10, 300, 16, 31), (3, 24, 16, 64, 128)],
    ids=str,
)
def test_weight_gradients_run_as_winograd_where_that_is_faster(sizes, padding, poisoned):
    x, grad_out = drawn_for_winograd(*sizes, padding)
    call = conv_grad(x.shape, (3, 3, *sizes[3:]), 4, window_of((3, 3), padding=padding))
    assert isinstance(call.sum_call, WinogradSumCall)
    wanted = weight_gradients(x.astype("float64"), grad_out.astype("float64"), padding)
    np.testing.assert_allclose(weight_gradients(x, grad_out, padding), wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("columns", [64, 67], ids="{} columns".format)
@pytest.mark.parametrize(
    "strides, dilation_rate, channels, groups", [(1, 1, 3, 1), (1, 1, 3, 3), (1, 3, 1, 1), (2, 1, 1, 1)]
)
def test_weight_gradients_of_few_outputs_see_neighbouring_windows_as_one(
    strides, dilation_rate, channels, groups, columns, poisoned
):
    rng, shape = np.random.default_rng(0), (90, columns)
    lengths = ((n - 1) * strides + 2 * dilation_rate + 1 for n in shape)
    x, grad_out = (rng.integers(-9, 9, (2, *size, channels)).astype(np.float32) for size in (lengths, shape))
    settings = {"strides": strides, "dilation_rate": dilation_rate}
    call = conv_grad(x.shape, (3, 3, channels // groups, channels), 4, window_of((3, 3), **settings)).sum_call
    # Short vectors are filled by fewer outputs.
    assert call.together or VECTOR_BYTES < 64
    assert bool(call.rest) == bool(call.together and columns % call.together.windows > 0)
    found = functional.conv_weight_grad(x, grad_out, 3, groups=groups, **settings)
    for tap in np.ndindex(3, 3):
        starts = (k * dilation_rate for k in tap)
        h, w = (slice(k, k + (n - 1) * strides + 1, strides) for k, n in zip(starts, shape, strict=True))
        wanted = np.einsum("nhwc,nhwf->cf", x[:, h, w], grad_out)
        np.testing.assert_array_equal(found[tap], wanted if groups == 1 else wanted.diagonal()[None])


def test_winograd_weight_gradients_of_planes_that_lie_apart(poisoned):
    rng, settings = np.random.default_rng(0), {"kernel_size": (1, 3, 3), "strides": (2, 1, 1)}
    x, grad_out = (rng.standard_normal((2, depth, *rest, 16)) for depth, rest in ((9, (16, 17)), (5, (14, 15))))
    call = conv_grad(x.shape, (1, 3, 3, 16, 16), 4, window_of((1, 3, 3), (2, 1, 1)))
    assert isinstance(call.sum_call, WinogradSumCall)
    found = functional.conv_weight_grad(x.astype("float32"), grad_out.astype("float32"), **settings)
    wanted = functional.conv_weight_grad(x, grad_out, **settings)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def test_no_number_of_threads_changes_a_bit_of_winograd_weight_gradients(recut):
    arrays, found = drawn_for_winograd(4, 30, 24, 64, 80), set()
    for knobs in THREADS:
        recut(knobs)
        found.add(weight_gradients(*arrays).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, 1e35])
@pytest.mark.parametrize("which", [0, 1], ids=["x", "grad_out"])
def test_values_that_winograd_would_spoil_are_summed_plainly(value, which):
    arrays = drawn_for_winograd(4, 16, 16, 16, 16)
    arrays[which][1, 0, 0, 3] = value
    arrays[1 - which][1, 0, 0, 2] = 1e4
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(weight_gradients(*arrays), weight_gradients(*arrays, algorithm="direct"))


@pytest.mark.parametrize("which", [0, 1], ids=["x", "grad_out"])
def test_values_far_above_the_others_leave_no_errors_at_taps_that_never_read_them(which):
    arrays = drawn_for_winograd(2, 32, 32, 16, 16)
    arrays[which][0, 0, 0, 3] = 1e5
    np.testing.assert_array_equal(weight_gradients(*arrays), weight_gradients(*arrays, algorithm="direct"))


def test_a_channel_that_a_tap_never_reads_spoils_nothing():
    x, grad_out = drawn_for_winograd(2, 32, 32, 16, 16)
    x[:, 1:, :, 5] = 0
    found, direct = weight_gradients(x, grad_out), weight_gradients(x, grad_out, algorithm="direct")
    assert not direct[2, :, 5].any()
    assert not np.array_equal(found, direct)
    np.testing.assert_allclose(found, direct, rtol=0, atol=2e-6 * np.abs(direct).max())


@pytest.mark.parametrize("factor", [1e-38, 0])
def test_tiny_gradients_are_summed_plainly(factor):
    x, grad_out = drawn_for_winograd(4, 16, 16, 16, 16)
    grad_out *= np.float32(factor)
    np.testing.assert_array_equal(weight_gradients(x, grad_out), weight_gradients(x, grad_out, algorithm="direct"))


X, G, W = np.ones((2, 8, 7, 3)), np.ones((2, 6, 5, 4)), np.ones((3, 3, 3, 4))
WRONG = {
    "grad_out of another shape": (lambda: functional.conv_input_grad(G, W, (2, 8, 8, 3)), r"grad_out .*\(2, 6, 6, 4\)"),
    "for weights too": (
        lambda: functional.conv_weight_grad(X, G[:1], 3),
        r"grad_out .* got \(1, 6, 5, 4\)",
    ),
    "of another rank": (lambda: functional.conv_weight_grad(X, G[0], 3), "grad_out must have 4 axes"),
    "x_shape no tuple": (lambda: functional.conv_input_grad(G, W, 8), "x_shape must be a tuple"),
    "x_shape of another rank": (lambda: functional.conv_input_grad(G, W, (2, 8, 3)), "x_shape must have 4 sizes"),
    "a size that is none": (lambda: functional.conv_input_grad(G, W, (2, 8, -7, 3)), "x_shape"),
    "kernel beyond x": (lambda: functional.conv_weight_grad(X, G, 9), "kernel"),
    "channels that do not divide": (
        lambda: functional.depthwise_conv_weight_grad(X, G, 3),
        "multiple of the 3 channels",
    ),
    "lengths no multiples": (lambda: functional.upsample_grad(G, 4), r"multiples of size \(4, 4\), got \(6, 5\)"),
    "winograd with strides": (
        lambda: functional.conv_input_grad(G, W, (2, 8, 7, 3), strides=2, algorithm="winograd"),
        "algorithm must be",
    ),
}


@pytest.mark.parametrize("call, said", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_gradients_take_strings_for_no_numbers():
    with pytest.raises(TypeError, match="grad_out must hold real numbers"):
        functional.conv_weight_grad(X, G.astype(str), 3)
