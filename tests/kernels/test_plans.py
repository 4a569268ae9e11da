"""Plans: how the work is cut, and what windows read."""

import itertools
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_cases import any_plan, compiled_call, input_at, make_axes, often, sizes

from numbaconv.calls.window import Window, window_axes
from numbaconv.kernels import strip
from numbaconv.kernels.plan import plans, sums
from numbaconv.kernels.plan.axes import (
    BEFORE,
    BLOCK,
    OUT_STRIDE,
    STEP,
    STRIDE,
    STRIP_DILATION,
    STRIP_STRIDE,
    TAPS,
    Axis,
    D,
    H,
    W,
    mean_taps,
    most_taps,
)
from numbaconv.kernels.plan.host import HOST
from numbaconv.machine import vectors

UNIT = Axis(1, 1, 1, 1, 0, 0)


def assert_tasks_cover_once(made, windows, blocks):
    """Every window of every block of output channels belongs to one task."""
    seen = np.zeros((*windows, blocks), np.int8)
    images, planes, rows, columns = made.axes[:, BLOCK]
    for task in range(made.tasks):
        n, d, h, w, *lengths, part = strip.locate.py_func(task, made.axes)
        group = slice(part * made.group, (part + 1) * made.group)
        place = seen[n : n + images, d : d + planes, h : h + rows, w : w + columns, group]
        place += 1
        assert place.shape[:4] == tuple(lengths)
        assert part * made.group < blocks
    assert (seen == 1).all()


@pytest.mark.slow
@any_plan
@often
def test_tasks_cover_every_window_and_filter_block_once(
    windows, window_settings, channels, filters, itemsize, depthwise
):
    axes = make_axes(windows, window_settings)
    made = plans.make_plan(axes, channels, filters, itemsize, depthwise)
    vecs = vectors.TILE_VECS if depthwise else vectors.conv_tile(itemsize, filters)[1]
    assert_tasks_cover_once(made, windows, -(-filters // vectors.panel_width(itemsize, vecs)))


@pytest.mark.slow
@any_plan
@often
def test_tasks_cover_every_panel_of_every_branch_once(windows, window_settings, channels, filters, itemsize, depthwise):
    made = plans.make_plan(make_axes(windows, window_settings), channels, filters, itemsize, branches=3)
    assert_tasks_cover_once(made, windows, 3 * -(-filters // vectors.conv_width(filters, itemsize)))


@any_plan
@often
def test_tasks_of_a_separable_convolution_cover_every_window_once(
    windows, window_settings, channels, filters, itemsize, depthwise
):
    made = plans.make_separable_plan(make_axes(windows, window_settings), channels, filters, itemsize)
    if made is not None:
        assert_tasks_cover_once(made, windows, 1)
        few = made.axes[H:, BLOCK].prod() < vectors.TILE_ROWS
        assert not (few and channels * filters * itemsize > HOST.l2_bytes)


@given(
    windows=sizes,
    befores=st.tuples(st.integers(-3, 4), st.integers(0, 1)),
    taps=st.sampled_from([3, 5]),
    dilation=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    channels=st.integers(1, 600),
    filters=st.integers(1, 3000),
    itemsize=st.sampled_from([4, 8]),
    threads=st.integers(1, 64),
)
@often
def test_winograd_tasks_cover_every_output_once(windows, befores, taps, dilation, channels, filters, itemsize, threads):
    window_settings = [(1, 1, 1, 0), *((taps, 1, d, before) for d, before in zip(dilation, befores, strict=True))]
    axes = make_axes(windows, window_settings)
    host = HOST._replace(threads=threads)
    (made,), spreads, shares, schemes, tile_height = plans.make_winograd_plan(
        (axes,), channels, filters, itemsize, host=host
    )
    size = {3: 4, 5: 2}[taps]
    assert (shares, *schemes) == (threads, (size, taps), (size, taps))
    patches = (*windows[:2], *(-(-n // size) for n in windows[2:]))
    assert_tasks_cover_once(made, patches, -(-filters // vectors.panel_width(itemsize)))
    for spread in spreads:
        assert_tasks_cover_once(spread, patches, 1)
    narrow = itemsize == 4 and vectors.conv_tile(itemsize, filters)[1] < vectors.TILE_VECS
    assert tile_height in ([vectors.SLIM_ROWS] if narrow else HOST.winograd_rows)
    for axis, d, before in zip((H, W), dilation, befores, strict=True):
        row = made.axes[axis]
        assert (row[TAPS], row[STRIDE], row[BEFORE]) == (6, size * d, before)
        assert row[OUT_STRIDE] == size * axes[axis].out_stride
        # The 6 inputs of each patch lie side by side in the strip.
        block = row[BLOCK]
        assert (row[STEP], row[STRIP_DILATION]) == (d, 1)
        assert block == 1 or row[STRIP_STRIDE] == size
        assert compiled_call(strip.span)(made.axes, axis, block) == size * (block - 1) + 6


@any_plan
@often
def test_strip_positions_are_those_of_the_windows(windows, window_settings, channels, filters, itemsize, depthwise):
    """Tap k of window q lies at strip position q * STRIP_STRIDE + k * STRIP_DILATION, inside their span.

    No strip is longer than what lies between its first and its last position.
    """
    axes = make_axes(windows, window_settings)
    table = plans.make_plan(axes, channels, filters, itemsize, depthwise).axes
    for axis in (D, H, W):
        count, taps, stride, before, _, block, _, strip_stride, strip_dilation, dilation, _ = table[axis].tolist()
        assert dilation == axes[axis].dilation
        for first in range(0, count, block):
            inside = min(block, count - first)
            span = compiled_call(strip.span)(table, axis, inside)
            assert span <= (block - 1) * stride + (taps - 1) * dilation + 1
            for q, k in itertools.product(range(inside), range(taps)):
                at = q * strip_stride + k * strip_dilation
                assert 0 <= at < span
                assert input_at(table[axis], at) == q * stride + k * dilation
            assert table[axis, BEFORE] == before == axes[axis].before


def test_a_plan_for_some_threads_is_the_same_whatever_number_runs(recut, each_thread_count):
    axes = make_axes((2, 1, 60, 60), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    made = []
    for _ in each_thread_count():
        recut({"threads": 6})
        (winograd,), _, *rest = plans.make_winograd_plan((axes,), 64, 64, 4)
        kinds = plans.make_plan(axes, 64, 64, 4), plans.make_separable_plan(axes, 64, 64, 4), winograd
        made.append((*rest, *((one.axes.tolist(), *one[1:]) for one in kinds)))
    assert made[0] == made[-1]


def test_many_threads_get_tasks():
    """Of one image as networks have them, whatever its operation."""
    for size, channels in ((56, 64), (28, 128), (14, 256)):
        axes = make_axes((1, 1, size, size), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
        for threads in (1, 2, 3, 6, 12, 16):
            host = HOST._replace(threads=threads)
            winograd, spreads, *_ = plans.make_winograd_plan((axes,), channels, channels, 4, host=host)
            for plan in (plans.make_plan(axes, channels, channels, 4, host=host), *winograd, *spreads):
                assert plan.tasks >= 0.6 * threads


def test_networks_share_out_what_is_much_to_move():
    # A row times many weights, times few, and channels each of which has few of them.
    row, square = 4 * (UNIT,), make_axes((1, 1, 7, 7), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    host = HOST._replace(threads=2)
    found = [plans.make_plan(row, n, 120, 4, host=host) for n in (480, 48)]
    found.append(plans.make_plan(square, 1, 1024, 4, depthwise=True, host=host))
    assert [plan.tasks > 1 for plan in found] == [True, False, True]
    assert all(plan.serial for plan in found)


def test_blocks_of_a_separable_convolution_leave_room_for_what_is_read_and_written():
    axes = make_axes((1, 1, 147, 147), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    plan = plans.make_separable_plan(axes, 128, 128, 4, host=HOST._replace(threads=2))
    assert plan.axes[H:, BLOCK].prod() * 128 * 4 <= HOST.l2_bytes / 2


def test_a_separable_convolution_takes_two_passes_where_blocks_of_rows_leave_threads_unequal_shares():
    def one_pass(images, size, threads):
        axes = make_axes((images, 1, size, size), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
        return plans.make_separable_plan(axes, 728, 728, 4, host=HOST._replace(threads=threads)) is not None

    # Of 37 rows in blocks of 10 at most, one of two threads has 20; much in between would go far and come from there.
    assert not one_pass(1, 37, 2)
    assert one_pass(1, 37, 1) and one_pass(8, 37, 2) and one_pass(1, 28, 2)


def test_what_several_threads_share_is_transformed_once():
    axes = make_axes((1, 1, 14, 14), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    # Transforms dear enough for vectors of any width.
    hosts = [HOST._replace(threads=n, transform_cost=400) for n in (1, 8)]
    none, (spread,) = (plans.make_winograd_plan((axes,), 256, 256, 4, host=host).spreads for host in hosts)
    assert none == []
    assert spread.tasks == 8
    large = make_axes((1, 1, 1400, 14), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    assert plans.make_winograd_plan((large,), 256, 256, 4, host=hosts[1]).spreads == []


@any_plan
@often
def test_sums_are_cut_for_any_number_of_threads_alike(windows, window_settings, channels, filters, itemsize, depthwise):
    """The order of a sum would change with the cut."""
    axes = make_axes(windows, window_settings)
    rows = vectors.TILE_ROWS * 3
    one, many = (
        sums.make_sum_plan(axes, rows, channels, filters, itemsize, 2 * depthwise, host=HOST._replace(threads=n))
        for n in (1, 64)
    )
    assert one.axes.tobytes() == many.axes.tobytes()
    assert (one.cut[0], one.splits, one.serial) == (many.cut[0], many.splits, many.serial)


def test_many_threads_get_sums():
    """Of gradients of weights as training has them."""
    for batch, size, channels in ((8, 56, 64), (16, 28, 128), (32, 14, 256), (32, 7, 512)):
        axes = make_axes((batch, 1, size, size), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
        for threads in (1, 2, 4, 8, 16, 32):
            host = HOST._replace(threads=threads)
            plan = sums.make_sum_plan(axes, 9 * channels, channels, channels, 4, host=host)
            _, group, pieces = plan.cut
            assert plan.splits * ceil(channels / vectors.panel_width(4)) // group * pieces >= threads


def test_a_tile_of_sums_is_not_cut():
    axes = make_axes((8, 1, 56, 56), [(1, 1, 1, 0), (1, 1, 1, 0), (1, 1, 1, 0)])
    height, _ = vectors.conv_tile(4, 32)
    for tiles in (1, 2):
        plan = sums.make_sum_plan(axes, tiles * height, 3, 32, 4, host=HOST._replace(threads=64))
        assert plan.cut[2] <= tiles


def test_strips_fit_the_cache_where_rows_can_be_cut():
    axes = make_axes((1, 1, 200, 200), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    table = plans.make_plan(axes, 64, 64, 4).axes
    spans = [compiled_call(strip.span)(table, axis, table[axis, BLOCK]) for axis in (H, W)]
    assert spans[0] * spans[1] * 64 * 4 <= 2 * HOST.strip_bytes
    blocks = plans.make_winograd_plan((axes,), 64, 64, 4).plans[0].axes[H:, BLOCK]
    assert blocks.prod() * 36 * 64 * 4 <= HOST.spread_bytes


def test_what_weights_from_l3_cost_decides_whether_those_of_a_task_fit_l2():
    axes = make_axes((1, 1, 100, 100), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    fits = []
    for rows in (1, 10**6):
        host = HOST._replace(l3_rows=rows, l2_bytes=512 * 1024)
        group = plans.make_winograd_plan((axes,), 64, 2000, 4, host=host).plans[0].group
        fits.append(36 * 64 * group * vectors.panel_width(4) * 4 <= host.l2_bytes)
    assert fits == [False, True]


@any_plan
@often
def test_taps_of_a_block_are_counted(windows, window_settings, channels, filters, itemsize, depthwise):
    """The most and the mean of those that read inside an input of so many positions for a block, or step over it."""
    for axis, length in zip(make_axes(windows, window_settings)[1:], windows[1:], strict=True):
        axis = axis._replace(length=length)
        for block in {1, 3, axis.windows}:
            found = []
            for first in range(0, axis.windows, block):
                q = np.arange(first, min(axis.windows, first + block))[:, None]
                at = q * axis.stride - axis.before + np.arange(axis.taps) * axis.dilation
                found.append(((at.max(0) >= 0) & (at.min(0) < length)).sum())
            assert max(found) <= most_taps(axis, block) <= axis.taps
            whole = axis.windows % block == 0
            assert not whole or abs(mean_taps(axis, block) - np.mean(found)) < 1e-9


def test_depthwise_blocks_of_tall_windows_have_several_rows():
    for kernel in ((30, 1), (30, 3)):
        axes = window_axes((1, 256, 256, 32), 32, Window(kernel, (1, 1), "same", (1, 1), "channels_last"))
        rows, columns = plans.make_plan(axes, 1, 32, 4, depthwise=True).axes[2:, BLOCK]
        assert rows >= 16 and columns < 256
