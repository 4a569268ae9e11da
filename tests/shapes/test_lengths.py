"""Formulas for one axis against brute-force counts of windows and scattered positions."""

import itertools

import pytest
from brute_force import brute_padding, scattered, window_starts
from hypothesis import given
from hypothesis import strategies as st

from numbaconv import shapes

GRID = [
    (n, k, s, d)
    for n, k, s, d in itertools.product(range(1, 13), range(1, 6), range(1, 5), range(1, 4))
    if n <= 8 or (s, d) != (1, 1)
]
CONV_PADDINGS = ["valid", "same", "causal", "full"]


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
