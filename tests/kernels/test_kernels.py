"""The parts of the kernels by themselves: plans, packed weights, strips and the compiler's cache."""

import itertools
from functools import cache

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbaconv.kernels import blend, pack, planes, records, strip
from numbaconv.kernels.plan import plans
from numbaconv.kernels.plan.axes import (
    BEFORE,
    BLOCK,
    DILATION,
    OUT_STRIDE,
    RUN,
    STEP,
    STRIDE,
    STRIP_DILATION,
    STRIP_STRIDE,
    TAPS,
    Axis,
    D,
    H,
    W,
    axis_table,
    mean_taps,
    most_taps,
)
from numbaconv.kernels.plan.host import HOST
from numbaconv.kernels.transpose import transpose
from numbaconv.machine import aligned, peak, vectors

UNIT = Axis(1, 1, 1, 1, 0, 0)

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


def assert_tasks_cover_once(made, windows, blocks):
    """Every window of every block of output channels belongs to one task."""
    seen = np.zeros((*windows, blocks), np.int8)
    images, _, rows, columns = made.axes[:, BLOCK]
    for task in range(made.tasks):
        n, d, h, w, *lengths, part = strip.locate.py_func(task, made.axes)
        place = seen[n : n + images, d, h : h + rows, w : w + columns, part * made.group : (part + 1) * made.group]
        place += 1
        assert place.shape[:3] == tuple(lengths)
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
    if channels * filters * itemsize > HOST.l2_bytes:
        assert made is None
    elif made is not None:
        assert_tasks_cover_once(made, windows, 1)


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
    (made,), spreads, shares, scheme, tile_height = plans.make_winograd_plan(
        (axes,), channels, filters, itemsize, host=host
    )
    size = {3: 4, 5: 2}[taps]
    assert (shares, *scheme) == (threads, size, taps)
    patches = (*windows[:2], *(-(-n // size) for n in windows[2:]))
    assert_tasks_cover_once(made, patches, -(-filters // vectors.panel_width(itemsize)))
    for spread in spreads:
        assert_tasks_cover_once(spread, patches, 1)
    assert tile_height in HOST.winograd_rows
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


def input_at(row, positions):
    """Input positions from the first strip position of an axis to others."""
    run = row[RUN]
    return positions // run * row[DILATION] + positions % run * row[STEP] if run else positions * row[STEP]


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
        plans.make_sum_plan(axes, rows, channels, filters, itemsize, depthwise, host=HOST._replace(threads=n))
        for n in (1, 64)
    )
    assert one.axes.tobytes() == many.axes.tobytes()
    assert one[2:] == many[2:]


def test_strips_fit_the_cache_where_rows_can_be_cut():
    axes = make_axes((1, 1, 200, 200), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    table = plans.make_plan(axes, 64, 64, 4).axes
    spans = [compiled_call(strip.span)(table, axis, table[axis, BLOCK]) for axis in (H, W)]
    assert spans[0] * spans[1] * 64 * 4 <= HOST.strip_bytes
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


# Image lengths, and (taps, stride, dilation, before) of the three axes.
STRIPS = {
    "plain": ((1, 6, 7), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)]),
    "strided": ((4, 9, 8), [(2, 2, 1, 1), (3, 2, 1, 1), (2, 3, 1, 0)]),
    "dilated": ((5, 9, 9), [(2, 1, 3, 2), (3, 1, 2, 2), (3, 1, 3, 3)]),
    "dilated by more than the windows": ((5, 17, 30), [(2, 1, 3, 2), (3, 1, 7, 7), (3, 2, 11, 10)]),
    "dilated by more than the image": ((1, 5, 6), [(1, 1, 1, 0), (3, 1, 7, 7), (4, 1, 9, 13)]),
    "common factor": ((1, 17, 19), [(1, 1, 1, 0), (3, 2, 4, 3), (3, 4, 6, 5)]),
    "one tap, strided": ((3, 8, 9), [(1, 3, 1, 0), (1, 2, 1, 0), (1, 4, 1, 0)]),
    "padding beyond the image": ((1, 2, 3), [(1, 1, 1, 0), (2, 1, 1, 5), (3, 1, 1, 9)]),
    "negative padding": ((1, 9, 8), [(1, 1, 1, 0), (2, 1, 1, -2), (2, 2, 1, -3)]),
    "no image at all": ((1, 3, 0), [(1, 1, 1, 0), (2, 1, 1, 1), (2, 1, 1, 1)]),
}


CHANNELS = [(0, 3, 1), (1, 2, 1), (2, 4, 1), (0, 6, 2), (3, 5, 2)]
by_block = pytest.mark.parametrize("block", [1, 2, 5])
by_channels = pytest.mark.parametrize(("channel", "channels", "repeat"), CHANNELS)
by_strip = pytest.mark.parametrize(("lengths", "window_settings"), STRIPS.values(), ids=STRIPS)


def strip_blocks(lengths, window_settings, channel, channels, repeat, block):
    """For each block of 5x5 windows: its table, images and record, the strip that it ought to have, and taps' values.

    Those are what each tap along D, H, W reads for each window along H, W.
    """
    axes = make_axes((2, 2, 5, 5), window_settings)
    table = table_of(axes, (1, 1, block, block))
    x = np.random.default_rng(1).standard_normal((2, *lengths, 3))
    # What the strip holds past the image and past its channels is 0; no window reaches further than this.
    around = max(5 * stride + taps * dilation + abs(before) for taps, stride, dilation, before in window_settings)
    padded = np.pad(np.repeat(x, repeat, axis=4), [(0, 0), *[(around, around)] * 3, (0, channels)])
    for d, h, w in itertools.product(range(2), range(0, 5, block), range(0, 5, block)):
        rows, columns = min(block, 5 - h), min(block, 5 - w)
        spans = [compiled_call(strip.span)(table, *axis) for axis in ((H, rows), (W, columns))]
        shape = (window_settings[0][0], *spans)
        starts = [q * a.stride - a.before + around for q, a in zip((d, h, w), axes[1:], strict=True)]
        index = [s + input_at(row, np.arange(n)) for s, n, row in zip(starts, shape, table[1:], strict=True)]
        block_images = padded[1][..., channel : channel + channels]
        taps = [s + np.arange(a.taps) * a.dilation for s, a in zip(starts, axes[1:], strict=True)]
        read = [np.zeros((1, 1), int), np.arange(rows)[:, None] * axes[H].stride]
        read.append(np.arange(columns)[:, None] * axes[W].stride)
        read = [windows + k for windows, k in zip(read, taps, strict=True)]
        values = block_images[np.ix_(*(r.ravel() for r in read))].reshape(*(n for r in read for n in r.shape), channels)
        wanted = block_images[np.ix_(*index)]
        there = [((r >= around) & (r < around + n)).T for r, n in zip(read, lengths, strict=True)]
        yield table, x, records.Block(1, d, h, w, 1, rows, columns, 0), wanted, values[0], there


def whole_strip(array, start, shape):
    """The record of a strip of one image in ``array``."""
    planes, rows, columns, channels = shape
    inside, none = records.Inside(0, planes, 0, rows, 0, columns), records.Inside(0, 0, 0, 0, 0, 0)
    plane, row = rows * columns * channels, columns * channels
    return records.Source(array, start, 0, plane, row, channels, inside, 0, 0, none)


@cache
def compiled_call(helper):
    """A helper, which exists in compiled code only, as a function that Python can call."""
    return numba.njit(lambda *args: helper(*args))


def test_helpers_refuse_a_call_from_python():
    with pytest.raises(TypeError, match="locate exists in compiled code only"):
        strip.locate(0, np.zeros((4, 11), np.int64))


@by_block
@by_channels
@by_strip
def test_strip_is_the_padded_image(lengths, window_settings, channel, channels, repeat, block):
    for table, x, place, wanted, *_ in strip_blocks(lengths, window_settings, channel, channels, repeat, block):
        out = np.full((1, 1, 1, 1, wanted.size + 5), np.nan)
        target, read = whole_strip(out, 3, wanted.shape), records.Channels(channel, channels, repeat)
        compiled_call(strip.fill_strip)(target, x, place, table, read)
        np.testing.assert_array_equal(out[0, 0, 0, 0, 3:-2].reshape(wanted.shape), wanted)
        assert np.isnan(out[..., [0, 1, 2, -2, -1]]).all()


@by_block
@by_channels
@by_strip
def test_strip_of_planes_is_the_padded_image(lengths, window_settings, channel, channels, repeat, block):
    for table, x, place, wanted, *_ in strip_blocks(lengths, window_settings, channel, channels, repeat, block):
        spare = strip.OVERHANG * wanted.shape[-1]
        out = np.full((1, 1, 1, 1, wanted.size + spare + 5), np.nan)
        planar = np.ascontiguousarray(np.moveaxis(x, -1, 1))[..., None]
        target, read = whole_strip(out, 3, wanted.shape), records.Channels(channel, channels, repeat)
        compiled_call(strip.fill_strip)(target, planar, place, table, read)
        np.testing.assert_array_equal(out[0, 0, 0, 0, 3 : 3 + wanted.size].reshape(wanted.shape), wanted)
        assert np.isnan(out[..., [0, 1, 2, -2, -1]]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [3, 7, 14, 16, 33])
@pytest.mark.parametrize("channels", [16, 37])
def test_strip_of_planes_made_of_squares(width, channels, dtype):
    """Rows longer and shorter than a square; the last pixels of the array, beyond which there is nothing to read."""
    axes = make_axes((2, 1, 4, width), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    table = table_of(axes, (1, 1, 4, width))
    x = np.random.default_rng(3).standard_normal((2, channels, 1, 4, width)).astype(dtype)
    for n in range(2):
        wanted = np.pad(x[n, :, 0], [(0, 0), (1, 1), (1, 1)]).transpose(1, 2, 0)
        out = np.full((1, 1, 1, 1, wanted.size + strip.OVERHANG * channels + 5), np.nan, dtype)
        block, read = records.Block(n, 0, 0, 0, 1, 4, width, 0), records.Channels(0, channels, 1)
        target = whole_strip(out, 0, (1, *wanted.shape))
        compiled_call(strip.fill_strip)(target, x[..., None], block, table, read)
        np.testing.assert_array_equal(out.reshape(-1)[: wanted.size].reshape(wanted.shape), wanted)
        assert np.isnan(out[..., -5:]).all()


@pytest.mark.parametrize("channel", [0, 16, 21])
def test_strip_of_some_planes(channel):
    axes = make_axes((1, 1, 1, 20), [(1, 1, 1, 0), (1, 1, 1, 0), (1, 1, 1, 0)])
    table = table_of(axes, (1, 1, 1, 20))
    x = np.random.default_rng(3).standard_normal((1, 40, 1, 1, 20))
    out = np.full((1, 1, 1, 1, (20 + strip.OVERHANG) * 19), np.nan)
    block, read = records.Block(0, 0, 0, 0, 1, 1, 20, 0), records.Channels(channel, 19, 1)
    compiled_call(strip.fill_strip)(whole_strip(out, 0, (1, 1, 20, 19)), x[..., None], block, table, read)
    np.testing.assert_array_equal(out.reshape(-1)[: 20 * 19].reshape(20, 19), x[0, channel : channel + 19, 0, 0].T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 5, 16, 45])
@pytest.mark.parametrize("channels", [1, 16, 27])
def test_buffers_are_written_to_planes(count, channels, dtype):
    """The window at index 7 of an image of 60 and what follows, from the third filter on; nothing else changes."""
    filters, positions, width = 40, 60, 32
    buffer = np.random.default_rng(4).standard_normal(2 + count * width).astype(dtype)
    out = np.full((2, filters, positions), np.nan, dtype)
    first = compiled_call(planes.plane_at)((positions + 7) * filters, filters, positions)
    to = first + 3 * positions
    compiled_call(planes.write_planes)(buffer, 2, width, count, channels, out.reshape(-1), to, positions)
    wanted = np.full_like(out, np.nan)
    wanted[1, 3 : 3 + channels, 7 : 7 + count] = buffer[2:].reshape(count, width)[:, :channels].T
    np.testing.assert_array_equal(out, wanted)


@by_block
@by_channels
@by_strip
@pytest.mark.parametrize("trimmed", [False, True])
def test_input_is_read_from_the_image_only_where_all_of_it_lies_there(
    lengths, window_settings, channel, channels, repeat, block, trimmed
):
    read = records.Channels(channel, channels, repeat)
    for table, x, place, _, values, there in strip_blocks(lengths, window_settings, channel, channels, repeat, block):
        choose = compiled_call(strip.taps_inside) if trimmed else lambda x, place, table: strip.all_taps.py_func(table)
        taps = records.Inside(*choose(x, place, table))
        made = records.Source(*compiled_call(strip.input_of)(x, place, table, read, taps))
        source = made.array
        kept = [np.arange(*ends) for ends in (taps[:2], taps[2:4], taps[4:])]
        # Taps of which no window reads the image are left out, and only they.
        reaching = [np.flatnonzero(t.any(1)) for t in there]
        assert not trimmed or 0 in lengths or [k.tolist() for k in kept] == [k.tolist() for k in reaching]
        kd, kh, kw = kept
        rows, columns = (np.arange(n) * table[axis, STRIP_STRIDE] for n, axis in ((place.rows, H), (place.columns, W)))
        steps = (kd * made.plane, rows * made.row, kh * made.tap_row, columns * made.column, kw * made.tap_column)
        index = made.start + sum(np.ix_(*steps, np.arange(channels)))
        assert index.min(initial=0) >= 0
        assert index.max(initial=-1) < source.size
        wanted = values[kd][:, :, kh][:, :, :, :, kw]
        np.testing.assert_array_equal(source.reshape(-1)[index], wanted)
        # A copy for nothing would be slow, though right, and so would one that straddles cache lines.
        inside = all(t[k].all() for t, k in zip(there, kept, strict=True))
        assert (source is x) == (inside and repeat == 1 and channel + channels <= 3)
        top, left = taps.top * table[H, STRIP_DILATION], taps.left * table[W, STRIP_DILATION]
        first = made.start + taps.front * made.plane + top * made.row + left * made.column
        assert source is x or (source.ctypes.data + first * source.itemsize) % 64 == 0


def test_both_ways_of_reading_are_tested():
    blocks = (there for case in STRIPS.values() for *_, there in strip_blocks(*case, 0, 3, 1, 2))
    assert {all(t.all() for t in there) for there in blocks} == {True, False}


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


# A source of which only the steps from row to row and from column to column matter.
NOTHING = records.Inside(0, 0, 0, 0, 0, 0)
STEPS = records.Source(np.empty((1, 1, 1, 1, 1)), 0, 0, 0, 1000, 7, NOTHING, 0, 0, NOTHING)


def test_places_repeat_the_last_window():
    axes = make_axes((2, 3, 4, 5), [(2, 1, 1, 0), (3, 2, 1, 0), (3, 1, 1, 0)])
    table = table_of(axes, (1, 1, 4, 5))
    found = compiled_call(strip.places_of)(records.Block(1, 2, 0, 0, 1, 4, 5, 0), table, STEPS, 14)
    first, end, count, x_at, out_at = found
    assert (first, end, count) == (0, 28, 20)
    h, w = np.divmod(np.minimum(np.arange(28), 19), 5)
    np.testing.assert_array_equal(x_at[:28], h * 2 * 1000 + w * 7)
    np.testing.assert_array_equal(out_at[:28], ((1 * 3 + 2) * 4 + h) * 5 + w)


def test_places_of_part_of_a_block():
    axes = make_axes((2, 3, 9, 8), [(2, 1, 1, 0), (3, 1, 1, 0), (3, 3, 1, 0)])
    table = table_of(axes, (1, 1, 4, 5))
    found = compiled_call(strip.places_of)(records.Block(1, 2, 8, 5, 1, 1, 3, 0), table, STEPS, 8)
    first, end, count, x_at, out_at = found
    assert (first, end, count) == (0, 8, 3)
    w = np.minimum(np.arange(8), 2)
    np.testing.assert_array_equal(x_at[:8], w * 3 * 7)
    np.testing.assert_array_equal(out_at[:8], ((1 * 3 + 2) * 9 + 8) * 8 + 5 + w)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", [1, 31, 32, 33, 77])
def test_packed_blocks_hold_the_weights_and_zeros(dtype, filters):
    array = np.random.default_rng(2).standard_normal((32, 3, filters)).astype(dtype)
    packed = pack.pack_panels(array)
    width = vectors.panel_width(array.itemsize)
    assert packed.shape == (-(-filters // width), 32, 3, width)
    assert packed.flags.c_contiguous
    assert packed.ctypes.data % 64 == 0 or packed.size < aligned.SMALL
    flat = np.concatenate(list(packed), axis=-1)
    np.testing.assert_array_equal(flat[..., :filters], array)
    assert (flat[..., filters:] == 0).all()


@pytest.mark.parametrize("shape", [(1,), (3, 5), (7, 1, 2, 3), (aligned.SMALL,), (70, 3, 5)])
def test_aligned_memory(shape):
    made = [aligned.aligned_empty(shape, np.float32) for _ in range(20)]
    assert all(m.shape == shape and m.flags.writeable and m.flags.c_contiguous for m in made)
    assert all(m.ctypes.data % 64 == 0 or m.size < aligned.SMALL for m in made)


def test_depthwise_blocks_order_channels_before_multipliers():
    weights = np.arange(2 * 3 * 4.0).reshape(1, 1, 2, 3, 4)
    flat = np.concatenate(list(pack.pack_depthwise(weights)), axis=-1)
    np.testing.assert_array_equal(flat[0, 0, :, :12][:, ::4], weights[0, 0, :, :, 0])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_neighbours_of_upsampling(length, size):
    starts, at, share = blend.between(length, size)
    position = np.clip((np.arange(length * size) + 0.5) / size - 0.5, 0, length - 1)
    assert at.min() >= 0
    assert at.max() < length
    assert (share > 0).all()
    np.testing.assert_allclose(np.add.reduceat(share, starts[:-1]), 1, rtol=1e-15)
    np.testing.assert_allclose(np.add.reduceat(at * share, starts[:-1]), position, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(2, 1, 40), (3, 40, 2), (1, 16, 16), (2, 17, 45), (2, 50, 31), (0, 20, 20), (2, 0, 9)]
)
@pytest.mark.parametrize("serial", [False, True])
def test_transpose(shape, dtype, serial):
    x = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    out = np.full((shape[0], shape[2], shape[1]), np.nan, dtype)
    transpose(x, out, serial=serial)
    np.testing.assert_array_equal(out, x.swapaxes(1, 2))


def test_peak_is_a_number():
    flops = peak.peak_flops(seconds=0.01)
    assert 0 < flops < float("inf")
