"""Convolution: forward pass in one, two and three dimensions, and of each phase of a transposed convolution."""

import numpy as np
from numba import prange

from ..machine.compiler import compiled
from ..machine.memory import RAMP, opaque, ramp
from ..machine.tile import FULL, tile_clip, tile_outer, tile_rows, tile_store
from ..machine.vectors import TILE_ROWS, TILE_VECS
from .planes import plane_at, write_planes
from .records import Channels, Epilogue, Places
from .strip import aligned_flat, fill_taps, input_of, locate, pitch_of, places_of
from .table import TASKS, WORK, panel_of, panels_of

# Windows that are summed up before they are transposed: whole tiles and whole squares.
CHUNK = 8 * TILE_ROWS


@compiled(parallel=True)
def conv(x, weights, epilogue, out, vecs, plan):
    """Convolve ``x`` with ``weights`` into ``out``, every task on its own part of the output.

    ``out[n, q, f] = bias[f] + sum over k, c of x[n, q*stride + k*dilation - before, first + c] * weights[k, c, f]`` for
    each window q and tap k of the three spatial axes; outside the image x is 0. ``first`` is the first channel of the
    filter's branch.

    Parameters
    ----------
    x : array (N, D, H, W, C) or, planar, (N, C, D, H, W, 1)
    weights : array (panels, KD, KH, KW, C, VECS*LANES), 64-byte aligned
        The filters in panels as wide as a tile, the last filled up with zeros.
    epilogue : tuple
        The fields of an `Epilogue`.
    out : array (elements,) or, if ``x`` is planar, (N, F, D'*H'*W')
        Written at every window; the plan's strides tell where, for channels last. Nothing needs zeroing.
    vecs : tuple
        As long as a row of the tile has vectors.
    plan : int64 array
        From `flat_plan`.

    Notes
    -----
    Bound by arithmetic from about 32 channels and filters on: a line of weights comes from L2 once per tile, a value
    of the strip from L1 once per tile and tap.
    """
    for task in prange(plan[WORK, TASKS]):
        _conv_task(np.int64(task), x, weights, Epilogue(*epilogue), out, vecs, plan)


@compiled(parallel=True)
def conv_at(x, weights, epilogue, out, vecs, plan, chosen):
    """`conv`, but of all tasks only those whose numbers are listed in ``chosen``."""
    for i in prange(len(chosen)):
        _conv_task(chosen[i], x, weights, Epilogue(*epilogue), out, vecs, plan)


@compiled
def _conv_task(task, x, weights, epilogue, out, vecs, plan):
    _, taps_d, taps_h, taps_w, channels, _ = weights.shape
    block = locate(task, plan)
    panels = panels_of(block, plan, weights)
    first, last = panel_of(panels, panels.first).channel, panel_of(panels, panels.end - 1).channel
    source = input_of(x, block, plan, Channels(first, pitch_of(last - first + channels, x), 1))
    places = places_of(block, plan, source, tile_height(vecs))
    taps = np.empty(taps_d * taps_h * taps_w * channels + 1, np.int64)
    fill_taps(taps, source, plan, channels)
    if out.ndim == 1:
        sum_windows(source.array, places, taps, panels, vecs, epilogue, out)
    else:
        sum_to_planes(source.array, places, taps, panels, vecs, epilogue, out)


@compiled
def tile_height(vecs):
    """Rows of a tile that fills the registers."""
    return TILE_ROWS * TILE_VECS // len(vecs)


@compiled
def sum_windows(source, places, taps, panels, vecs, epilogue, out):
    """Some panels for all windows of a block.

    ``taps`` has what each step of the first panel adds to the place where a window reads the source, and one entry
    more. It is changed where panels of other branches follow, which read other channels.
    """
    panel = panel_of(panels, panels.first)
    for number in range(panels.first, panels.end):
        channel, panel = panel.channel, panel_of(panels, number)
        _move(taps, panel.channel - channel)
        _sum_panel(source, places, taps, panel, vecs, epilogue, out)


@compiled
def _move(taps, channels):
    """Have all steps read other channels, so many further on."""
    if channels:
        for step in range(len(taps)):
            taps[step] += channels


@compiled
def _sum_panel(source, places, taps, panel, vecs, epilogue, out):
    steps, width = len(taps) - 1, panel.weights.shape[5]
    for first in range(places.first, places.end, tile_height(vecs)):
        tile = tile_rows(FULL, vecs, epilogue.bias, panel.first)
        at, shift = panel.number * steps * width, taps[0]
        for step in range(1, steps + 1):
            tile = tile_outer(tile, source, places.x_at, first, shift, panel.weights, at)
            # Read ahead: if all loads of a step waited for its shift, LLVM would do them first, and spill the tile.
            at, shift = at + width, opaque(taps[step])
        tile_store(tile_clip(tile, epilogue.minimum), out, places.out_at, first, panel.place, panel.count)


@compiled
def sum_to_planes(source, places, taps, panels, vecs, epilogue, out):
    """`sum_windows` for windows that are neighbours in an output (N, F, positions).

    They go to the planes of channels by way of a buffer, a chunk at a time, which stays in the L1 cache.
    """
    width, (_, filters, positions) = panels.weights.shape[5], out.shape
    to = plane_at(places.out_at[0], filters, positions)
    buffer, start = aligned_flat(CHUNK * width, source)
    buffer_at = np.empty(places.end + RAMP, np.int64)
    panel = panel_of(panels, panels.first)
    for number in range(panels.first, panels.end):
        channel, panel = panel.channel, panel_of(panels, number)
        _move(taps, panel.channel - channel)
        for begin in range(0, places.end, CHUNK):
            end = min(begin + CHUNK, places.end)
            ramp(buffer_at, begin, start - panel.place, width, end - begin)
            chunk = Places(begin, end, places.count, places.x_at, buffer_at)
            _sum_panel(source, chunk, taps, panel, vecs, epilogue, buffer)
            plane, count = to + panel.place * positions + begin, min(end, places.count) - begin
            write_planes(buffer, start, width, count, panel.count, out, plane, positions)
