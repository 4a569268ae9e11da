"""Transposed convolution, which is the input gradient of a convolution: one plain convolution per phase.

Scattering every input value through the kernel would have tasks write to the same outputs. Seen from the output, the
positions that lie a stride apart (a phase) all gather with the same taps, and gathering is what `conv` does.
"""

from itertools import product
from math import gcd
from typing import NamedTuple

from .conv import conv
from .plan import Axis, make_plan, out_strides


class Phase(NamedTuple):
    """Along one axis, the outputs ``offset + q*stride``: a convolution with the taps ``first``, ``first + step`` ...

    ``first`` is None where no input reaches these outputs; otherwise ``axis`` describes the convolution.
    """

    offset: int
    first: int | None
    axis: Axis | None


def phases(length, out_length, taps, stride, dilation, crop, out_stride):
    """Cut one axis of a transposed convolution into its phases.

    Input i meets output o through tap k where ``i*stride + k*dilation - crop == o``. With g the greatest common divisor
    of stride and dilation, the taps that meet one output are stride/g apart, and the inputs dilation/g.

    Parameters
    ----------
    length, out_length, taps, stride, dilation, crop, out_stride : int
        ``crop`` positions of the full scatter lie before the output; ``out_stride`` elements of the output lie between
        neighbouring positions.

    Returns
    -------
    list of Phase
    """
    step, gap = stride // gcd(stride, dilation), dilation // gcd(stride, dilation)
    result = []
    for offset in range(min(stride, out_length)):
        first = next((k for k in range(min(taps, step)) if (offset + crop - k * dilation) % stride == 0), None)
        axis = None
        if first is not None:
            count = len(range(first, taps, step))
            nearest = (offset + crop - first * dilation) // stride
            windows = len(range(offset, out_length, stride))
            axis = Axis(windows, count, 1, gap, (count - 1) * gap - nearest, stride * out_stride)
        result.append(Phase(offset, first, axis))
    return result


def conv_transpose(x, packed, bias, out, taps, strides, dilation, crops):
    """Fill ``out`` with the transposed convolution of ``x``.

    ``out[n, o, f] = bias[f] + sum of x[n, i, c] * weights[k, f, c]`` over channels c and all i, k that meet in o:
    ``i*stride + k*dilation - crop == o`` along each axis.

    Parameters
    ----------
    x : array (N, D, H, W, C)
    packed : dict
        The weights, from `pack_phases`.
    bias : array (blocks * VECS*LANES,)
    out : array (N, D', H', W', F)
        C-contiguous, written in full.
    taps, strides, dilation, crops : tuple of 3 int
    """
    channels, filters = x.shape[4], out.shape[4]
    image, *steps = out_strides(out)
    batch = Axis(x.shape[0], 1, 1, 1, 0, image)
    axes = (
        phases(*axis) for axis in zip(x.shape[1:4], out.shape[1:4], taps, strides, dilation, crops, steps, strict=True)
    )
    for phase in product(*axes):
        if any(p.first is None for p in phase):
            out[(slice(None), *(slice(p.offset, None, s) for p, s in zip(phase, strides, strict=True)))] = bias[
                :filters
            ]
            continue
        origin = sum(p.offset * step for p, step in zip(phase, steps, strict=True))
        plan = make_plan((batch, *(p.axis for p in phase)), channels, filters, x.itemsize)
        conv(
            x,
            packed[tuple(p.first for p in phase)],
            bias,
            out.reshape(-1)[origin:],
            filters,
            *plan.work,
            serial=plan.serial,
        )
