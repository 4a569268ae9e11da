"""Prepared calls: channels first through the transposing kernel, empty batches, and one shape in both dtypes."""

import numpy as np
import pytest
from cases import (
    CASES,
    Case,
    assert_close,
    each,
    expected,
    operands,
    output_shape,
    pack,
    reference_result,
    run,
    to_format,
)

from numbaconv import functional, layers
from numbaconv.calls import conv as calls
from numbaconv.calls import separable as separable_calls
from numbaconv.calls.epilogue import plain_epilogue
from numbaconv.calls.packed import Packed
from numbaconv.calls.transposed import TransposedCall, transposed_call
from numbaconv.calls.window import Window, window_of
from numbaconv.calls.winograd import WinogradCall
from numbaconv.kernels.plan.axes import WINDOWS, H, W
from numbaconv.machine import threads

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
STRIDED = {"strides": 2, "padding": "same"}
# Function, settings, whether it has filters; for "conv_transpose" in each of its three kinds of call.
OPERATIONS = {
    "conv": ("conv", {"padding": "same"}),
    "winograd": ("conv", {"padding": "same", "algorithm": "winograd"}),
    "depthwise": ("depthwise_conv", STRIDED),
    "separable": ("separable_conv", STRIDED),
    "transposed, strides 1": ("conv_transpose", {"padding": "same"}),
    "transposed": ("conv_transpose", STRIDED),
    "transposed, untouched parts": ("conv_transpose", {"strides": 4}),
    "crop": ("crop", {"cropping": ((1, 0), (0, 1))}),
    "zero_pad": ("zero_pad", {"padding": ((1, 0), (2, 1))}),
    "nearest": ("upsample", {"size": (2, 3)}),
    "bilinear": ("upsample", {"size": (3, 2), "interpolation": "bilinear"}),
}
each_operation = pytest.mark.parametrize(("operation", "settings"), OPERATIONS.values(), ids=OPERATIONS)


def make_case(operation, settings, shape, filters=3):
    kernel_size = (3, 3) if operation in ("conv", "depthwise_conv", "separable_conv", "conv_transpose") else ()
    return Case(f"{operation} {shape} {filters}", operation, shape, kernel_size, filters, 2, settings)


def wanted_of(case, arrays):
    settings = {name: value for name, value in case.settings.items() if name != "algorithm"}
    return reference_result(make_case(case.operation, settings, case.shape, case.filters), arrays)


# Squares of 2 to 16 elements are transposed at a time: shorter axes one by one, longer ones with an overlap.
@pytest.mark.parametrize("lengths", [(2, 2), (17, 2), (5, 7), (37, 29)])
@pytest.mark.parametrize(("channels", "filters"), [(1, 1), (3, 19), (16, 3), (37, 45)])
@each_operation
@by_dtype
def test_channels_first(operation, settings, channels, filters, lengths, dtype):
    case = make_case(operation, settings, (2, *lengths, channels), filters)
    x, *rest = operands(case, dtype)
    last = run(case, [x, *rest])
    assert_close(last, wanted_of(case, operands(case)), 2e-5 if dtype == "float32" else 1e-11)
    out = run(case, [to_format(x, "channels_first"), *rest], "channels_first")
    assert out.flags.c_contiguous
    assert out.tobytes() == to_format(last, "channels_first").tobytes()
    # A view of channels last in memory is no contiguous array.
    assert run(case, [np.moveaxis(x, -1, 1), *rest], "channels_first").tobytes() == out.tobytes()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@each_operation
@by_dtype
def test_empty_batch(operation, settings, data_format, dtype):
    case = make_case(operation, settings, (0, 9, 7, 17), 20)
    x, *rest = operands(case, dtype)
    out = run(case, [to_format(x, data_format), *rest], data_format)
    shaped = make_case(operation, {k: v for k, v in settings.items() if k != "algorithm"}, case.shape, 20)
    assert (out.shape, out.dtype) == (output_shape(shaped, data_format), dtype)


@pytest.mark.double
@each_operation
def test_one_shape_in_both_dtypes(operation, settings):
    case = make_case(operation, settings, (2, 9, 7, 17), 20)
    outs = {dtype: run(case, operands(case, dtype)) for dtype in ("float32", "float64")}
    assert_close(outs["float64"].astype(np.float32), outs["float32"], 2e-5)
    for _ in range(2):
        for dtype, out in outs.items():
            again = run(case, operands(case, dtype))
            assert (again.dtype, again.tobytes()) == (dtype, out.tobytes())


@pytest.mark.double
@pytest.mark.parametrize("wide", range(4), ids=["x", "depthwise", "pointwise", "bias"])
def test_separable_is_float64_where_one_operand_is(wide):
    case = make_case("separable_conv", STRIDED, (2, 9, 7, 17), 20)
    arrays = operands(case, "float32")
    arrays[wide] = arrays[wide].astype(np.float64)
    out = run(case, arrays)
    assert out.dtype == np.float64
    assert out.tobytes() == run(case, operands(case)).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_packed_separable_weights_decide_the_dtype(dtype):
    case = make_case("separable_conv", STRIDED, (2, 9, 7, 17), 20)
    x, depthwise, pointwise, bias = operands(case, dtype)
    packed = pack(case, [depthwise, pointwise])
    plain = run(case, [x, depthwise, pointwise, bias])
    for other in ("float32", "float64"):
        out = run(case, [x.astype(other), *packed, bias.astype(other)])
        assert (out.dtype, out.tobytes()) == (dtype, plain.tobytes())
    narrow = functional.pack_conv(pointwise, "float64" if dtype == "float32" else "float32")
    with pytest.raises(ValueError, match="packed with one dtype, got"):
        run(case, [x, packed[0], narrow, bias])


@each([case for case in CASES if case.operation == "separable_conv"])
@by_dtype
def test_one_pass_of_a_separable_convolution_gives_the_bits_of_two(case, dtype, poisoned):
    x, *kernels, bias = operands(case, dtype)
    window = window_of(case.kernel_size, **case.settings)
    call = separable_calls.separable_call(x.shape, *(k.shape for k in kernels), x.itemsize, window)
    assert call.arguments is not None or x.size == 0
    weights = (*pack(case, kernels), plain_epilogue(bias, case.filters, x.dtype))
    out = call(x, *weights)
    assert_close(out, expected(case))
    assert out.tobytes() == call.steps(x, *weights)[1].tobytes()


def test_a_separable_convolution_takes_two_passes_where_its_pointwise_weights_are_many():
    case = make_case("separable_conv", {"padding": "same"}, (1, 4, 5, 300), 600)
    arrays = operands(case, "float32")
    shapes = [a.shape for a in arrays[:3]]
    assert separable_calls.separable_call(*shapes, 4, window_of(case.kernel_size, padding="same")).arguments is None
    assert_close(run(case, arrays), wanted_of(case, operands(case)))


@pytest.mark.parametrize(
    ("lengths", "channels", "taps", "dilation"),
    [((32, 32), 2048, 5, 1), ((32, 32), 2048, 3, 6), ((128, 128), 256, 31, 1), ((1, 100_000), 600, (1, 301), 1)],
)
def test_a_separable_convolution_takes_two_passes_where_few_windows_fit_the_cache(lengths, channels, taps, dilation):
    taps = taps if isinstance(taps, tuple) else (taps, taps)
    shapes = (1, *lengths, channels), (*taps, channels, 1), (1, 1, channels, 32)
    call = separable_calls.separable_call(*shapes, 4, window_of(taps, 1, "same", dilation))
    assert call.arguments is None


def test_blocks_of_pixels_need_not_end_where_rows_do():
    x_shape, window = (3, 7, 5, 64), window_of((1, 1))
    call = calls.conv_call(x_shape, (1, 1, 64, 64), 4, window)
    # Of rows, one thread would have more than another.
    assert call.view and call.arguments[1][[H, W], WINDOWS].tolist() == [1, 3 * 7 * 5]
    assert not calls.conv_call(x_shape, (3, 3, 64, 64), 4, window_of((3, 3)), "direct").view
    assert not calls.conv_call(x_shape, (1, 1, 64, 64), 4, window_of((1, 1), 2)).view


@by_dtype
@pytest.mark.parametrize("channels", [500, 512, 1024])
@pytest.mark.parametrize("filters", [40, 300])
def test_pixels_that_compete_for_the_cache_are_summed_up_like_others(channels, filters, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 7, channels)).astype(dtype)
    weights = (rng.standard_normal((1, 1, channels, filters)) / 30).astype(dtype)
    out = functional.conv(x, weights)
    wanted = x.astype("float64").reshape(-1, channels) @ weights.astype("float64").reshape(channels, filters)
    assert_close(out, wanted.reshape(out.shape))


def test_a_transposed_convolution_has_three_kinds_of_call():
    def kind(strides, channels=16):
        window = window_of((3, 3), strides, "same")
        return type(transposed_call((2, 16, 16, channels), (3, 3, 16, channels), 4, window))

    assert kind(1) is WinogradCall
    assert kind(1, 7) is calls.WindowCall
    assert kind((1, 2)) is TransposedCall


def test_packed_transposed_weights_serve_any_length():
    # Other lengths have other phases, or the same in another order: "same" crops by the length.
    weights = np.random.default_rng(4).standard_normal((4, 5, 6, 3), np.float32)
    packed = functional.pack_conv_transpose(weights, (3, 2))
    for lengths in ((2, 3), (5, 4), (2, 9), (2, 3), (5, 4)):
        for padding, output_padding in (("same", None), ("valid", None), ("same", 0), ("same", (2, 1)), ("valid", 1)):
            x = np.random.default_rng(5).standard_normal((2, *lengths, 3), np.float32)
            settings = {"strides": (3, 2), "padding": padding, "output_padding": output_padding}
            plain = functional.conv_transpose(x, weights, **settings)
            assert functional.conv_transpose(x, packed, **settings).tobytes() == plain.tobytes()


def test_calls_are_prepared_for_the_threads_that_run(monkeypatch):
    """By a layer and by a function; small calls, which run in one thread, once for all numbers."""
    arrays = np.ones((1, 40, 40, 16), np.float32), np.ones((3, 3, 16, 32), np.float32)
    layer, small = layers.Conv2D(32, 3), layers.Conv2D(2, 3)
    made, alike, found = [], [], []
    for count in (1, 7, 2, 7):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        call = calls.conv_call(*(a.shape for a in arrays), 4, window_of((3, 3)), "auto")
        made.append(call.work.plans.tolist())
        found.append((layer(arrays[0]).tobytes(), functional.conv(*arrays).tobytes()))
        assert layer._prepared(arrays[0]) is call
        small(arrays[0][:, :9, :9])
        alike.append(small._prepared(arrays[0][:, :9, :9]))
    assert made[1] == made[3]
    assert made[0] != made[1] != made[2]
    assert len({id(call) for call in alike}) == len(set(found)) == 1
    assert alike[0].serial


@pytest.mark.parametrize(("channels", "strides"), [(3, 1), (3, 2), (32, 1)])
def test_zeros_in_front_of_a_window_are_those_of_zero_padding(channels, strides):
    x, weights = (
        np.random.default_rng(0).random(shape, "f4") for shape in ((2, 9, 24, channels), (3, 3, channels, 32))
    )
    pads = ((0, 1), (2, 1))
    window = Window((3, 3), (strides, strides), pads, (1, 1), "channels_last")
    packed, epilogue = Packed("conv", weights), plain_epilogue(None, 32, weights.dtype)
    call = calls.conv_call(x.shape, weights.shape, 4, window, "auto")
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    wanted = calls.conv_call(padded.shape, weights.shape, 4, window._replace(padding="valid"), "auto")
    out = np.full(call.out_shape, np.nan, "f4")
    assert call.run(x[:, None], packed, epilogue, out) is out
    np.testing.assert_array_equal(out[:, 0], wanted(padded, packed, epilogue))
