"""The reference's gradients against numbers worked out by hand, against their operations, and against each other."""

import itertools

import numpy as np
import pytest
from cases import CASES, assert_close, each, interpolates, operands, reference_gradients, reference_result
from reference_cases import INF, ONES, ZEROS, every_case, line, taps, whole_numbers

from numbaconv import reference


def geometry(stride=1, dilation=1, before=0):
    """Strides, dilation and the padding or cropping in front, of a signal."""
    return (1, 1, stride), (1, 1, dilation), (0, 0, before)


def input_line(function, grad_out, weights, in_length, **settings):
    lengths = 1, 1, in_length
    return function(line(grad_out), taps(weights), lengths, *geometry(**settings)).ravel().tolist()


def weight_line(function, x, grad_out, kernel_size, **settings):
    return function(line(x), line(grad_out), (1, 1, kernel_size), *geometry(**settings)).ravel().tolist()


def with_gradient(case):
    """Operands of a case, and a gradient to go back with."""
    arrays = operands(case)
    return arrays, np.random.default_rng(1).standard_normal(reference_result(case, arrays).shape)


one_channel = pytest.mark.parametrize("kind", ["conv", "depthwise_conv"])


# --- bias, by hand


def test_bias_grad_sums_each_channel_over_batch_and_places():
    grad_out = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]).reshape(2, 1, 1, 2, 2)
    assert reference.bias_grad(grad_out).tolist() == [10, 100]


# --- conv and depthwise, by hand; with a single channel they are the same


@one_channel
def test_input_grad_scatters_through_the_kernel(kind):
    input_grad = getattr(reference, f"{kind}_input_grad")
    # 1 goes back to places 0 1 2 as 1 10 100, 2 to places 1 2 3 as 2 20 200
    assert input_line(input_grad, [1, 2], [1, 10, 100], 4) == [1, 12, 120, 200]
    # to places 0 and 2, 1 and 3
    assert input_line(input_grad, [1, 2], [1, 10], 4, dilation=2) == [1, 2, 10, 20]
    # from places 0 and 2; what no window saw gets nothing
    assert input_line(input_grad, [1, 2], [1, 10], 6, stride=2) == [1, 10, 2, 20, 0, 0]
    # places -1 0, 0 1, 1 2: what goes back to the padding is gone
    assert input_line(input_grad, [1, 2, 3], [1, 10], 2, before=1) == [12, 23]


@one_channel
def test_weight_grad_collects_what_each_tap_met(kind):
    weight_grad = getattr(reference, f"{kind}_weight_grad")
    # 1*1 + 2*10, 2*1 + 3*10, 3*1 + 4*10
    assert weight_line(weight_grad, [1, 2, 3, 4], [1, 10], 3) == [21, 32, 43]
    # windows begin at 0 and 2: 1 + 30, 2 + 40
    assert weight_line(weight_grad, [1, 2, 3, 4, 5], [1, 10], 2, stride=2) == [31, 42]
    # taps lie 2 apart: 1 + 20, 3 + 40
    assert weight_line(weight_grad, [1, 2, 3, 4], [1, 10], 2, dilation=2) == [21, 43]
    # the first tap lies over the padding at first, the last one in the end: 10 + 200, 1 + 20 + 300, 2 + 30
    assert weight_line(weight_grad, [1, 2, 3], [1, 10, 100], 3, before=1) == [210, 321, 32]


def test_conv_gradients_mix_channels():
    # two channels in, three out
    x = np.array([2.0, 3.0]).reshape(1, 1, 1, 1, 2)
    weights = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(1, 1, 1, 2, 3)
    grad_out = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 1, 1, 3)
    grad_x = reference.conv_input_grad(grad_out, weights, ONES, ONES, ONES, ZEROS)
    assert grad_x.ravel().tolist() == [321, 654]
    grad_weights = reference.conv_weight_grad(x, grad_out, ONES, ONES, ONES, ZEROS)
    assert grad_weights[0, 0, 0].tolist() == [[2, 20, 200], [3, 30, 300]]


def test_conv_gradients_stay_in_their_group():
    # channels 2, 3 meet filters (1, 10) and (100, 1000), channels 4, 5 meet (5, 6) and (7, 8)
    x = np.array([2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 1, 1, 4)
    weights = np.array([[1.0, 100.0, 5.0, 7.0], [10.0, 1000.0, 6.0, 8.0]]).reshape(1, 1, 1, 2, 4)
    grad_out = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 1, 4)
    grad_x = reference.conv_input_grad(grad_out, weights, ONES, ONES, ONES, ZEROS, 2)
    assert grad_x.ravel().tolist() == [201, 2010, 43, 50]
    grad_weights = reference.conv_weight_grad(x, grad_out, ONES, ONES, ONES, ZEROS, 2)
    assert grad_weights[0, 0, 0].tolist() == [[2, 4, 12, 16], [3, 6, 15, 20]]


def test_conv_weight_grad_sums_over_the_batch():
    x, grad_out = np.array([2.0, 3.0]).reshape(2, 1, 1, 1, 1), np.array([1.0, 10.0]).reshape(2, 1, 1, 1, 1)
    assert reference.conv_weight_grad(x, grad_out, ONES, ONES, ONES, ZEROS).ravel().tolist() == [32]


def test_depthwise_gradients_stay_in_their_channel():
    # channel 0 meets kernels 1, 10 and gradients 1, 2; channel 1 meets kernels 100, 1000 and gradients 3, 4
    x = np.array([2.0, 3.0]).reshape(1, 1, 1, 1, 2)
    weights = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 1, 1, 2, 2)
    grad_out = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 1, 4)
    grad_x = reference.depthwise_conv_input_grad(grad_out, weights, ONES, ONES, ONES, ZEROS)
    assert grad_x.ravel().tolist() == [21, 4300]
    grad_weights = reference.depthwise_conv_weight_grad(x, grad_out, ONES, ONES, ONES, ZEROS)
    assert grad_weights[0, 0, 0].tolist() == [[2, 4], [9, 12]]


# --- separable, by hand


def test_separable_gradients_go_back_through_both_steps():
    # channels [1 2 3] and [10 20 30]; sums of neighbours [3 5], differences right - left [10 10]; mixed by 2 and 1
    x = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]).reshape(1, 1, 1, 3, 2)
    depthwise = np.array([[1.0, -1.0], [1.0, 1.0]]).reshape(1, 1, 2, 2, 1)
    pointwise = np.array([2.0, 1.0]).reshape(1, 1, 1, 2, 1)
    gradients = reference.separable_conv_grad(x, depthwise, pointwise, line([1, 10]), *geometry())
    grad_x, grad_depthwise, grad_pointwise = (a.reshape(-1, 2).tolist() for a in gradients)
    # 3*1 + 5*10, 10*1 + 10*10
    assert grad_pointwise == [[53, 110]]
    # of the filtered channels: [2 20] and [1 10]. 1*2 + 2*20 and 10*1 + 20*10, 2*2 + 3*20 and 20*1 + 30*10
    assert grad_depthwise == [[42, 210], [64, 320]]
    # 2 and -1, 2 + 20 and 1 - 10, 20 and 10
    assert grad_x == [[2, -1], [22, -9], [20, 10]]


# --- conv_transpose, by hand


def test_conv_transpose_input_grad_gathers_where_the_input_was_scattered():
    input_grad = reference.conv_transpose_input_grad
    # 1 + 20 + 300, 2 + 30 + 400
    assert input_line(input_grad, [1, 2, 3, 4], [1, 10, 100], 2) == [321, 432]
    # from place 2: 3 + 40 + 500
    assert input_line(input_grad, [1, 2, 3, 4, 5], [1, 10, 100], 2, stride=2) == [321, 543]
    # 1 + 30, 2 + 40
    assert input_line(input_grad, [1, 2, 3, 4], [1, 10], 2, dilation=2) == [31, 42]
    # the first tap of the first input was cut off, and so was the last of the second: 10 + 200, 1*2 + 10*3
    assert input_line(input_grad, [1, 2, 3], [1, 10, 100], 2, stride=2, before=1) == [210, 32]
    # nothing reached the last three places
    assert input_line(input_grad, [1, 2, 3, 4, 5], [1], 1, stride=2) == [1]


def test_conv_transpose_weight_grad_collects_what_each_tap_scattered():
    weight_grad = reference.conv_transpose_weight_grad
    # 1*1 + 10*2, 1*2 + 10*3, 1*3 + 10*4
    assert weight_line(weight_grad, [1, 10], [1, 2, 3, 4], 3) == [21, 32, 43]
    # 1 + 10*3, 2 + 10*4
    assert weight_line(weight_grad, [1, 10], [1, 2, 3, 4], 2, stride=2) == [31, 42]
    # without the first place: 10*1, 1 + 10*2
    assert weight_line(weight_grad, [1, 10], [1, 2], 2, before=1) == [10, 21]


def test_conv_transpose_gradients_have_outputs_before_inputs():
    # two channels in, three out
    x = np.array([2.0, 3.0]).reshape(1, 1, 1, 1, 2)
    weights = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).reshape(1, 1, 1, 3, 2)
    grad_out = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 1, 1, 3)
    grad_x = reference.conv_transpose_input_grad(grad_out, weights, ONES, ONES, ONES, ZEROS)
    assert grad_x.ravel().tolist() == [531, 642]
    grad_weights = reference.conv_transpose_weight_grad(x, grad_out, ONES, ONES, ONES, ZEROS)
    assert grad_weights[0, 0, 0].tolist() == [[2, 3], [20, 30], [200, 300]]


# --- crop, pad, upsample, by hand


def test_crop_grad_puts_zeros_where_the_input_was_cut():
    grad = reference.crop_grad(np.array([5.0, 9.0]).reshape(1, 1, 2, 1, 1), (0, 1, 1), (0, 0, 2))
    assert grad[0, 0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 5, 0, 0], [0, 9, 0, 0]]


def test_zero_pad_grad_drops_what_the_zeros_would_get():
    grad_out = np.arange(12.0).reshape(1, 1, 3, 4, 1)
    assert reference.zero_pad_grad(grad_out, (0, 1, 0), (0, 0, 2))[0, 0, :, :, 0].tolist() == [[4, 5], [8, 9]]


def test_upsample_nearest_grad_sums_the_copies():
    assert reference.upsample_nearest_grad(line([1, 2, 3, 10, 20, 30]), (1, 1, 3)).ravel().tolist() == [6, 60]


def test_upsample_bilinear_grad_shares_by_distance():
    # positions 0 (held), 1/4, 3/4, 1 (held): 1 + 7.5 + 25, 2.5 + 75 + 1000
    assert reference.upsample_bilinear_grad(line([1, 10, 100, 1000]), (1, 1, 2)).ravel().tolist() == [33.5, 1077.5]
    # one output, 3/4 and 1/4 both ways: 9/16, 3/16, 3/16, 1/16
    grad_out = np.zeros((1, 1, 4, 4, 1))
    grad_out[0, 0, 1, 1] = 16
    assert reference.upsample_bilinear_grad(grad_out, (1, 2, 2)).ravel().tolist() == [9, 3, 3, 1]


# --- infinities stay where they belong


@one_channel
def test_padding_meets_no_infinity(kind):
    input_grad, weight_grad = getattr(reference, f"{kind}_input_grad"), getattr(reference, f"{kind}_weight_grad")
    # the infinite tap would go back to the padding
    assert input_line(input_grad, [3], [INF, 10], 1, before=1) == [30]
    # between the strides it meets nothing, and not a 0
    assert input_line(input_grad, [1, 2], [INF, 1], 4, stride=2) == [INF, 1, INF, 2]
    # the first tap lies over the padding where the gradient is infinite: 1*2; the second over 2: inf*2 + 1*3
    assert weight_line(weight_grad, [2, 3], [INF, 1], 2, before=1) == [2, INF]


def test_what_conv_transpose_crops_meets_no_infinity():
    # what the infinite tap scattered was cut off
    assert input_line(reference.conv_transpose_input_grad, [5, 7], [INF, 1], 1, before=1) == [5]
    # the first of three taps met no gradient: 0, not inf * 0
    assert weight_line(reference.conv_transpose_weight_grad, [INF], [5, 7], 3, before=1) == [0, INF, INF]


def test_upsample_bilinear_grad_gives_nothing_for_a_weight_of_zero():
    # by 3 the middle of each cell lies exactly on its input, and the next one gets nothing: not 0 * inf
    grad = reference.upsample_bilinear_grad(line([0, INF, 0, 0, 0, 0]), (1, 1, 3))
    assert grad.ravel().tolist() == [INF, 0]


# --- adjoint to their operations


def assert_adjoint(operation, arrays, grad_out, gradients, tolerance=0.0):
    """Move one array by any step: ``<operation's answer, grad_out> == <step, gradient>``.

    An operation is linear in each of its arrays but for a constant, which the difference removes.
    """
    out = operation(*arrays)
    for i, (a, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        assert gradient.shape == a.shape
        step = whole_numbers(a.shape, seed=100 + i)
        answer = operation(*arrays[:i], a + step, *arrays[i + 1 :]) - out
        assert abs(np.sum(answer * grad_out) - np.sum(step * gradient)) <= tolerance * np.sum(abs(step * gradient)), i


@every_case
def test_conv_gradients_are_adjoint(case):
    shape, kernel, filters, strides, dilation, before, after = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], filters), seed=2)
    arrays = x, weights, whole_numbers(filters, seed=3)

    def conv(*arrays):
        return reference.conv(*arrays, strides, dilation, before, after)

    g = whole_numbers(conv(*arrays).shape, seed=4)
    gradients = [
        reference.conv_input_grad(g, weights, shape[1:4], strides, dilation, before),
        reference.conv_weight_grad(x, g, kernel, strides, dilation, before),
        reference.bias_grad(g),
    ]
    assert_adjoint(conv, arrays, g, gradients)


@every_case
def test_depthwise_gradients_are_adjoint(case):
    shape, kernel, multiplier, strides, dilation, before, after = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], multiplier), seed=2)
    arrays = x, weights, whole_numbers(shape[-1] * multiplier, seed=3)

    def depthwise_conv(*arrays):
        return reference.depthwise_conv(*arrays, strides, dilation, before, after)

    g = whole_numbers(depthwise_conv(*arrays).shape, seed=4)
    gradients = [
        reference.depthwise_conv_input_grad(g, weights, shape[1:4], strides, dilation, before),
        reference.depthwise_conv_weight_grad(x, g, kernel, strides, dilation, before),
        reference.bias_grad(g),
    ]
    assert_adjoint(depthwise_conv, arrays, g, gradients)


@every_case
def test_separable_gradients_are_adjoint(case):
    shape, kernel, multiplier, strides, dilation, before, after = case
    x, depthwise = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], multiplier), seed=2)
    pointwise, bias = whole_numbers((1, 1, 1, shape[-1] * multiplier, 5), seed=3), whole_numbers(5, seed=4)

    def separable_conv(*arrays):
        return reference.separable_conv(*arrays, bias, strides, dilation, before, after)

    arrays = x, depthwise, pointwise
    g = whole_numbers(separable_conv(*arrays).shape, seed=5)
    gradients = reference.separable_conv_grad(*arrays, g, strides, dilation, before)
    assert_adjoint(separable_conv, arrays, g, gradients)


@pytest.mark.parametrize("extra", [-1, 0, 2], ids=["cut", "natural", "tail"])
@pytest.mark.parametrize("crop_before", [0, 1])
@every_case
def test_conv_transpose_gradients_are_adjoint(case, crop_before, extra):
    shape, kernel, filters, strides, dilation, _, _ = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, filters, shape[-1]), seed=2)
    arrays = x, weights, whole_numbers(filters, seed=3)
    natural = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(shape[1:4], kernel, strides, dilation, strict=True)]
    out_lengths = tuple(max(1, n - crop_before + extra) for n in natural)
    settings = strides, dilation, (crop_before,) * 3

    def conv_transpose(*arrays):
        return reference.conv_transpose(*arrays, *settings, out_lengths)

    g = whole_numbers((shape[0], *out_lengths, filters), seed=4)
    gradients = [
        reference.conv_transpose_input_grad(g, weights, shape[1:4], *settings),
        reference.conv_transpose_weight_grad(x, g, kernel, *settings),
        reference.bias_grad(g),
    ]
    assert_adjoint(conv_transpose, arrays, g, gradients)


@each(CASES)
def test_gradients_of_the_shared_table_are_adjoint(case):
    arrays = [whole_numbers(a.shape, seed=i) for i, a in enumerate(operands(case))]

    def operation(*arrays):
        return reference_result(case, arrays)

    g = whole_numbers(operation(*arrays).shape, seed=50)
    # Only interpolation has weights that are not whole numbers.
    tolerance = 1e-13 if interpolates(case) else 0.0
    assert_adjoint(operation, arrays, g, reference_gradients(case, arrays, g).values(), tolerance)


def test_the_shared_table_names_gradients_as_layers_name_weights():
    named = {case.operation: list(reference_gradients(case, *with_gradient(case))) for case in CASES}
    assert named == {
        "conv": ["x", "kernel", "bias"],
        "depthwise_conv": ["x", "depthwise", "bias"],
        "separable_conv": ["x", "depthwise", "pointwise", "bias"],
        "conv_transpose": ["x", "kernel", "bias"],
        "crop": ["x"],
        "zero_pad": ["x"],
        "upsample": ["x"],
    }


@pytest.mark.parametrize("size", [(3, 1, 2), (1, 5, 3), (2, 4, 1)])
@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_upsample_grad_is_the_transposed_matrix(kind, size):
    lengths = 2, 1, 3
    out_lengths = tuple(n * s for n, s in zip(lengths, size, strict=True))
    # One position is 1 in each member of the batch: the rows of the matrix, and of its transpose.
    inputs, outputs = (np.eye(np.prod(n)).reshape(-1, *n, 1) for n in (lengths, out_lengths))
    forth = getattr(reference, f"upsample_{kind}")(inputs, size).reshape(len(inputs), -1)
    back = getattr(reference, f"upsample_{kind}_grad")(outputs, size).reshape(len(outputs), -1)
    np.testing.assert_array_equal(back, forth.T)


# --- finite differences


@each([case for case in CASES if "smoke" in case.name])
def test_gradients_are_slopes(case):
    arrays, g = with_gradient(case)
    # The loss <out, g> is a straight line in every single number, so the step may be a large one to one side.
    loss = np.sum(reference_result(case, arrays) * g)
    for i, gradient in enumerate(reference_gradients(case, arrays, g).values()):
        # Of many numbers every eleventh, which comes to all places and channels.
        places = list(itertools.product(*map(range, gradient.shape)))
        places = places[:: 11 if len(places) > 500 else 1]
        slopes = np.empty(len(places))
        for n, at in enumerate(places):
            moved = [a.copy() for a in arrays]
            moved[i][at] += 1
            slopes[n] = np.sum(reference_result(case, moved) * g) - loss
        assert_close(slopes, np.array([gradient[at] for at in places]), 1e-12)


# --- a gradient is an operation


@every_case
def test_conv_weight_grad_is_a_conv_with_strides_and_dilation_exchanged(case):
    shape, kernel, filters, strides, dilation, before, after = case
    x, no_weights = whole_numbers(shape, seed=1), np.zeros((*kernel, shape[-1], filters))
    no_bias = np.zeros(filters)
    g = whole_numbers(reference.conv(x, no_weights, no_bias, strides, dilation, before, after).shape, seed=2)
    channels_as_batch, places_as_taps = (
        np.ascontiguousarray(x.swapaxes(0, 4)),
        np.ascontiguousarray(np.moveaxis(g, 0, 3)),
    )
    out = reference.conv(channels_as_batch, places_as_taps, no_bias, dilation, strides, before, after)
    # Where strides leave a rest, there is room for more taps than the kernel has.
    kept = np.moveaxis(out, 0, 3)[: kernel[0], : kernel[1], : kernel[2]]
    np.testing.assert_array_equal(reference.conv_weight_grad(x, g, kernel, strides, dilation, before), kept)


def test_upsample_nearest_grad_is_a_depthwise_conv():
    grad_out, size = whole_numbers((2, 4, 3, 6, 2), seed=1), (2, 1, 3)
    out = reference.depthwise_conv(grad_out, np.ones((*size, 2, 1)), np.zeros(2), size, ONES, ZEROS, ZEROS)
    np.testing.assert_array_equal(reference.upsample_nearest_grad(grad_out, size), out)
