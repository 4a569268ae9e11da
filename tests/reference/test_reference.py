"""The reference operations against numbers worked out by hand, against NumPy, and against each other."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from reference_cases import INF, ONES, ZEROS, every_case, line, taps, whole_numbers

from numbaconv import reference


def conv_line(x, weights, stride=1, dilation=1, before=0, after=0, bias=0.0):
    geometry = (1, 1, stride), (1, 1, dilation), (0, 0, before), (0, 0, after)
    return reference.conv(line(x), taps(weights), np.array([bias]), *geometry).ravel().tolist()


def transpose_line(x, weights, out_length, stride=1, dilation=1, crop_before=0, bias=0.0):
    geometry = (1, 1, stride), (1, 1, dilation), (0, 0, crop_before), (1, 1, out_length)
    return reference.conv_transpose(line(x), taps(weights), np.array([bias]), *geometry).ravel().tolist()


def pad_spatially(x, before, after):
    return np.pad(x, [(0, 0), *zip(before, after, strict=True), (0, 0)])


def windows(x, kernel, strides, dilation, before, after):
    """View the padded input as (N, OD, OH, OW, C, KD, KH, KW)."""
    (sd, sh, sw), (dd, dh, dw) = strides, dilation
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(pad_spatially(x, before, after), extent, axis=(1, 2, 3))
    return view[:, ::sd, ::sh, ::sw, :, ::dd, ::dh, ::dw]


def numpy_conv(x, weights, bias, *geometry):
    return np.einsum("ndhwcxyz,xyzcf->ndhwf", windows(x, weights.shape[:3], *geometry), weights) + bias


def numpy_depthwise_conv(x, weights, bias, *geometry):
    out = np.einsum("ndhwcxyz,xyzcm->ndhwcm", windows(x, weights.shape[:3], *geometry), weights)
    return out.reshape(*out.shape[:4], out.shape[4] * out.shape[5]) + bias


def numpy_conv_transpose(x, weights, bias, strides, dilation, crop_before, out_lengths):
    """Put zeros between the inputs, then slide the flipped kernel over every place where it touches one."""
    batch, *lengths, channels = x.shape
    spread = np.zeros((batch, *((n - 1) * s + 1 for n, s in zip(lengths, strides, strict=True)), channels))
    spread[:, :: strides[0], :: strides[1], :: strides[2]] = x
    flipped = weights[::-1, ::-1, ::-1].swapaxes(3, 4)
    reach = tuple((k - 1) * d for k, d in zip(weights.shape, dilation, strict=False))
    full = numpy_conv(spread, flipped, np.zeros(weights.shape[3]), ONES, dilation, reach, reach)
    kept = full[(slice(None), *(slice(b, b + o) for b, o in zip(crop_before, out_lengths, strict=True)))]
    tail = tuple(o - n for o, n in zip(out_lengths, kept.shape[1:4], strict=True))
    return pad_spatially(kept, ZEROS, tail) + bias


# --- conv, by hand


def test_conv_with_a_single_one_is_the_identity():
    assert conv_line([3, 1, 4, 1, 5], [1]) == [3, 1, 4, 1, 5]


def test_conv_adds_the_bias_once():
    # 1+2 + 10, 2+3 + 10
    assert conv_line([1, 2, 3], [1, 1], bias=10.0) == [13, 15]


def test_conv_moving_sum():
    # 1+2+3, 2+3+4, 3+4+5, 4+5+6
    assert conv_line([1, 2, 3, 4, 5, 6], [1, 1, 1]) == [6, 9, 12, 15]
    # every second one of them; no window fits after the third value is passed
    assert conv_line([1, 2, 3, 4, 5, 6], [1, 1, 1], stride=2) == [6, 12]


def test_conv_does_not_flip_the_kernel():
    # 1*1 + 10*2, 1*2 + 10*3
    assert conv_line([1, 2, 3], [1, 10]) == [21, 32]


def test_conv_dilation_leaves_gaps_between_taps():
    # 1 + 10*3 + 100*5, 2 + 10*4 + 100*6
    assert conv_line([1, 2, 3, 4, 5, 6], [1, 10, 100], dilation=2) == [531, 642]


def test_conv_stride_and_dilation_together():
    # windows begin at 0 and 3: 1 + 10*3, 4 + 10*6
    assert conv_line([1, 2, 3, 4, 5, 6], [1, 10], stride=3, dilation=2) == [31, 64]


def test_conv_same_padding_of_an_even_kernel_goes_behind():
    # total padding 1: none in front, one behind. 1 + 10*2, 2 + 10*3, 3 + 10*0
    assert conv_line([1, 2, 3], [1, 10], before=0, after=1) == [21, 32, 3]
    # total padding 3, one in front and two behind: 10*1 + 100*2 + 1000*3, 1 + 10*2 + 100*3, 2 + 10*3
    assert conv_line([1, 2, 3], [1, 10, 100, 1000], before=1, after=2) == [3210, 321, 32]


def test_conv_same_padding_depends_on_the_stride():
    # n = 4, k = 3, s = 2: total (2-1)*2 + 3 - 4 = 1, behind. 1+2+3, 3+4
    assert conv_line([1, 2, 3, 4], [1, 1, 1], stride=2, before=0, after=1) == [6, 7]


def test_causal_conv_sees_no_future():
    # k = 2, d = 2: two zeros in front. 10*1, 10*2, 1 + 10*3, 2 + 10*4
    assert conv_line([1, 2, 3, 4], [1, 10], dilation=2, before=2) == [10, 20, 31, 42]


def test_conv_window_of_padding_alone_gives_the_bias():
    # one of the windows over 0 0 5 0 0 sees the 5
    assert conv_line([5], [1], before=2, after=2, bias=7.0) == [7, 7, 12, 7, 7]


def test_conv_mixes_channels():
    # two channels in, three out: their sum, their difference, and ten times the second
    x = np.array([[1.0, 2.0], [3.0, 5.0]]).reshape(1, 1, 1, 2, 2)
    weights = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 10.0]]).reshape(1, 1, 1, 2, 3)
    out = reference.conv(x, weights, np.zeros(3), ONES, ONES, ZEROS, ZEROS)
    assert out[0, 0, 0].tolist() == [[3, -1, 20], [8, -2, 50]]


def test_conv_in_groups():
    # channels 2, 3 meet filters (1, 10) and (100, 1000), channels 4, 5 meet (5, 6) and (7, 8)
    x = np.array([2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 1, 1, 4)
    weights = np.array([[1.0, 100.0, 5.0, 7.0], [10.0, 1000.0, 6.0, 8.0]]).reshape(1, 1, 1, 2, 4)
    out = reference.conv(x, weights, np.array([0.0, 0.0, 0.0, 1.0]), ONES, ONES, ZEROS, ZEROS)
    assert out.ravel().tolist() == [32, 3200, 50, 69]


@every_case
@pytest.mark.parametrize("groups", [2, 3])
def test_groups_are_convolutions_side_by_side(case, groups):
    shape, kernel, filters, *geometry = case
    parts = [
        [whole_numbers(s, seed) for s in (shape, (*kernel, shape[-1], filters), (filters,))] for seed in range(groups)
    ]
    x, weights, bias = (np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True))
    side_by_side = np.concatenate([reference.conv(*part, *geometry) for part in parts], axis=-1)
    np.testing.assert_array_equal(reference.conv(x, weights, bias, *geometry), side_by_side)


def test_conv_two_dimensions():
    # 1 2 3      1 10       1 + 20 + 400 + 5000,  2 + 30 + 500 + 6000
    # 4 5 6  by  100 1000:  4 + 50 + 700 + 8000,  5 + 60 + 800 + 9000
    # 7 8 9
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3, 1)
    weights = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 2, 2, 1, 1)
    out = reference.conv(x, weights, np.zeros(1), ONES, ONES, ZEROS, ZEROS)
    assert out[0, 0, :, :, 0].tolist() == [[5421, 6532], [8754, 9865]]


def test_conv_three_dimensions():
    # 0..7 in a cube of side 2: the one window sums all of them, 0+1+...+7 = 28
    x = np.arange(8.0).reshape(1, 2, 2, 2, 1)
    assert reference.conv(x, np.ones((2, 2, 2, 1, 1)), np.zeros(1), ONES, ONES, ZEROS, ZEROS).tolist() == [[[[[28]]]]]
    # a kernel that is 2 deep and 1 wide adds the two slices: 0+4, 1+5, 2+6, 3+7
    deep = reference.conv(x, np.ones((2, 1, 1, 1, 1)), np.zeros(1), ONES, ONES, ZEROS, ZEROS)
    assert deep.ravel().tolist() == [4, 6, 8, 10]


# --- depthwise and separable, by hand


def test_depthwise_output_channel_is_c_times_multiplier_plus_m():
    # channel 0 holds 2, channel 1 holds 3; kernels 1, 10 for the first and 100, 1000 for the second
    x = np.array([2.0, 3.0]).reshape(1, 1, 1, 1, 2)
    weights = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 1, 1, 2, 2)
    bias = np.array([0.1, 0.2, 0.3, 0.4])
    out = reference.depthwise_conv(x, weights, bias, ONES, ONES, ZEROS, ZEROS)
    assert out.ravel().tolist() == [2.1, 20.2, 300.3, 3000.4]


def test_depthwise_stride_and_dilation_together():
    # windows begin at 0 and 3: 1 + 10*3, 4 + 10*6
    x = line([1, 2, 3, 4, 5, 6])
    out = reference.depthwise_conv(x, taps([1, 10]), np.zeros(1), (1, 1, 3), (1, 1, 2), ZEROS, ZEROS)
    assert out.ravel().tolist() == [31, 64]


def test_separable_filters_then_mixes_and_adds_one_bias():
    # channels [1 2 3] and [10 20 30]; depthwise: sum of neighbours [3 5], difference right - left [10 10]
    # pointwise 2 and 1, bias 100: 2*3 + 10 + 100, 2*5 + 10 + 100
    x = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]).reshape(1, 1, 1, 3, 2)
    depthwise = np.array([[1.0, -1.0], [1.0, 1.0]]).reshape(1, 1, 2, 2, 1)
    pointwise = np.array([2.0, 1.0]).reshape(1, 1, 1, 2, 1)
    out = reference.separable_conv(x, depthwise, pointwise, np.array([100.0]), ONES, ONES, ZEROS, ZEROS)
    assert out.ravel().tolist() == [116, 120]


# --- conv_transpose, by hand


def test_conv_transpose_overlaps_add_up():
    # 1 scatters 1 10 100 from place 0, 2 scatters 2 20 200 from place 1: 1, 10+2, 100+20, 200
    assert transpose_line([1, 2], [1, 10, 100], 4) == [1, 12, 120, 200]
    # from places 0 and 2: 1, 10, 100+2, 20, 200
    assert transpose_line([1, 2], [1, 10, 100], 5, stride=2) == [1, 10, 102, 20, 200]


def test_conv_transpose_stride_beyond_the_kernel_leaves_the_bias():
    # places 0 and 3 are reached; the tail beyond place 3 is not
    assert transpose_line([1, 2], [1], 6, stride=3, bias=0.5) == [1.5, 0.5, 0.5, 2.5, 0.5, 0.5]


def test_conv_transpose_crops_the_front_and_cuts_the_back():
    # of 1, 10, 102, 20, 200: without the first, four; without the first, three
    assert transpose_line([1, 2], [1, 10, 100], 4, stride=2, crop_before=1) == [10, 102, 20, 200]
    assert transpose_line([1, 2], [1, 10, 100], 3, stride=2, crop_before=1) == [10, 102, 20]


def test_conv_transpose_dilation():
    # 1 scatters to places 0 and 2, 2 to places 1 and 3
    assert transpose_line([1, 2], [1, 10], 4, dilation=2) == [1, 2, 10, 20]


def test_conv_transpose_weights_have_outputs_before_inputs():
    # 2 in, 3 out: each output is 1*row[0] + 10*row[1]
    x = np.array([1.0, 10.0]).reshape(1, 1, 1, 1, 2)
    weights = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).reshape(1, 1, 1, 3, 2)
    out = reference.conv_transpose(x, weights, np.zeros(3), ONES, ONES, ZEROS, ONES)
    assert out.ravel().tolist() == [21, 43, 65]


# --- crop, pad, upsample, by hand


def test_crop():
    # a 3 by 4 picture 0..11 without its first row and without its first and its last two columns
    x = np.arange(12.0).reshape(1, 1, 3, 4, 1)
    assert reference.crop(x, (0, 1, 1), (0, 0, 2)).ravel().tolist() == [5, 9]


def test_zero_pad():
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2, 1)
    out = reference.zero_pad(x, (0, 1, 0), (0, 0, 2))
    assert out[0, 0, :, :, 0].tolist() == [[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]]


def test_zero_pad_and_crop_in_three_dimensions():
    x = whole_numbers((2, 2, 3, 4, 2), seed=0)
    before, after = (1, 0, 2), (0, 3, 1)
    padded = reference.zero_pad(x, before, after)
    np.testing.assert_array_equal(padded, pad_spatially(x, before, after))
    np.testing.assert_array_equal(reference.crop(padded, before, after), x)


def test_upsample_nearest():
    assert reference.upsample_nearest(line([1, 2]), (1, 1, 3)).ravel().tolist() == [1, 1, 1, 2, 2, 2]
    x = whole_numbers((2, 2, 3, 2, 2), seed=0)
    repeated = x.repeat(3, axis=1).repeat(2, axis=2).repeat(4, axis=3)
    np.testing.assert_array_equal(reference.upsample_nearest(x, (3, 2, 4)), repeated)


def test_upsample_bilinear_by_two():
    # positions -1/4 (held at 0), 1/4, 3/4, 5/4, 7/4, 9/4, 11/4, 13/4 (held at 3); the value at p is p
    out = reference.upsample_bilinear(line([0, 1, 2, 3]), (1, 1, 2))
    assert out.ravel().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_upsample_bilinear_in_two_dimensions():
    # rows 0 4 / 8 12 by 2 and 1: positions 0, 1/4, 3/4, 1 down, and each column is copied
    x = np.array([[0.0, 4.0], [8.0, 12.0]]).reshape(1, 1, 2, 2, 1)
    down = reference.upsample_bilinear(x, (1, 2, 1))
    assert down[0, 0, :, :, 0].tolist() == [[0, 4], [2, 6], [6, 10], [8, 12]]
    # across as well: between 0 and 4 lie 1 and 3
    both = reference.upsample_bilinear(x, (1, 2, 2))
    assert both[0, 0, :, :, 0].tolist() == [[0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]]


def test_upsample_bilinear_on_every_axis_is_exact_for_a_plane():
    # 100 d + 10 h + w is linear, so interpolation gives the same expression at the held positions
    x = (100 * np.arange(3.0)[:, None, None] + 10 * np.arange(2.0)[:, None] + np.arange(4.0)).reshape(1, 3, 2, 4, 1)
    size = (2, 3, 5)
    at = [np.clip((np.arange(n * s) + 0.5) / s - 0.5, 0, n - 1) for n, s in zip((3, 2, 4), size, strict=True)]
    expected = 100 * at[0][:, None, None] + 10 * at[1][:, None] + at[2]
    np.testing.assert_allclose(reference.upsample_bilinear(x, size)[0, ..., 0], expected, rtol=1e-13, atol=1e-13)


def test_upsample_by_one_copies():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 2))
    np.testing.assert_array_equal(reference.upsample_bilinear(x, ONES), x)
    np.testing.assert_array_equal(reference.upsample_nearest(x, ONES), x)


def test_upsample_of_a_single_position_repeats_it():
    assert reference.upsample_bilinear(line([7]), (1, 1, 3)).ravel().tolist() == [7, 7, 7]


# --- infinities stay where they belong


def test_padding_never_meets_an_infinite_weight():
    # the first window has its infinite tap over the padding: 1*2 + 1*3; the second has it over the 2
    assert conv_line([2, 3, 4], [INF, 1, 1], before=1) == [5, INF]
    out = reference.depthwise_conv(line([2, 3, 4]), taps([INF, 1, 1]), np.zeros(1), ONES, ONES, (0, 0, 1), ZEROS)
    assert out.ravel().tolist() == [5, INF]


def test_infinite_input_beside_padding_spoils_only_the_windows_that_see_it():
    # over 0 inf 2 3 4 0: the first two windows see it, then 2+3+4, 3+4
    assert conv_line([INF, 2, 3, 4], [1, 1, 1], before=1, after=1) == [INF, INF, 9, 7]


def test_conv_transpose_infinite_tap_that_is_cropped_leaves_no_trace():
    # 2 scatters inf, 2 from place 0 and place 0 is cut off
    assert transpose_line([2], [INF, 1], 2, crop_before=1, bias=0.5) == [2.5, 0.5]


def test_upsample_bilinear_weight_zero_meets_no_infinity():
    # by 3 the middle of each cell lies exactly on its input: 1 + 0 * inf must be 1
    out = reference.upsample_bilinear(line([1, INF]), (1, 1, 3))
    assert out.ravel().tolist() == [1, 1, INF, INF, INF, INF]


# --- against NumPy


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 3), (9, 4)])
def test_full_padding_is_numpy_convolve_with_the_kernel_flipped(n, k):
    x, weights = whole_numbers(n, seed=n), whole_numbers(k, seed=k)
    expected = np.convolve(x, weights).tolist()
    assert conv_line(x, weights[::-1], before=k - 1, after=k - 1) == expected
    assert transpose_line(x, weights, n + k - 1) == expected


@every_case
def test_conv_matches_numpy(case):
    shape, kernel, filters, *geometry = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], filters), seed=2)
    bias = whole_numbers(filters, seed=3)
    np.testing.assert_array_equal(reference.conv(x, weights, bias, *geometry), numpy_conv(x, weights, bias, *geometry))


@every_case
def test_depthwise_conv_matches_numpy(case):
    shape, kernel, multiplier, *geometry = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], multiplier), seed=2)
    bias = whole_numbers(shape[-1] * multiplier, seed=3)
    out = reference.depthwise_conv(x, weights, bias, *geometry)
    np.testing.assert_array_equal(out, numpy_depthwise_conv(x, weights, bias, *geometry))


@every_case
def test_separable_conv_matches_numpy(case):
    shape, kernel, multiplier, *geometry = case
    x, depthwise = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], multiplier), seed=2)
    pointwise, bias = whole_numbers((1, 1, 1, shape[-1] * multiplier, 5), seed=3), whole_numbers(5, seed=4)
    expected = numpy_depthwise_conv(x, depthwise, 0, *geometry) @ pointwise[0, 0, 0] + bias
    np.testing.assert_array_equal(reference.separable_conv(x, depthwise, pointwise, bias, *geometry), expected)


@pytest.mark.parametrize("extra", [-1, 0, 2], ids=["cut", "natural", "tail"])
@pytest.mark.parametrize("crop_before", [0, 1])
@every_case
def test_conv_transpose_matches_numpy(case, crop_before, extra):
    shape, kernel, filters, strides, dilation, _, _ = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, filters, shape[-1]), seed=2)
    bias = whole_numbers(filters, seed=3)
    natural = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(shape[1:4], kernel, strides, dilation, strict=True)]
    out_lengths = tuple(max(1, n - crop_before + extra) for n in natural)
    arguments = x, weights, bias, strides, dilation, (crop_before,) * 3, out_lengths
    np.testing.assert_array_equal(reference.conv_transpose(*arguments), numpy_conv_transpose(*arguments))


# --- algebra


@every_case
def test_conv_transpose_is_the_adjoint_of_conv(case):
    shape, kernel, filters, strides, dilation, before, after = case
    x, weights = whole_numbers(shape, seed=1), whole_numbers((*kernel, shape[-1], filters), seed=2)
    out = reference.conv(x, weights, np.zeros(filters), strides, dilation, before, after)
    y = whole_numbers(out.shape, seed=3)
    back = reference.conv_transpose(y, weights, np.zeros(shape[-1]), strides, dilation, before, shape[1:4])
    assert back.shape == x.shape
    assert np.sum(out * y) == np.sum(x * back)


@every_case
def test_conv_is_linear_in_input_and_weights(case):
    shape, kernel, filters, *geometry = case
    x, y = whole_numbers(shape, seed=1), whole_numbers(shape, seed=2)
    weights, others = whole_numbers((2, *kernel, shape[-1], filters), seed=3)

    def conv(x, weights):
        return reference.conv(x, weights, np.zeros(filters), *geometry)

    np.testing.assert_array_equal(conv(2 * x - 3 * y, weights), 2 * conv(x, weights) - 3 * conv(y, weights))
    np.testing.assert_array_equal(conv(x, 2 * weights - 3 * others), 2 * conv(x, weights) - 3 * conv(x, others))
