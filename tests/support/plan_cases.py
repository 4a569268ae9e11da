"""Axes and plans as hypothesis draws them."""

from functools import cache

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numbaconv.kernels.plan.axes import (
    DILATION,
    RUN,
    STEP,
    Axis,
    axis_table,
)

sizes = st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 80), st.integers(1, 300))
window = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 6))


def table_of(axes, blocks):
    """A plan's table with these blocks."""
    return axis_table(axes, blocks)


def make_axes(windows, window_settings):
    """Axes whose batch has one-tap windows, with the C-contiguous output's strides."""
    strides = np.cumprod([1, *windows[:0:-1]])[::-1].tolist()
    made = [(1, 1, 1, 0), *window_settings]
    return tuple(Axis(n, *w, s) for n, w, s in zip(windows, made, strides, strict=True))


any_plan = given(
    windows=sizes,
    window_settings=st.tuples(window, window, window),
    channels=st.integers(1, 600),
    filters=st.integers(1, 3000),
    itemsize=st.sampled_from([4, 8]),
    depthwise=st.booleans(),
)
often = settings(max_examples=150)


def input_at(row, positions):
    """Input positions from the first strip position of an axis to others."""
    run = row[RUN]
    return positions // run * row[DILATION] + positions % run * row[STEP] if run else positions * row[STEP]


@cache
def compiled_call(helper):
    """A helper, which exists in compiled code only, as a function that Python can call."""
    return numba.njit(lambda *args: helper(*args))
