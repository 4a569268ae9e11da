"""Transposed convolution, which is the input gradient of a convolution, cut into plain convolutions.

Scattering every input value through the kernel would have tasks write to the same outputs. Seen from the output, the
positions that lie a stride apart (a phase) all gather with the same taps, and gathering is what `kernels.conv` does.
"""

from itertools import product
from math import gcd

from ..objects.tuples import NamedTuple
from .plan.axes import Axis


class Phase(NamedTuple):
    """Along one axis, the outputs ``offset + q*stride``: a convolution with the taps ``first``, ``first + step`` ..."""

    offset: int
    first: int
    axis: Axis


def phases(length, out_length, taps, stride, dilation, crop, out_stride):
    """Cut one axis of a transposed convolution into its phases.

    Input i meets output o through tap k where ``i*stride + k*dilation - crop == o``. With g the greatest common divisor
    of stride and dilation, the taps that meet one output are stride/g apart, and the inputs dilation/g. Positions of
    the output are ``out_stride`` elements apart. Only phases count whose outputs some tap reaches.
    """
    both = gcd(stride, dilation)
    step, gap = stride // both, dilation // both
    result = []
    firsts = range(min(taps, step))
    if out_length < len(firsts):
        # Few outputs tell sooner which taps they meet.
        met = ((o + crop) // both * pow(gap, -1, step) % step for o in range(out_length) if (o + crop) % both == 0)
        firsts = sorted(first for first in met if first < taps)
    for first in firsts:
        offset = (first * dilation - crop) % stride
        if offset < out_length:
            count = len(range(first, taps, step))
            nearest = (offset + crop - first * dilation) // stride
            windows = len(range(offset, out_length, stride))
            axis = Axis(windows, count, 1, gap, (count - 1) * gap - nearest, stride * out_stride, length)
            result.append(Phase(offset, first, axis))
    return result


def convolutions(x_shape, out_shape, out_steps, taps, strides, dilation, crops):
    """All phases of a transposed convolution, those of like geometry together: they read the same input.

    ``out_steps`` are elements of the output between neighbours along D, H and W. With the axes of each convolution
    comes a list of (first taps, flat index of the first output), one for each phase; and whether these convolutions
    write every output: the others are reached by no tap.
    """
    groups, complete = {}, True
    axes = list(zip(x_shape[1:4], out_shape[1:4], taps, strides, dilation, crops, out_steps, strict=True))
    reached = [phases(*axis) for axis in axes]
    for found, (_, out_length, _, stride, *_) in zip(reached, axes, strict=True):
        complete = complete and len(found) == min(stride, out_length)
    for phase in product(*reached):
        origin = sum(p.offset * step for p, step in zip(phase, out_steps, strict=True))
        groups.setdefault(tuple(p.axis for p in phase), []).append((tuple(p.first for p in phase), origin))
    return groups, complete
