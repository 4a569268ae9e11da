"""Channels first: planes of few channels, and windows far apart, give what channels last give."""

import numpy as np
import pytest
from cases import assert_close

from numbaconv import functional
from numbaconv.calls.conv import conv_call
from numbaconv.calls.layouts import swapped
from numbaconv.calls.planes import PlanesCall
from numbaconv.calls.window import window_of
from numbaconv.machine.vectors import VECTOR_BYTES

by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@by_dtype
@pytest.mark.parametrize("batch", [1, 3])
def test_axes_of_any_length_are_swapped(batch, dtype, poisoned):
    side = VECTOR_BYTES // np.dtype(dtype).itemsize
    for few in range(2, side + 3):
        for many in (2, side - 1, side + 1, 3 * side + 5, 2000):
            x = np.random.default_rng(0).standard_normal((batch, few, many)).astype(dtype)
            for one in (x, np.ascontiguousarray(x.mT)):
                np.testing.assert_array_equal(swapped(one), one.mT)


@by_dtype
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 2, 10, 20])
def test_convolutions_of_windows_apart(channels, step, padding, dtype, poisoned):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 31, 45, channels)).astype(dtype)
    planes = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    settings = {"strides": step, "padding": padding}
    for function, shape in ((functional.conv, (3, 2, channels, 5)), (functional.depthwise_conv, (2, 3, channels, 1))):
        weights = rng.standard_normal(shape).astype(dtype)
        found = function(planes, weights, **settings, data_format="channels_first")
        assert_close(np.moveaxis(found, 1, -1), function(x, weights, **settings))


@pytest.mark.parametrize("operation", ["depthwise_conv", "conv"])
def test_windows_of_many_rows(operation, poisoned):
    # Blocks of parts of several rows were written as if these followed each other.
    rng, filters = np.random.default_rng(3), 64 if operation == "conv" else 1
    x, weights = (rng.standard_normal(shape).astype("float32") for shape in ((1, 60, 60, 64), (9, 1, 64, filters)))
    function, planes = getattr(functional, operation), np.ascontiguousarray(np.moveaxis(x, -1, 1))
    found = function(planes, weights, padding="same", data_format="channels_first")
    assert_close(np.moveaxis(found, 1, -1), function(x, weights, padding="same"))


@by_dtype
@pytest.mark.parametrize("positions", [5, 38, 300])
@pytest.mark.parametrize("branches", [1, 3])
def test_pixels_in_branches(branches, positions, dtype, poisoned):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, positions, branches * 5)).astype(dtype)
    weights, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((1, 5, branches * 3), branches * 3))
    planes = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    found = functional.conv(planes, weights, bias, data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(found, 1, -1), functional.conv(x, weights, bias))


def test_few_filters_of_branches_are_summed_up_plane_by_plane():
    # A plane for each channel was copied by itself: it took 13 times as long.
    def is_by_planes(channels, filters, positions):
        window, weights = window_of((1,), data_format="channels_first"), (1, channels, 3 * filters)
        return isinstance(conv_call((192, 3 * channels, positions), weights, 4, window), PlanesCall)

    assert is_by_planes(43, 2, 38)
    assert is_by_planes(43, 8, 300)
    assert not is_by_planes(43, 16, 4)
    assert not is_by_planes(43, 43, 38)


def test_few_channels_of_many_pixels_are_swapped_before():
    # Values were copied one by one, which took twice as long.
    def reads_planes(filters, stride):
        window = window_of((3, 3), strides=stride, padding="same", data_format="channels_first")
        return conv_call((4, 2, 224, 224), (3, 3, 2, filters), 4, window).to_planes

    assert not reads_planes(16, 3)
    assert reads_planes(64, 1)
