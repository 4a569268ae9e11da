"""The call of Winograd's convolution: where it is chosen, its parts, and how doubtful outputs are computed anew."""

from collections.abc import Callable
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from ..kernels.conv import conv_at
from ..kernels.plan.axes import PIECE, WINDOWS, Axis, piece_axes
from ..kernels.plan.plans import Plan, make_winograd_plan
from ..kernels.table import WORK, flat_plan, panel_table
from ..kernels.winograd.points import SCHEMES
from ..kernels.winograd.products import conv_winograd, patch_room, spread_patches
from ..kernels.winograd.table import HEIGHT, OUTPUTS, winograd_table
from ..kernels.winograd.trust import NO_LIMITS
from ..machine.aligned import aligned_empty
from ..machine.vectors import VECTOR_BYTES, conv_vecs, conv_width, panel_width
from .epilogue import Epilogue
from .layouts import Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed


class WinogradPart(NamedTuple):
    """One phase of the dilation of a convolution by Winograd's algorithm.

    ``origin`` is the flat index of its first output; ``tile_shape`` and ``plan`` are for the kernel. ``spread`` is the
    plan of `spread_patches`, None where every thread transforms the input of its own tasks, and ``room`` what it fills.
    Any of ``patches`` (N, D, H, W) may be doubtful; ``repair`` has the arguments of the direct kernel, whose tasks are
    pieces of rows of outputs.
    """

    origin: int
    tile_shape: Ints
    plan: np.ndarray
    spread: np.ndarray | None
    room: Ints
    patches: Ints
    repair: tuple

    def pieces(self, doubtful: np.ndarray) -> np.ndarray:
        """Numbers of the pieces of rows that have outputs in doubtful patches."""
        outputs, rows = self.plan[WORK, [OUTPUTS, HEIGHT]]
        starts = range(0, self.patches[3], PIECE // outputs)
        pieces = np.logical_or.reduceat(doubtful.reshape(self.patches), starts, axis=3)
        return np.flatnonzero(pieces.repeat(outputs, axis=2)[:, :, :rows])


class WinogradCall(NamedTuple):
    """A convolution by Winograd's algorithm, ready for arrays of one shape: one part for each phase of the dilation.

    Outputs of patches that this algorithm would spoil are computed anew, by the plain sum: a value far above the rest,
    an infinity or a NaN would spread over its patch. ``direct`` prepares the plain sum for all of them, for weights
    that are not fit for this algorithm; None computes everything by it, whatever the values.
    """

    out_shape: Ints
    rank: int
    data_format: str
    parts: list[WinogradPart]
    direct: Callable[[], Any] | None

    @property
    def serial(self) -> bool:
        """Never: only large convolutions are computed so."""
        return False

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        if self.data_format == "channels_first" and len(self.parts) == 1 and self._fits(packed):
            out = empty_planes(self.out_shape, packed.dtype)
            self._fill([out], planar(x), packed, epilogue)
            return planar_result(out, self.out_shape, self.rank)
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        """From canonical array to canonical array."""
        if self.direct and not self._fits(packed):
            return self.direct().run(image, packed, epilogue)
        out = aligned_empty(self.out_shape, packed.dtype)
        self._fill([out.reshape(-1)[part.origin :] for part in self.parts], image, packed, epilogue)
        return out

    def _fits(self, packed: Packed) -> bool:
        return self.direct is None or packed.winograd.limits is not None

    def _fill(self, outs: list[np.ndarray], image: np.ndarray, packed: Packed, epilogue: Epilogue) -> None:
        """Compute each part into its array."""
        limits = tuple(packed.winograd.limits if self.direct else NO_LIMITS)
        for part, out in zip(self.parts, outs, strict=True):
            doubtful = np.zeros(prod(part.patches) if self.direct else 0, np.bool_)
            source = image
            if part.spread is not None:
                source = aligned_empty(part.room, packed.dtype).reshape(-1)
                spread_patches(image, source, limits, doubtful, part.spread)
            conv_winograd(source, packed.winograd.panels, epilogue, limits, out, doubtful, part.tile_shape, part.plan)
            # any() would take longer than the smallest calls can spare.
            if b"\1" in doubtful.tobytes():
                conv_at(image, packed.panels, epilogue, out, *part.repair, part.pieces(doubtful))


def use_winograd(algorithm: str, axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> bool:
    """Whether a convolution is to run as Winograd's.

    "auto" takes it for float32 where it is faster: enough channels and filters to pay for its transforms, and output
    lengths that its patches fill by three quarters at least. Its errors were measured for up to 1,024 channels.
    """
    _, depth, height, width = axes
    square = height.taps == width.taps and height.stride == width.stride == 1
    possible = square and depth.taps == 1 and height.taps in SCHEMES
    if algorithm != "auto" or not possible:
        return algorithm == "winograd"
    outputs = SCHEMES[height.taps].outputs
    lengths = ceil(height.windows / height.dilation), ceil(width.windows / width.dilation)
    patches = ceil(lengths[0] / outputs) * ceil(lengths[1] / outputs)
    filled = 4 * lengths[0] * lengths[1] >= 3 * outputs**2 * patches
    few_phases = height.dilation * width.dilation <= 16
    enough = max(axes[0].windows, 1) * patches >= 8
    return itemsize == 4 and filled and few_phases and enough and 16 <= channels <= 1024 and filters >= 16


def winograd_parts(axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> list[WinogradPart]:
    """Each phase of the dilation.

    Outputs that lie the dilation apart read inputs that lie the dilation apart: a convolution without dilation.
    """
    height, width = axes[2:]
    parts = []
    for y in range(min(height.dilation, height.windows)):
        for x in range(min(width.dilation, width.windows)):
            origin = y * height.out_stride + x * width.out_stride
            phase = (*axes[:2], _phase(height, y), _phase(width, x))
            parts.append(_part(origin, phase, channels, filters, itemsize))
    return parts


def _phase(axis: Axis, first: int) -> Axis:
    """The windows of an axis from ``first`` on that lie its dilation apart."""
    return axis._replace(
        windows=len(range(first, axis.windows, axis.dilation)),
        stride=axis.dilation,
        before=axis.before - first,
        out_stride=axis.out_stride * axis.dilation,
    )


def _part(origin: int, axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> WinogradPart:
    plan, spread, shares, scheme, tile_height = make_winograd_plan(axes, channels, filters, itemsize)
    lengths, panels = [axis.windows for axis in axes[2:]], panel_table(filters, panel_width(itemsize))
    table = winograd_table(plan, shares, lengths, scheme, panels)
    first = winograd_table(spread, shares, lengths, scheme, panels) if spread else None
    patches = tuple(plan.axes[:, WINDOWS].tolist())
    room = (prod(patches), patch_room(channels, VECTOR_BYTES // itemsize))
    panels = panel_table(filters, conv_width(filters, itemsize))
    repair = conv_vecs(filters, itemsize), flat_plan(Plan(piece_axes(axes), len(panels), 0, False), panels)
    return WinogradPart(origin, (0,) * tile_height, table, first, room, patches, repair)
