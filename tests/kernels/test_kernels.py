"""The parts of the kernels by themselves: packed weights, strips and places."""

import itertools

import numpy as np
import pytest
from plan_cases import compiled_call, input_at, make_axes, table_of

from numbaconv.kernels import depthwise, pack, planes, recipe, records, strip
from numbaconv.kernels.plan.axes import (
    STRIP_DILATION,
    STRIP_STRIDE,
    Axis,
    H,
    W,
)
from numbaconv.kernels.planes import transpose
from numbaconv.kernels.table import COUNT, PANELS
from numbaconv.machine import aligned, peak, vectors

UNIT = Axis(1, 1, 1, 1, 0, 0)

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
    x = np.random.default_rng(1).standard_normal((2, *lengths, 3), np.float32)
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
        yield table, x, records.Block(1, d, h, w, 1, 1, rows, columns, 0), wanted, values[0], there


def whole_strip(array, start, shape):
    """The record of a strip of one image in ``array``."""
    planes, rows, columns, channels = shape
    inside, none = records.Inside(0, planes, 0, rows, 0, columns), records.Inside(0, 0, 0, 0, 0, 0)
    plane, row = rows * columns * channels, columns * channels
    return records.Source(array, start, 0, plane, row, channels, inside, 0, 0, 0, none)


def test_helpers_refuse_a_call_from_python():
    with pytest.raises(TypeError, match="locate exists in compiled code only"):
        strip.locate(0, np.zeros((4, 11), np.int64))


@by_block
@by_channels
@by_strip
def test_strip_is_the_padded_image(lengths, window_settings, channel, channels, repeat, block):
    for table, x, place, wanted, *_ in strip_blocks(lengths, window_settings, channel, channels, repeat, block):
        out = np.full((1, 1, 1, 1, wanted.size + 5), np.nan, np.float32)
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
        out = np.full((1, 1, 1, 1, wanted.size + spare + 5), np.nan, np.float32)
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
        block, read = records.Block(n, 0, 0, 0, 1, 1, 4, width, 0), records.Channels(0, channels, 1)
        target = whole_strip(out, 0, (1, *wanted.shape))
        compiled_call(strip.fill_strip)(target, x[..., None], block, table, read)
        np.testing.assert_array_equal(out.reshape(-1)[: wanted.size].reshape(wanted.shape), wanted)
        assert np.isnan(out[..., -5:]).all()


@pytest.mark.parametrize("channel", [0, 16, 21])
def test_strip_of_some_planes(channel):
    axes = make_axes((1, 1, 1, 20), [(1, 1, 1, 0), (1, 1, 1, 0), (1, 1, 1, 0)])
    table = table_of(axes, (1, 1, 1, 20))
    x = np.random.default_rng(3).standard_normal((1, 40, 1, 1, 20), np.float32)
    out = np.full((1, 1, 1, 1, (20 + strip.OVERHANG) * 19), np.nan, np.float32)
    block, read = records.Block(0, 0, 0, 0, 1, 1, 1, 20, 0), records.Channels(channel, 19, 1)
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


@pytest.mark.parametrize("channels", [vectors.LINE, vectors.LINE + 3])
def test_channels_that_fill_no_panel_are_read_from_the_image_unless_it_ends(channels):
    """Three taps of neighbours, in blocks of a row; of the last, vectors would read past the end of the array."""
    axes = make_axes((2, 1, 4, 20), [(1, 1, 1, 0), (3, 1, 1, 1), (3, 1, 1, 1)])
    x = np.zeros((2, 1, 4, 20, channels), np.float32)
    width = vectors.panel_width(4)
    weights = np.zeros((1, 1, 3, 3, width), np.float32)
    plan = np.vstack([table_of(axes, (1, 1, 1, 20)), np.zeros((2, 11), np.int64)])
    plan[PANELS, COUNT] = channels
    panels = records.Panels(weights, plan, PANELS, 0, 1)
    whole = channels % vectors.LINE == 0
    for n, h in itertools.product(range(2), range(4)):
        block = records.Block(n, 0, h, 0, 1, 1, 1, 20, 0)
        source = records.Source(*compiled_call(depthwise.input_of_panels)(x, block, plan, panels, (0,)))
        assert (source.array is x) == (whole or (n, h) < (1, 2))
        # A row is copied at once.
        assert source.column == channels


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


# A source of which only the steps from row to row and from column to column matter.
NOTHING = records.Inside(0, 0, 0, 0, 0, 0)
STEPS = records.Source(np.empty((1, 1, 1, 1, 1)), 0, 0, 0, 1000, 7, NOTHING, 0, 0, 0, NOTHING)


def test_places_repeat_the_last_window():
    axes = make_axes((2, 3, 4, 5), [(2, 1, 1, 0), (3, 2, 1, 0), (3, 1, 1, 0)])
    table = table_of(axes, (1, 1, 4, 5))
    found = compiled_call(strip.places_of)(records.Block(1, 2, 0, 0, 1, 1, 4, 5, 0), table, STEPS, 14)
    first, end, count, x_at, out_at = found
    assert (first, end, count) == (0, 28, 20)
    h, w = np.divmod(np.minimum(np.arange(28), 19), 5)
    np.testing.assert_array_equal(x_at[:28], h * 2 * 1000 + w * 7)
    np.testing.assert_array_equal(out_at[:28], ((1 * 3 + 2) * 4 + h) * 5 + w)


def test_places_of_part_of_a_block():
    axes = make_axes((2, 3, 9, 8), [(2, 1, 1, 0), (3, 1, 1, 0), (3, 3, 1, 0)])
    table = table_of(axes, (1, 1, 4, 5))
    found = compiled_call(strip.places_of)(records.Block(1, 2, 8, 5, 1, 1, 1, 3, 0), table, STEPS, 8)
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
    starts, at, share = recipe.between(length, size)
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
