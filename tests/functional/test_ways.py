"""Ways to compute an operation that are chosen where they are faster: what they compute, and where they are taken."""

import numpy as np
import pytest

from numbaconv import functional
from numbaconv.calls.conv import conv_call, depthwise_call
from numbaconv.calls.epilogue import plain_epilogue
from numbaconv.calls.gradients import depthwise_grad
from numbaconv.calls.packed import Packed
from numbaconv.calls.scaling import PixelsCall
from numbaconv.calls.transposed import OverlapCall, transposed_call
from numbaconv.calls.window import window_axes, window_of
from numbaconv.kernels.plan.axes import Axis, merged_axes
from numbaconv.selfcheck import textbook

ONE = Axis(1, 1, 1, 1, 0, 0, 1)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("filters", [1, 3, 20, 40])
@pytest.mark.parametrize(
    ("shape", "size", "settings"),
    [
        ((3, 2, 4, 30), (5, 5), {"dilation_rate": 6}),
        ((1, 3, 3, 200), (3, 1), {"dilation_rate": 2}),
        ((2, 6, 6, 70), (5, 5), {"dilation_rate": 3, "padding": "same"}),
        ((1, 20, 20, 60), (2, 2), {"strides": 4}),
        # Large weights of a single input.
        ((1, 1, 1, 701), (6, 7), {"strides": 2}),
    ],
)
def test_products_of_inputs_and_taps_are_added_up(shape, size, settings, filters, data_format):
    rng = np.random.default_rng(filters)
    x, weights = rng.standard_normal(shape, np.float32), rng.standard_normal((*size, filters, shape[-1]), np.float32)
    bias = rng.standard_normal(filters, np.float32)
    window = window_of(size, **settings)
    exact = textbook.result("conv_transpose", [a.astype("f8") for a in (x, weights, bias)], **settings)
    if data_format == "channels_first":
        x, exact = np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.moveaxis(exact, -1, 1)
    window = window._replace(data_format=data_format)
    call = transposed_call(x.shape, weights.shape, 4, window, None, "overlap")
    packed = Packed("conv_transpose", weights, (window.strides, window.dilation_rate))
    epilogue = plain_epilogue(bias, filters, np.dtype("f4"))
    found, limited = call(x, packed, epilogue), call(x, packed, (epilogue[0], 0.0, *epilogue[2:]))
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-6 * np.abs(exact).max())
    np.testing.assert_array_equal(limited, np.maximum(found, 0))


def test_taps_far_apart_are_products_that_are_added_up():
    def kind(shape, filters, size, **settings):
        return type(transposed_call(shape, (*size, filters, shape[-1]), 4, window_of(size, **settings)))

    assert kind((128, 2, 2, 233), 54, (5, 5), dilation_rate=3) is OverlapCall
    assert kind((1, 16, 16, 128), 17, (1, 16), dilation_rate=12) is OverlapCall
    assert kind((1, 28, 28, 64), 64, (3, 3), padding="same") is not OverlapCall
    assert kind((1, 28, 28, 64), 64, (4, 4), strides=2, padding="same") is not OverlapCall


@pytest.mark.parametrize("images, as_they_lie", [(1, True), (2, False)])
def test_large_weights_of_a_single_input_are_not_packed(images, as_they_lie, poisoned):
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((images, 1, 1, 101)), rng.standard_normal((4, 4, 351, 101))
    call = transposed_call(x.shape, weights.shape, 8, window_of((4, 4), strides=2))
    found = functional.conv_transpose(x, weights, strides=2)
    assert (isinstance(call, OverlapCall) and call.product is None) == as_they_lie
    np.testing.assert_allclose(found, np.einsum("ncd,hwfd->nhwf", x[:, 0], weights), rtol=0, atol=1e-12)


def test_products_are_added_up_alike_in_a_part_of_an_image():
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((1, 8, 7, 40), np.float32), rng.standard_normal((3, 3, 20, 40), np.float32)
    for filters in (2, 20):
        packed = Packed("conv_transpose", weights[:, :, :filters], ((1, 1), (3, 3)))
        epilogue = plain_epilogue(None, filters, np.dtype("f4"))
        whole, part = (
            transposed_call(a.shape, packed.shape, 4, window_of((3, 3), dilation_rate=3), None, "overlap")(
                a, packed, epilogue
            )
            for a in (x, np.ascontiguousarray(x[:, :5]))
        )
        # Nothing below reaches these.
        assert whole[:, :5].tobytes() == part[:, :5].tobytes()


def test_axes_of_which_windows_read_one_position_are_merged():
    def merged(shape, size, **settings):
        return merged_axes(window_axes(shape, 5, window_of(size, **settings)))

    assert merged((4, 16, 1, 8, 10), (1, 1, 1)) == (ONE, ONE, ONE, Axis(512, 1, 1, 1, 0, 5, 512))
    *_, above, last = merged((4, 16, 6, 8, 10), (1, 1, 3), padding="same")
    assert above == Axis(4 * 16 * 6, 1, 1, 1, 0, 40, 4 * 16 * 6)
    assert last == Axis(8, 3, 1, 1, 1, 5, 8)
    *_, last = merged((2, 9, 8, 10), (3, 1), padding="same", dilation_rate=(2, 1))
    assert last == Axis(72, 3, 1, 16, 16, 5, 72)
    # Windows apart, of several taps along all axes, or that leave out positions.
    for settings in ({"strides": 2}, {"padding": "same"}):
        axes = window_axes((2, 9, 8, 10), 5, window_of((3, 3), **settings))
        assert merged_axes(axes)[2:] == axes[2:]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 1, 1), (1, 2, 1), (2, 1, 3), (1, 1, 4)])
@pytest.mark.parametrize(("channels", "filters"), [(5, 6), (130, 2), (40, 37)])
def test_merged_axes_change_no_bit(size, channels, filters, data_format):
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((3, 4, 5, 7, channels), np.float32)
    weights = rng.standard_normal((*size, channels, filters), np.float32)
    exact = textbook.result("conv", [x.astype("f8"), weights.astype("f8"), np.zeros(filters)], padding="same")
    image = x if data_format == "channels_last" else np.ascontiguousarray(np.moveaxis(x, -1, 1))
    found = functional.conv(image, weights, padding="same", data_format=data_format)
    last = found if data_format == "channels_last" else np.moveaxis(found, 1, -1)
    np.testing.assert_allclose(last, exact, rtol=0, atol=2e-6 * np.abs(exact).max())
    # A single image, which is cut otherwise.
    one = functional.conv(image[1:2], weights, padding="same", data_format=data_format)
    assert one.tobytes() == found[1:2].tobytes()
    own = rng.standard_normal((*size, channels, 1), np.float32)
    filtered = functional.depthwise_conv(image, own, padding="same", data_format=data_format)
    single = functional.depthwise_conv(image[1:2], own, padding="same", data_format=data_format)
    assert single.tobytes() == filtered[1:2].tobytes()


def test_few_windows_of_many_images_are_one_task():
    assert conv_call((64, 1, 1, 40), (1, 1, 40, 30), 4, window_of((1, 1))).view == ((1, 1, 1, 64), (1, 1))
    planes = window_of((1, 1), data_format="channels_first")
    assert depthwise_call((192, 129, 1, 1), (1, 1, 129, 1), 4, planes).view == ((1, 1, 1, 192), (1, 1))


def _of_planes(x_shape, weights_shape):
    """What takes images with channels last by way of their planes."""
    batch, *lengths, channels = x_shape
    planes = window_of((1, 1), data_format="channels_first")
    sums = depthwise_call((batch, channels, *lengths), weights_shape, 4, planes).direct()
    return lambda x, *others: np.moveaxis(sums(np.ascontiguousarray(np.moveaxis(x, -1, 1)), *others), 1, -1)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("channels", "multiplier"), [(3, 1), (131, 1), (19, 3)])
def test_one_tap_multiplies_pixels_with_the_bits_of_the_sums(channels, multiplier, data_format):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, channels, 70, 90), np.float32)
    x[x > 1] = -0.0
    weights = rng.standard_normal((1, 1, channels, multiplier), np.float32)
    x = x if data_format == "channels_first" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    packed, window = Packed("depthwise_conv", weights), window_of((1, 1), data_format=data_format)
    bias = rng.standard_normal(channels * multiplier, np.float32)
    call = depthwise_call(x.shape, weights.shape, 4, window)
    assert isinstance(call, PixelsCall) == (data_format == "channels_first" or multiplier == 1)
    for epilogue in (plain_epilogue(bias, len(bias), x.dtype), plain_epilogue(None, len(bias), x.dtype)):
        sums = call.direct() if isinstance(call, PixelsCall) else _of_planes(x.shape, weights.shape)
        limited = epilogue[0], 0.0, *epilogue[2:]
        for one in (epilogue, limited):
            found, right = call(x, packed, one), sums(x, packed, one)
            np.testing.assert_array_equal(found.view(np.int32), np.ascontiguousarray(right).view(np.int32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("pixels", "channels"), [(97, 5), (96, 5), (1, 5), (35, 131)])
def test_gradients_of_one_tap(pixels, channels, dtype):
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((2, 3, pixels, channels)).astype(dtype)
    weights = rng.standard_normal((1, channels, 1)).astype(dtype)
    packed = Packed("depthwise_conv", weights, ((1,), (1,)))
    call = depthwise_grad(x.shape, weights.shape, x.itemsize, window_of((1,)))
    found, bias = call.weights_and_bias(x[:, None, None], grad[:, None, None])
    wanted, allowed = (x * grad).astype(float).sum((0, 1)), 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, wanted.reshape(1, channels, 1), atol=allowed)
    np.testing.assert_allclose(bias, grad.astype(float).sum((0, 1)), atol=allowed)
    np.testing.assert_array_equal(call.input(grad[:, None, None], packed)[:, 0, 0], grad * weights[0, :, 0])
