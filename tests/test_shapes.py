"""Shape arithmetic against brute-force counts of windows and scattered positions."""

import itertools
import subprocess
import sys
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import shapes

GRID = [
    (n, k, s, d)
    for n, k, s, d in itertools.product(range(1, 13), range(1, 6), range(1, 5), range(1, 4))
    if n <= 8 or (s, d) != (1, 1)
]
CONV_PADDINGS = ["valid", "same", "causal", "full"]


def brute_padding(n, k, padding, s, d):
    """Zeros on each side, for "same" by TensorFlow's rule as it is worded for a remainder n % s."""
    reach = (k - 1) * d
    if padding == "same":
        total = max(reach + 1 - (n % s or s), 0)
        return total // 2, (total + 1) // 2
    return {"valid": (0, 0), "causal": (reach, 0), "full": (reach, reach)}[padding]


def window_starts(n, k, padding, s, d):
    before, after = brute_padding(n, k, padding, s, d)
    return [start for start in range(-before, n + after, s) if start + (k - 1) * d < n + after]


def scattered(n, k, s, d):
    """Number of positions from the first to the last that n values reach through a transposed kernel."""
    return max(i * s + t * d for i in range(n) for t in range(k)) + 1


# Lengths of one axis


@pytest.mark.parametrize("padding", CONV_PADDINGS)
def test_conv_output_length_counts_the_windows(padding):
    for n, k, s, d in GRID:
        starts = window_starts(n, k, padding, s, d)
        assert max(shapes.conv_output_length(n, k, padding, s, d), 0) == len(starts), (n, k, s, d)


@pytest.mark.parametrize("padding", CONV_PADDINGS)
def test_conv_padding_places_the_first_window(padding):
    for n, k, s, d in GRID:
        assert shapes.conv_padding(n, k, padding, s, d) == brute_padding(n, k, padding, s, d), (n, k, s, d)


def test_conv_output_length_of_too_short_an_input_is_not_positive():
    assert shapes.conv_output_length(2, 5, "valid", 1) == -2
    assert shapes.conv_output_length(2, 3, "valid", 1, 2) == -2


@pytest.mark.parametrize("padding", CONV_PADDINGS)
def test_conv_input_length_is_the_smallest_that_gives_the_output(padding):
    for o, k, s in itertools.product(range(1, 9), range(1, 6), range(1, 5)):
        n = shapes.conv_input_length(o, k, padding, s)
        assert shapes.conv_output_length(n, k, padding, s) == o
        assert shapes.conv_output_length(n - 1, k, padding, s) == o - 1


@given(st.integers(1, 500), st.integers(1, 9), st.sampled_from(CONV_PADDINGS), st.integers(1, 9), st.integers(1, 5))
def test_conv_lengths_round_trip(o, k, padding, s, d):
    span = shapes.dilated_kernel_size(k, d)
    assert shapes.conv_output_length(shapes.conv_input_length(o, span, padding, s), k, padding, s, d) == o


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_same_padding_is_balanced_and_exactly_enough(n, k, s, d):
    before, after = shapes.conv_padding(n, k, "same", s, d)
    assert after - before in (0, 1)
    span, out = shapes.dilated_kernel_size(k, d), shapes.conv_output_length(n, k, "same", s, d)
    assert before + after == 0 or (out - 1) * s + span == n + before + after


def test_deconv_length_without_output_padding():
    for n, k, s, d in GRID:
        covered = scattered(n, k, s, d)
        # "valid" reaches at least to the end of the last stride; "full" undoes the padding on both sides.
        assert shapes.deconv_length(n, s, k, "valid", None, d) == max(covered, n * s)
        assert shapes.deconv_length(n, s, k, "same", None, d) == n * s
        assert shapes.deconv_length(n, s, k, "full", None, d) == covered - 2 * (k - 1) * d


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
def test_deconv_length_with_output_padding(padding):
    for n, k, s, d in GRID:
        cut = {"valid": 0, "same": ((k - 1) * d + 1) // 2, "full": (k - 1) * d}[padding]
        for extra in range(s):
            assert shapes.deconv_length(n, s, k, padding, extra, d) == scattered(n, k, s, d) - 2 * cut + extra


def test_output_padding_zero_is_not_none():
    assert shapes.deconv_length(4, 2, 3, "same", None) == 8
    assert shapes.deconv_length(4, 2, 3, "same", 0) == 7


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_deconv_length_is_an_input_length_of_the_convolution(padding):
    for n, k, s, d in GRID:
        assert shapes.conv_output_length(shapes.deconv_length(n, s, k, padding, None, d), k, padding, s, d) == n


def test_deconv_crop_is_the_padding_of_the_convolution_it_transposes():
    for n, k, s, d in GRID:
        for extra in [None, *range(s)]:
            length = shapes.deconv_length(n, s, k, "same", extra, d)
            if length > 0 and len(window_starts(length, k, "same", s, d)) == n:
                assert shapes.deconv_crop(n, s, k, "same", extra, d) == brute_padding(length, k, "same", s, d)[0]


def test_deconv_crop_of_the_other_paddings():
    for n, k, s, d in GRID:
        assert shapes.deconv_crop(n, s, k, "full", None, d) == (k - 1) * d
        for extra in [None, *range(s)]:
            assert shapes.deconv_crop(n, s, k, "valid", extra, d) == 0


@pytest.mark.parametrize(
    ("arguments", "crop"),
    [
        ((4, 1, 4, "same", None), 1),  # covers 7, keeps 4: 1 from the front, 2 from the end
        ((4, 2, 4, "same", 0), 2),  # covers 10, keeps 6
        ((4, 2, 4, "same", 1), 1),  # covers 10, keeps 7
        ((3, 4, 1, "same", None), 0),  # covers 9, keeps 12: the last 3 are zeros
        ((3, 3, 1, "same", 2), 0),  # covers 7, makes 9
    ],
)
def test_deconv_crop_by_hand(arguments, crop):
    assert shapes.deconv_crop(*arguments) == crop


def test_unknown_lengths_stay_unknown():
    assert shapes.conv_output_length(None, 3, "same", 1) is None
    assert shapes.conv_input_length(None, 3, "same", 1) is None
    assert shapes.deconv_length(None, 2, 3, "same", None) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: shapes.conv_output_length(5, 3, "reflect", 1),
        lambda: shapes.conv_input_length(5, 3, "reflect", 1),
        lambda: shapes.conv_padding(5, 3, "reflect", 1),
        lambda: shapes.deconv_length(5, 1, 3, "causal", None),
        lambda: shapes.deconv_crop(5, 1, 3, "causal", None),
    ],
)
def test_lengths_refuse_unknown_padding(call):
    with pytest.raises(ValueError, match=r"padding must be one of 'valid', 'same'.* got '(reflect|causal)'"):
        call()


# Arguments


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (3, 2, (3, 3)),
        ((3,), 1, (3,)),
        ([1, 2, 3], 3, (1, 2, 3)),
        (np.int64(2), 2, (2, 2)),
        ((np.uint8(2), 5), 2, (2, 5)),
    ],
)
def test_normalize_tuple(value, n, expected):
    result = shapes.normalize_tuple(value, n, "strides")
    assert result == expected
    assert {type(item) for item in result} == {int}


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        True,
        np.True_,
        2.0,
        "2",
        None,
        {1: 2},
        (1,),
        (1, 2, 3),
        (1, 0),
        (1, -1),
        (1, True),
        (1, 2.0),
        (1, None),
        (),
    ],
)
def test_normalize_tuple_refuses(value):
    with pytest.raises(ValueError, match=r"^strides must be a positive integer or a tuple of 2 of them, got ") as error:
        shapes.normalize_tuple(value, 2, "strides")
    assert str(error.value).endswith(repr(value))


def test_normalize_tuple_allows_zero_on_request():
    assert shapes.normalize_tuple((0, 1), 2, "output_padding", allow_zero=True) == (0, 1)
    with pytest.raises(
        ValueError, match="output_padding must be a non-negative integer or a tuple of 1 of them, got -1"
    ):
        shapes.normalize_tuple(-1, 1, "output_padding", allow_zero=True)


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (1, 1, ((1, 1),)),
        ((1, 2), 1, ((1, 2),)),
        (((1, 2),), 1, ((1, 2),)),
        ([[0, 2]], 1, ((0, 2),)),
        (0, 2, ((0, 0), (0, 0))),
        ((1, 2), 2, ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), 2, ((1, 2), (3, 4))),
        ((1, (3, 4)), 2, ((1, 1), (3, 4))),
        ((1, 2, 3), 3, ((1, 1), (2, 2), (3, 3))),
        (np.int32(2), 3, ((2, 2), (2, 2), (2, 2))),
    ],
)
def test_normalize_pairs(value, n, expected):
    assert shapes.normalize_pairs(value, n, "cropping") == expected


@pytest.mark.parametrize(
    ("value", "n"),
    [
        (-1, 2),
        (True, 1),
        (1.0, 2),
        (None, 2),
        ("1", 1),
        ((1,), 1),
        ((1, 2, 3), 1),
        ((1, -2), 1),
        (((1, 2), (3, 4)), 1),
        (((1, 2),), 2),
        (((1, 2), (3, 4, 5)), 2),
        (((1, 2), (3, -4)), 2),
        ((1, 2), 3),
        ((), 1),
        ({"left_pad": 1, "right_pad": 2}, 1),
        ({0: 1, 1: 2}, 2),
    ],
)
def test_normalize_pairs_refuses(value, n):
    with pytest.raises(ValueError, match=r"^padding must be a non-negative integer, .*\(before, after\)") as error:
        shapes.normalize_pairs(value, n, "padding")
    assert str(error.value).endswith(f"got {value!r}")


def test_names_are_case_insensitive():
    assert shapes.normalize_padding("SAME") == "same"
    assert shapes.normalize_data_format("Channels_First") == "channels_first"
    assert shapes.conv_output_length(5, 3, "Causal", 1) == 5
    assert shapes.deconv_crop(5, 1, 3, "VALID", None) == 0


def test_names_refused():
    with pytest.raises(ValueError, match="padding must be one of 'valid', 'same', got 'causal'"):
        shapes.normalize_padding("causal", ("valid", "same"))
    with pytest.raises(TypeError, match="padding must be a string, one of 'valid', 'same', 'causal', got 1"):
        shapes.normalize_padding(1)
    with pytest.raises(ValueError, match="data_format must be one of 'channels_last', 'channels_first', got 'NHWC'"):
        shapes.normalize_data_format("NHWC")
    with pytest.raises(TypeError, match=r"data_format must be a string, .* got None"):
        shapes.normalize_data_format(None)


# Whole shapes


@pytest.mark.parametrize(
    ("function", "input_shape", "arguments", "expected"),
    [
        (shapes.conv_output_shape, (8, 28, 3), (16, 3), (8, 26, 16)),
        (shapes.conv_output_shape, (8, 28, 3), (16, 3, 2, "causal"), (8, 14, 16)),
        (shapes.conv_output_shape, (None, 28, None, None), (16, (3, 5), 2, "same"), (None, 14, None, 16)),
        (shapes.conv_output_shape, (8, 28, 20, 3), (16, (3, 5), (2, 1), "valid", (2, 3)), (8, 12, 8, 16)),
        (shapes.conv_output_shape, [0, 9, 8, 7, 3], (16, np.int64(3)), (0, 7, 6, 5, 16)),
        (shapes.depthwise_conv_output_shape, (8, 28, 20, 3), (3, 2, "SAME", 4), (8, 14, 10, 12)),
        (shapes.depthwise_conv_output_shape, (8, 28, 20, None), (3, 1, "valid", 4, 2), (8, 24, 16, None)),
        (shapes.separable_conv_output_shape, (8, 28, 3), (16, 3, 2, "same"), (8, 14, 16)),
        (shapes.separable_conv_output_shape, (8, 28, 20, 3), (16, 3, 1, "valid", (2, 1)), (8, 24, 18, 16)),
        (shapes.conv_transpose_output_shape, (8, 4, 5, 3), (16, 3, 2), (8, 9, 11, 16)),
        (shapes.conv_transpose_output_shape, (8, 4, None, 3), (16, 3, 2, "same"), (8, 8, None, 16)),
        (shapes.conv_transpose_output_shape, (8, 4, 5, 3), (16, 3, 2, "same", (0, 1)), (8, 7, 10, 16)),
        (shapes.conv_transpose_output_shape, (8, 4, 5, 6, 3), (16, 3, 1, "valid", None, (1, 2, 3)), (8, 6, 9, 12, 16)),
        (shapes.crop_output_shape, (8, 28, 3), ((2, 3),), (8, 23, 3)),
        (shapes.crop_output_shape, (8, 28, None, None), (((2, 3), (4, 5)),), (8, 23, None, None)),
        (shapes.zero_pad_output_shape, (8, 0, 3), (1,), (8, 2, 3)),
        (shapes.zero_pad_output_shape, (None, 4, None, 6, 3), ((1, 2, 3),), (None, 6, None, 12, 3)),
        (shapes.upsample_output_shape, (8, 4, 5, None), ((2, 3),), (8, 8, 15, None)),
    ],
)
def test_output_shapes_in_both_data_formats(function, input_shape, arguments, expected):
    assert function(input_shape, *arguments) == expected
    assert {type(size) for size in function(input_shape, *arguments)} <= {int, type(None)}
    batch, *lengths, channels = input_shape
    first = function((batch, channels, *lengths), *arguments, data_format="channels_first")
    assert first == (expected[0], expected[-1], *expected[1:-1])


@given(st.data())
def test_conv_output_shape_treats_every_axis_alone(data):
    rank = data.draw(st.integers(1, 3))
    axes = [data.draw(st.tuples(*[st.integers(1, top) for top in (40, 4, 4, 3)])) for _ in range(rank)]
    lengths, kernel, strides, dilation = zip(*axes, strict=True)
    expected = [len(window_starts(n, k, "same", s, d)) for n, k, s, d in axes]
    assert shapes.conv_output_shape((2, *lengths, 5), 7, kernel, strides, "same", dilation) == (2, *expected, 7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shapes.conv_output_shape((1, 5, 3), 0, 3), "filters must be a positive integer, got 0"),
        (lambda: shapes.conv_output_shape((1, 5, 3), 2.0, 3), "filters must be a positive integer, got 2.0"),
        (lambda: shapes.conv_output_shape((1, 5, 5, 3), 2, (3,)), r"kernel_size must be .* 2 of them, got \(3,\)"),
        (lambda: shapes.conv_output_shape((1, 5, 5, 3), 2, 3, (1, 0)), r"strides must be .* got \(1, 0\)"),
        (lambda: shapes.conv_output_shape((1, 5, 3), 2, 3, dilation_rate=0), "dilation_rate must be .* got 0"),
        (lambda: shapes.conv_output_shape((1, 5, 3), 2, 3, padding="full"), "one of 'valid', 'same', 'causal', got"),
        (
            lambda: shapes.conv_output_shape((1, 5, 5, 3), 2, 3, padding="causal"),
            "one of 'valid', 'same', got 'causal'",
        ),
        (lambda: shapes.separable_conv_output_shape((1, 5, 3), 2, 3, 1, "causal"), "'valid', 'same', got 'causal'"),
        (lambda: shapes.depthwise_conv_output_shape((1, 5, 5, 3), 3, 1, "causal"), "'valid', 'same', got 'causal'"),
        (lambda: shapes.conv_transpose_output_shape((1, 5, 3), 2, 3, 1, "causal"), "'valid', 'same', got 'causal'"),
        (lambda: shapes.depthwise_conv_output_shape((1, 5, 5, 3), 3, depth_multiplier=0), "depth_multiplier must be"),
        (lambda: shapes.conv_transpose_output_shape((1, 5, 3), 2, 3, 2, output_padding=2), "less than strides"),
        (
            lambda: shapes.conv_transpose_output_shape((1, 5, 5, 3), 2, 3, (2, 1), "same", 1),
            r"less than strides \(2, 1\)",
        ),
        (lambda: shapes.conv_transpose_output_shape((1, 5, 3), 2, 3, 2, output_padding=-1), "output_padding must be"),
        (lambda: shapes.upsample_output_shape((1, 5, 3), 0), "size must be a positive integer"),
        (lambda: shapes.crop_output_shape((1, 5, 3), -1), "cropping must be a non-negative integer"),
        (lambda: shapes.zero_pad_output_shape((1, 5, 3), {}), "padding must be a non-negative integer"),
        (lambda: shapes.upsample_output_shape((5, 3), 2), r"input_shape must be .* got \(5, 3\)"),
        (lambda: shapes.upsample_output_shape((1, 1, 1, 1, 5, 3), 2), "input_shape must be"),
        (lambda: shapes.upsample_output_shape((1, -5, 3), 2), "input_shape must be"),
        (lambda: shapes.upsample_output_shape((1, 5.0, 3), 2), "input_shape must be"),
        (lambda: shapes.upsample_output_shape(5, 2), "input_shape must be"),
        (lambda: shapes.upsample_output_shape((1, 5, 3), 2, "NHWC"), "data_format must be one of"),
    ],
)
def test_output_shapes_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (
            lambda: shapes.conv_output_shape((1, 8, 2, 3), 4, (3, 5), 2, dilation_rate=(1, 2)),
            ["(3, -3)", "(8, 2)", "kernel_size (3, 5)", "strides (2, 2)", "dilation_rate (1, 2)", "padding 'valid'"],
        ),
        (lambda: shapes.conv_output_shape((1, 0, 3), 4, 3, padding="same"), ["(0,)", "padding 'same'"]),
        (lambda: shapes.depthwise_conv_output_shape((1, 2, 8, 3), 3), ["(0, 6)", "(2, 8)", "kernel_size (3, 3)"]),
        (lambda: shapes.separable_conv_output_shape((1, 2, 3), 4, 3), ["(0,)", "(2,)", "kernel_size (3,)"]),
        (
            lambda: shapes.conv_transpose_output_shape((1, 1, 3), 4, 2, 1, "same", 0),
            ["(0,)", "(1,)", "kernel_size (2,)", "strides (1,)", "dilation_rate (1,)", "'same'", "output_padding (0,)"],
        ),
        (lambda: shapes.crop_output_shape((1, 5, 5, 3), ((2, 2), (2, 3))), ["(1, 0)", "(5, 5)", "((2, 2), (2, 3))"]),
        (lambda: shapes.zero_pad_output_shape((1, 0, 3), 0), ["(0,)", "padding ((0, 0),)"]),
        (lambda: shapes.upsample_output_shape((1, 0, 3), 2), ["(0,)", "size (2,)"]),
    ],
)
def test_empty_outputs_are_refused_with_the_numbers(call, named):
    with pytest.raises(ValueError, match="output lengths must be positive") as error:
        call()
    assert [part for part in named if part not in str(error.value)] == []


# Stand-ins for layers: the attributes of the real ones, nothing else


class Conv:
    function = staticmethod(shapes.conv_output_shape)
    data_format = "channels_last"

    def __init__(self, rank, **attributes):
        self.rank = rank
        vars(self).update(attributes)

    def compute_output_shape(self, input_shape):
        return self.function(input_shape, **{k: v for k, v in vars(self).items() if k not in ("rank", "interpolation")})


class Depthwise(Conv):
    function = staticmethod(shapes.depthwise_conv_output_shape)


class Separable(Conv):
    function = staticmethod(shapes.separable_conv_output_shape)

    def compute_output_shape(self, input_shape):
        settings = {k: v for k, v in vars(self).items() if k not in ("rank", "depth_multiplier")}
        return self.function(input_shape, **settings)


class Transpose(Conv):
    function = staticmethod(shapes.conv_transpose_output_shape)


class Crop(Conv):
    function = staticmethod(shapes.crop_output_shape)


class Pad(Conv):
    function = staticmethod(shapes.zero_pad_output_shape)


class Upsample(Conv):
    function = staticmethod(shapes.upsample_output_shape)


def conv(k, s=1, d=1, padding="valid"):
    return Conv(1, filters=1, kernel_size=(k,), strides=(s,), padding=padding, dilation_rate=(d,))


def transpose(k, s=1, d=1, padding="valid", output_padding=None):
    added = None if output_padding is None else (output_padding,)
    settings = {"filters": 1, "kernel_size": (k,), "strides": (s,), "padding": padding, "dilation_rate": (d,)}
    return Transpose(1, output_padding=added, **settings)


def crop(before, after):
    return Crop(1, cropping=((before, after),))


def pad(before, after):
    return Pad(1, padding=((before, after),))


def upsample(factor, interpolation="nearest"):
    return Upsample(1, size=(factor,), interpolation=interpolation)


# Receptive fields


def forward(layer, inputs):
    """Index sets of the stack's input, carried through one layer from each of its inputs to each of its outputs."""
    n = len(inputs)
    if isinstance(layer, Crop):
        (before, after) = layer.cropping[0]
        return inputs[before : n - after]
    if isinstance(layer, Pad):
        (before, after) = layer.padding[0]
        return [set()] * before + inputs + [set()] * after
    if isinstance(layer, Upsample):
        factor = layer.size[0]
        if layer.interpolation == "nearest":
            return [indices for indices in inputs for _ in range(factor)]
        centres = [(j + 0.5) / factor - 0.5 for j in range(n * factor)]
        return [
            set().union(*(indices for i, indices in enumerate(inputs) if abs(i - centre) < 1 - 1e-9))
            for centre in centres
        ]
    k, s, d = layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0]
    if isinstance(layer, Transpose):
        extra = None if layer.output_padding is None else layer.output_padding[0]
        length = shapes.deconv_length(n, s, k, layer.padding, extra, d)
        front = max(scattered(n, k, s, d) - length, 0) // 2 if layer.padding == "same" else 0
        outputs = [set() for _ in range(length)]
        for i, t in itertools.product(range(n), range(k)):
            if 0 <= i * s + t * d - front < length:
                outputs[i * s + t * d - front] |= inputs[i]
        return outputs
    starts = window_starts(n, k, layer.padding, s, d)
    return [set().union(*(inputs[p + t * d] for t in range(k) if 0 <= p + t * d < n)) for p in starts]


STACKS = [
    [conv(1)],
    [conv(3), conv(3)],
    [conv(3, padding="same"), conv(2, 2, padding="same"), conv(4, 3, padding="same")],
    [conv(3, d=2, padding="causal"), conv(2, d=4, padding="causal")],
    [conv(5, 2), pad(3, 1), conv(3, 2, 2), crop(1, 2), conv(2)],
    [upsample(2), conv(2)],
    [upsample(2), conv(3, padding="same"), conv(2, 2)],
    [conv(3, 2, padding="same"), upsample(3), conv(2, 2)],
    [upsample(2, "bilinear"), conv(3)],
    [upsample(3, "bilinear")],
    [upsample(4, "bilinear"), upsample(2, "bilinear")],
    [transpose(3, 2)],
    [transpose(2, 2), conv(2)],
    [transpose(1, 3), conv(2)],
    [transpose(4, 2, padding="same"), conv(3, padding="same")],
    [transpose(3, 3, padding="same", output_padding=1), transpose(3, 2, d=2, padding="same", output_padding=0)],
    [conv(4, 2, padding="same"), transpose(2, 2, d=3), conv(2, d=3)],
    [transpose(1, 2), crop(1, 0), conv(1, 2)],
]


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("n", [120, 125])
def test_receptive_field_is_what_reaches_the_outputs(layers, n):
    reached = [{i} for i in range(n)]
    for layer in layers:
        reached = forward(layer, reached)
    (field,) = shapes.receptive_field(layers, (None, n, 1))
    middle = range(len(reached) // 3, 2 * len(reached) // 3)
    assert field.size == max(max(reached[j]) - min(reached[j]) + 1 if reached[j] else 0 for j in middle)
    period = prod(layer.size[0] for layer in layers if isinstance(layer, Upsample))
    period *= prod(layer.strides[0] for layer in layers if isinstance(layer, Transpose))
    whole = [j for j in middle if j % period == 0]
    expected = [field.start + j * field.stride if field.start is not None else None for j in whole]
    assert [min(reached[j], default=None) for j in whole] == expected


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=6))
def test_receptive_field_of_convolutions_is_the_closed_form(stack):
    size = stride = 1
    for k, s, d in stack:
        size += (k - 1) * d * stride
        stride *= s
    assert shapes.receptive_field([conv(*layer) for layer in stack]) == ((size, stride, 0),)


def test_receptive_field_has_one_entry_for_each_axis():
    settings = {"strides": (1, 2), "padding": "same", "dilation_rate": (1, 1)}
    layers = [
        Conv(2, filters=4, kernel_size=(3, 5), data_format="channels_first", **settings),
        Depthwise(2, kernel_size=(3, 3), depth_multiplier=1, data_format="channels_first", **settings),
        Separable(2, filters=4, kernel_size=(1, 3), depth_multiplier=1, data_format="channels_first", **settings),
    ]
    height, width = shapes.receptive_field(layers, (None, 1, 9, 64))
    assert height == (5, 1, -2)
    assert width == (17, 8, -1)
    assert isinstance(width.stride, Fraction)


def test_receptive_field_of_unknown_lengths_takes_multiples_of_the_stride():
    layers = [conv(3, 2, padding="same")]
    assert shapes.receptive_field(layers) == shapes.receptive_field(layers, (None, 8, 1)) == ((3, 2, 0),)
    assert shapes.receptive_field(layers, (None, 9, 1)) == ((3, 2, -1),)


def test_receptive_field_refuses():
    with pytest.raises(ValueError, match=r"layers must be one or more layers of the same rank"):
        shapes.receptive_field([])
    with pytest.raises(ValueError, match=r"same rank, got .* of ranks \[1, 2\]"):
        shapes.receptive_field([crop(1, 1), Crop(2, cropping=((1, 1), (1, 1)))])
    with pytest.raises(TypeError, match="layer must be a convolutional, cropping, padding or upsampling layer, got <"):
        shapes.receptive_field([object()])


# Explanations

SAME = {"kernel_size": (3, 3), "strides": (1, 2), "padding": "same", "dilation_rate": (1, 1)}
VALID = {"kernel_size": (3, 3), "strides": (2, 2), "padding": "valid", "dilation_rate": (2, 1)}


@pytest.mark.parametrize(
    ("layer", "input_shape", "lines"),
    [
        (
            Conv(2, filters=32, **SAME),
            (8, 28, 1, 3),
            [
                "Conv turns (8, 28, 1, 3) into (8, 28, 1, 32).",
                "height: 28 + 1 zero before + 1 after = 30; a window of 3 (kernel 3, dilation 1) fits at 28 positions"
                " stepping by 1, so 28.",
                "width: 1 + 1 zero before + 1 after = 3; a window of 3 (kernel 3, dilation 1) fits at 1 position"
                " stepping by 2, so 1.",
                "channels: 3 in, 32 filters, so 32 out; batch: 8, unchanged.",
            ],
        ),
        (
            conv(2, 1, 3, "causal"),
            (None, 10, None),
            [
                "Conv turns (None, 10, None) into (None, 10, 1).",
                "steps: 10 + 3 zeros before + 0 after = 13; a window of 4 (kernel 2, dilation 3) fits at 10 positions"
                " stepping by 1, so 10.",
                "channels: unknown in, 1 filter, so 1 out; batch: unknown, unchanged.",
            ],
        ),
        (
            Depthwise(2, depth_multiplier=2, data_format="channels_first", **VALID),
            (8, 3, 28, None),
            [
                "Depthwise turns (8, 3, 28, None) into (8, 6, 12, None).",
                "height: 28, no zeros added; a window of 5 (kernel 3, dilation 2) fits at 12 positions stepping by 2,"
                " so 12.",
                "width: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 2 with 'valid' fits at"
                " (n - 2) / 2, rounded up.",
                "channels: 3 * depth_multiplier 2 = 6; batch: 8, unchanged.",
            ],
        ),
        (
            Separable(2, filters=5, depth_multiplier=2, **SAME),
            (8, None, None, 3),
            [
                "Separable turns (8, None, None, 3) into (8, None, None, 5).",
                "height: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 1 with 'same' fits at n / 1,"
                " rounded up.",
                "width: n, unknown; a window of 3 (kernel 3, dilation 1) stepping by 2 with 'same' fits at n / 2,"
                " rounded up.",
                "channels: 3 * depth_multiplier 2 after the depthwise step, mixed by the pointwise step into 5 filters;"
                " batch: 8, unchanged.",
            ],
        ),
        (
            Transpose(3, filters=5, kernel_size=(3, 3, 1), strides=(2, 1, 3), padding="same", output_padding=None),
            (1, 14, None, 4, 2),
            [
                "Transpose turns (1, 14, None, 4, 2) into (1, 28, None, 12, 5).",
                "depth: 14 values, 2 apart, each spread over a window of 3 (kernel 3, dilation 1), cover 29;"
                " 'same' makes it 28: 0 cut in front, 1 at the end.",
                "height: n, unknown; values 1 apart, each spread over a window of 3 (kernel 3, dilation 1);"
                " 'same' with output_padding None gives n * 1 + 0.",
                "width: 4 values, 3 apart, each spread over a window of 1 (kernel 1, dilation 1), cover 10;"
                " 'same' makes it 12: 0 cut in front, 2 zeros added at the end.",
                "channels: 2 in, 5 filters, so 5 out; batch: 1, unchanged.",
            ],
        ),
        (
            transpose(5, 2, 1, "same", 1),
            (1, 4, 2),
            [
                "Transpose turns (1, 4, 2) into (1, 8, 1).",
                "steps: 4 values, 2 apart, each spread over a window of 5 (kernel 5, dilation 1), cover 11; 11 - 4 for"
                " 'same' + output_padding 1 = 8: 1 cut in front, 2 at the end.",
                "channels: 2 in, 1 filter, so 1 out; batch: 1, unchanged.",
            ],
        ),
        (
            transpose(1, 2, 1, "valid", 0),
            (1, None, 2),
            [
                "Transpose turns (1, None, 2) into (1, None, 1).",
                "steps: n, unknown; values 2 apart, each spread over a window of 1 (kernel 1, dilation 1); 'valid' with"
                " output_padding 0 gives n * 2 - 1.",
                "channels: 2 in, 1 filter, so 1 out; batch: 1, unchanged.",
            ],
        ),
        (
            Crop(2, cropping=((1, 2), (3, 0))),
            (0, 28, None, 3),
            [
                "Crop turns (0, 28, None, 3) into (0, 25, None, 3).",
                "height: 28 - 1 cut before - 2 after = 25.",
                "width: unknown - 3 cut before - 0 after = unknown.",
                "channels: 3, unchanged; batch: 0, unchanged.",
            ],
        ),
        (
            pad(1, 2),
            (None, 4, 3),
            [
                "Pad turns (None, 4, 3) into (None, 7, 3).",
                "steps: 4 + 1 zero before + 2 after = 7.",
                "channels: 3, unchanged; batch: unknown, unchanged.",
            ],
        ),
        (
            Upsample(2, size=(2, 3), interpolation="bilinear"),
            (2, 4, None, 3),
            [
                "Upsample turns (2, 4, None, 3) into (2, 8, None, 3).",
                "height: 4 * size 2 (bilinear interpolation) = 8.",
                "width: unknown * size 3 (bilinear interpolation) = unknown.",
                "channels: 3, unchanged; batch: 2, unchanged.",
            ],
        ),
    ],
)
def test_explain(layer, input_shape, lines):
    assert shapes.explain(layer, input_shape).split("\n") == lines


def test_explain_refuses():
    with pytest.raises(ValueError, match=r"input_shape must have 3 entries for Crop, got \(1, 5, 5, 3\)"):
        shapes.explain(crop(1, 1), (1, 5, 5, 3))
    with pytest.raises(ValueError, match="output lengths must be positive"):
        shapes.explain(crop(1, 1), (1, 2, 3))
    with pytest.raises(TypeError, match="layer must be a convolutional"):
        shapes.explain(object(), (1, 2, 3))


def test_importing_shapes_loads_neither_numpy_nor_numba():
    program = "import sys, numbaconv.shapes; print(sorted({'numpy', 'numba', 'llvmlite'} & set(sys.modules)))"
    root = Path(shapes.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
