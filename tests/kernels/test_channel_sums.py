"""Sums over everything but the channels: exact where they can be, the same for any number of threads."""

from math import fsum

import numpy as np
import pytest

from numbaconv.kernels.sums import ROW_VALUES, TASK_ROWS, TASK_VALUES, channel_sums, cut, row_width

# Few and many channels; positions with and without a power of two; none, one and many tasks, the last one short.
SHAPES = [(1, 1), (7, 1), (4, 1, 3, 5, 3), (0, 5), (2, 1, 64, 64, 3), (999, 40), (3, 1, 40, 41, 64), (40, 3000)]
by_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@by_shape
def test_sums_of_whole_numbers_are_exact(shape, dtype):
    x = np.random.default_rng(1).integers(-1000, 1000, shape).astype(dtype)
    before = x.copy()
    sums = channel_sums(x)
    assert (sums.dtype, sums.shape) == (np.dtype(dtype), shape[-1:])
    np.testing.assert_array_equal(sums, x.reshape(-1, shape[-1]).sum(0, dtype=np.float64))
    np.testing.assert_array_equal(x, before)


def test_float32_is_added_up_in_float64():
    # In float32, 1e8 swallows every one of the small terms.
    x = np.full((100_001, 2), 0.001, np.float32)
    x[0] = 1e8, -1e8
    wanted = [fsum(column) for column in x.T.astype(float)]
    np.testing.assert_array_equal(channel_sums(x), np.array(wanted, np.float32))


def test_infinities_and_what_overflows():
    x = np.full((5000, 4), 3e38, np.float32)
    x[[0, -1], 0], x[7, 1] = (np.inf, -np.inf), np.nan
    x[1:, 3] = 0
    np.testing.assert_array_equal(channel_sums(x), np.array([np.nan, np.nan, np.inf, 3e38], np.float32))


@by_shape
def test_bits_do_not_depend_on_threads(shape, each_thread_count):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    assert len({channel_sums(x).tobytes() for _ in each_thread_count()}) == 1


@by_shape
def test_rows_are_wide_and_tasks_cover_them(shape):
    positions, channels = int(np.prod(shape[:-1])), shape[-1]
    width, size = row_width(positions, channels), positions * channels
    assert width % channels == 0
    assert ROW_VALUES <= width < max(2 * ROW_VALUES, channels + 1) or width == max(size, channels)
    rows, tasks = cut(size, width)
    assert (tasks - 1) * rows * width < max(1, size) <= tasks * rows * width
    assert rows == TASK_ROWS or TASK_VALUES // 2 < rows * width <= TASK_VALUES
