"""Checks of arguments and whole output shapes; the formulas for one axis have a file of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from brute_force import window_starts
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import shapes


def test_importing_shapes_loads_neither_numpy_nor_numba():
    program = "import sys, numbaconv.shapes; print(sorted({'numpy', 'numba', 'llvmlite'} & set(sys.modules)))"
    root = Path(shapes.__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


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
        (shapes.pool_output_shape, (8, 9, 3), (), (8, 4, 3)),
        (shapes.pool_output_shape, (None, 9, None, 3), ((3, 2), None, "SAME"), (None, 3, None, 3)),
        (shapes.pool_output_shape, (8, 9, 7, 6, None), (3, (1, 2, 4), "valid"), (8, 7, 3, 1, None)),
        (shapes.pool_output_shape, (8, 2, 3, 3), (5, 1, "same"), (8, 2, 3, 3)),
        (shapes.global_pool_output_shape, (None, None, 4, 5, 3), (True,), (None, 1, 1, 1, 3)),
    ],
)
def test_output_shapes_in_both_data_formats(function, input_shape, arguments, expected):
    assert function(input_shape, *arguments) == expected
    assert {type(size) for size in function(input_shape, *arguments)} <= {int, type(None)}
    batch, *lengths, channels = input_shape
    first = function((batch, channels, *lengths), *arguments, data_format="channels_first")
    assert first == (expected[0], expected[-1], *expected[1:-1])


@pytest.mark.parametrize("lengths", [(7,), (None, 7), (1, 2, 3)])
def test_global_pooling_drops_the_spatial_axes(lengths):
    assert shapes.global_pool_output_shape((2, *lengths, None)) == (2, None)
    assert shapes.global_pool_output_shape((None, 3, *lengths), False, "channels_first") == (None, 3)


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
        (lambda: shapes.pool_output_shape((1, 5, 5, 3), (2, 0)), r"pool_size must be .* 2 of them, got \(2, 0\)"),
        (lambda: shapes.pool_output_shape((1, 5, 3), 2, 1.0), "strides must be .* got 1.0"),
        (lambda: shapes.pool_output_shape((1, 5, 3), 2, 1, "causal"), "'valid', 'same', got 'causal'"),
        (lambda: shapes.global_pool_output_shape((1, 5, 0, 3)), r"input lengths must be positive, got \(5, 0\)"),
        (lambda: shapes.global_pool_output_shape((1, 5)), r"input_shape must be .* got \(1, 5\)"),
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
        (
            lambda: shapes.pool_output_shape((1, 2, 8, 3), 3, 1),
            ["(0, 6)", "(2, 8)", "pool_size (3, 3)", "strides (1, 1)", "padding 'valid'"],
        ),
    ],
)
def test_empty_outputs_are_refused_with_the_numbers(call, named):
    with pytest.raises(ValueError, match="output lengths must be positive") as error:
        call()
    assert [part for part in named if part not in str(error.value)] == []
