"""Results with channels first: a task's outputs are transposed on their way from a buffer to the planes of channels."""

from ..machine.compiler import compiled
from ..machine.memory import copy
from ..machine.square import transpose_part, transpose_square
from ..machine.vectors import VECTOR_BYTES


@compiled
def plane_at(at, filters, positions):
    """Flat index in (N, F, D, H, W) of what lies at ``at``, with the first filter, in (N, D, H, W, F)."""
    window = at // filters
    return window // positions * filters * positions + window % positions


@compiled(counted=False)
def write_planes(buffer, start, width, count, channels, out, to, positions):
    """``out[to + c*positions + i] = buffer[start + i*width + c]`` for so many windows i and channels c."""
    side = VECTOR_BYTES // out.itemsize
    if 2 * min(count, channels) <= side:
        # The longer loop is the inner one.
        if count < channels:
            for i in range(count):
                for c in range(channels):
                    copy(out, to + c * positions + i, buffer, start + i * width + c, 1)
            return
        for c in range(channels):
            for i in range(count):
                copy(out, to + c * positions + i, buffer, start + i * width + c, 1)
        return
    if count < side or channels < side:
        for c in range(0, channels, side):
            for i in range(0, count, side):
                place, there = start + i * width + c, to + c * positions + i
                transpose_part(buffer, place, width, out, there, positions, count - i, channels - c)
        return
    # The last squares overlap those before them.
    for c in range(0, channels, side):
        c = min(c, channels - side)
        for i in range(0, count, side):
            i = min(i, count - side)
            transpose_square(buffer, start + i * width + c, width, out, to + c * positions + i, positions)


@compiled
def write_windows(buffer, first, width, places, panel, out_at, out):
    """Some of a block's windows, a line of the buffer each, to planes of the output: of whole images, or of one."""
    end = min(places.end, places.count)
    _, filters, positions = out.shape
    of_image, at = min(places.count, positions), places.first
    while at < end:
        count = min(end, (at // of_image + 1) * of_image) - at
        plane, start = plane_at(out_at[at], filters, positions), first + (at - places.first) * width
        write_planes(buffer, start, width, count, panel.count, out, plane + panel.place * positions, positions)
        at += count
