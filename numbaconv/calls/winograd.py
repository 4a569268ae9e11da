"""The call of Winograd's convolution: where it is chosen, its parts, and how doubtful outputs are computed anew."""

from collections.abc import Callable
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from ..kernels.conv import conv_at
from ..kernels.plan.axes import PIECE, WINDOWS, Axis, H, piece_axes
from ..kernels.plan.plans import Plan, make_winograd_plan
from ..kernels.table import flat_plan, panel_table
from ..kernels.winograd.products import conv_winograd
from ..machine import threads
from ..machine.aligned import aligned_empty
from ..machine.vectors import conv_vecs, conv_width
from .epilogue import NO_FLOOR
from .layouts import Ints, canonical, original, planar, planar_result
from .packed import Packed


class WinogradPart(NamedTuple):
    """One phase of the dilation of a convolution by Winograd's algorithm.

    ``origin`` is the flat index of its first output, ``arguments`` are those of the kernel. ``blocks`` (N, D, H, W) of
    ``size`` by ``size`` outputs may be doubtful; ``repair`` has the arguments of the direct kernel, whose tasks are
    pieces of rows of outputs.
    """

    origin: int
    arguments: tuple
    blocks: Ints
    size: int
    repair: tuple

    def pieces(self, doubtful: np.ndarray) -> np.ndarray:
        """Numbers of the pieces of rows that have outputs in doubtful blocks."""
        rows = self.repair[1][H, WINDOWS]
        starts = range(0, self.blocks[3], PIECE // self.size)
        pieces = np.logical_or.reduceat(doubtful.reshape(self.blocks), starts, axis=3)
        return np.flatnonzero(pieces.repeat(self.size, axis=2)[:, :, :rows])


class WinogradCall(NamedTuple):
    """A convolution by Winograd's algorithm, ready for arrays of one shape: one part for each phase of the dilation.

    Outputs of blocks that this algorithm would spoil are computed anew, by the plain sum: a value far above the rest,
    an infinity or a NaN would spread over its block. ``direct`` prepares the plain sum for all of them, for weights
    that are not fit for this algorithm; None computes everything by it, whatever the values.
    """

    out_shape: Ints
    rank: int
    data_format: str
    parts: list[WinogradPart]
    direct: Callable[[], Any] | None

    def __call__(self, x: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        if self.data_format == "channels_first" and len(self.parts) == 1 and self._fits(packed):
            out = planar_result(self.out_shape, self.rank, packed.dtype)
            self._fill(out.reshape(-1), planar(x), packed, bias, floor, self.out_shape[-1])
            return out
        return original(self.run(canonical(x, self.data_format), packed, bias, floor), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, bias: np.ndarray, floor: float = NO_FLOOR) -> np.ndarray:
        """From canonical array to canonical array."""
        if self.direct and not self._fits(packed):
            return self.direct().run(image, packed, bias, floor)
        out = aligned_empty(self.out_shape, packed.dtype)
        self._fill(out.reshape(-1), image, packed, bias, floor, None)
        return out

    def _fits(self, packed: Packed) -> bool:
        return self.direct is None or packed.winograd.limits is not None

    def _fill(
        self, out: np.ndarray, image: np.ndarray, packed: Packed, bias: np.ndarray, floor: float, planar: int | None
    ) -> None:
        limits = packed.winograd.limits if self.direct else (0.0, 0.0, 0.0)
        for part in self.parts:
            doubtful = np.zeros(prod(part.blocks) if self.direct else 0, np.bool_)
            begin = out[part.origin :]
            ways = (*part.arguments, threads.count(), planar)
            conv_winograd(image, packed.winograd.blocks, bias, floor, begin, doubtful, limits, *ways)
            # any() would take longer than the smallest calls can spare.
            if b"\1" in doubtful.tobytes():
                if planar is not None:
                    begin = begin.reshape(image.shape[0], planar, -1)
                conv_at(image, packed.blocks, bias, floor, begin, *part.repair, part.pieces(doubtful))


def use_winograd(algorithm: str, axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> bool:
    """Whether a convolution of so many channels is to run as Winograd's.

    "auto" takes it for float32 where it is faster: enough channels and filters to pay for its transforms, and output
    lengths that its blocks fill by three quarters at least. Its errors were measured for up to 1,024 channels.
    """
    _, depth, height, width = axes
    taps, strides = (height.taps, width.taps), (height.stride, width.stride)
    possible = depth.taps == 1 and taps in ((3, 3), (5, 5)) and strides == (1, 1)
    if algorithm != "auto" or not possible:
        return algorithm == "winograd"
    size = 7 - height.taps
    lengths = (ceil(height.windows / height.dilation), ceil(width.windows / width.dilation))
    blocks = ceil(lengths[0] / size) * ceil(lengths[1] / size)
    filled = 4 * lengths[0] * lengths[1] >= 3 * size**2 * blocks
    few_phases = height.dilation * width.dilation <= 16
    enough = max(axes[0].windows, 1) * blocks >= 8
    return itemsize == 4 and filled and few_phases and enough and 16 <= channels <= 1024 and filters >= 16


def winograd_parts(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> list[WinogradPart]:
    """Each phase of the dilation.

    Outputs that lie the dilation apart read inputs that lie the dilation apart: a convolution without dilation.
    """
    parts = []
    height, width = axes[2:]
    for y in range(min(height.dilation, height.windows)):
        for x in range(min(width.dilation, width.windows)):
            phase = tuple(
                a._replace(
                    windows=len(range(offset, a.windows, a.dilation)),
                    stride=a.dilation,
                    before=a.before - offset,
                    out_stride=a.out_stride * a.dilation,
                )
                for a, offset in ((height, y), (width, x))
            )
            part_axes = (*axes[:2], *phase)
            plan, size, tile = make_winograd_plan(part_axes, channels, filters, itemsize)
            out_shape = (*(axis.windows for axis in part_axes), filters)
            origin = y * height.out_stride + x * width.out_stride
            panels = panel_table(filters, conv_width(filters, itemsize))
            repair = conv_vecs(filters, itemsize), flat_plan(Plan(piece_axes(part_axes), len(panels), 0, False), panels)
            arguments = out_shape, size, (0,) * tile, *plan.work
            parts.append(WinogradPart(origin, arguments, tuple(plan.axes[:, WINDOWS].tolist()), size, repair))
    return parts
