"""The call of Winograd's convolution: where it is chosen, its parts, and how doubtful outputs are computed anew."""

from collections.abc import Callable
from itertools import accumulate
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from ..kernels.conv import conv_at
from ..kernels.plan.axes import PIECE, WINDOWS, Axis, piece_axes
from ..kernels.plan.plans import Plan, make_winograd_plan
from ..kernels.table import flat_plan, panel_table
from ..kernels.winograd.points import SCHEMES
from ..kernels.winograd.products import conv_winograd, patch_room, spread_patches
from ..kernels.winograd.table import winograd_table
from ..kernels.winograd.trust import NO_LIMITS
from ..machine.aligned import aligned_empty
from ..machine.vectors import VECTOR_BYTES, conv_vecs, conv_width, panel_width
from .epilogue import Epilogue
from .layouts import Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed


class WinogradPhase(NamedTuple):
    """One phase of the dilation of a convolution by Winograd's algorithm.

    ``origin`` is the flat index of its first output. Any of ``patches`` (N, D, H, W), each of so many ``outputs`` along
    H and W, may be doubtful; ``rows`` is the number of rows of outputs. ``repair`` has the arguments of the direct
    kernel, whose tasks are pieces of these rows.
    """

    origin: int
    patches: Ints
    outputs: int
    rows: int
    repair: tuple

    def pieces(self, doubtful: np.ndarray) -> np.ndarray:
        """Numbers of the pieces of rows that have outputs in doubtful patches."""
        starts = range(0, self.patches[3], PIECE // self.outputs)
        pieces = np.logical_or.reduceat(doubtful.reshape(self.patches), starts, axis=3)
        return np.flatnonzero(pieces.repeat(self.outputs, axis=2)[:, :, : self.rows])


class WinogradWork(NamedTuple):
    """What the kernels take for all phases.

    ``spreads`` are the plans of `spread_patches`, None where every thread transforms the input of its own tasks, and
    ``room`` what it fills.
    """

    tile_shape: Ints
    plans: np.ndarray
    spreads: np.ndarray | None
    room: Ints


class WinogradCall(NamedTuple):
    """A convolution by Winograd's algorithm, ready for arrays of one shape.

    Outputs of patches that this algorithm would spoil are computed anew, by the plain sum: a value far above the rest,
    an infinity or a NaN would spread over its patch. ``direct`` prepares the plain sum for all of them, for weights
    that are not fit for this algorithm; None computes everything by it, whatever the values.
    """

    out_shape: Ints
    rank: int
    data_format: str
    work: WinogradWork
    phases: list[WinogradPhase]
    direct: Callable[[], Any] | None

    @property
    def serial(self) -> bool:
        """Never: only large convolutions are computed so."""
        return False

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        if self.data_format == "channels_first" and len(self.phases) == 1 and self._fits(packed):
            out = empty_planes(self.out_shape, packed.dtype)
            self._fill(out, planar(x), packed, epilogue)
            return planar_result(out, self.out_shape, self.rank)
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        """From canonical array to canonical array."""
        if self.direct and not self._fits(packed):
            return self.direct().run(image, packed, epilogue)
        out = aligned_empty(self.out_shape, packed.dtype)
        self._fill(out.reshape(-1), image, packed, epilogue)
        return out

    def _fits(self, packed: Packed) -> bool:
        return self.direct is None or packed.winograd.limits is not None

    def _fill(self, out: np.ndarray, image: np.ndarray, packed: Packed, epilogue: Epilogue) -> None:
        """Compute all phases into an array."""
        (tile_shape, plans, spreads, room), source = self.work, image
        limits = tuple(packed.winograd.limits if self.direct else NO_LIMITS)
        doubtful = np.zeros(room[0] if self.direct else 0, np.bool_)
        if spreads is not None:
            source = aligned_empty(room, packed.dtype).reshape(-1)
            spread_patches(image, source, limits, doubtful, spreads)
        conv_winograd(source, packed.winograd.panels, epilogue, limits, out, doubtful, tile_shape, plans)
        # any() would take longer than the smallest calls can spare.
        if b"\1" in doubtful.tobytes():
            self._repair(out, image, packed, epilogue, doubtful)

    def _repair(
        self, out: np.ndarray, image: np.ndarray, packed: Packed, epilogue: Epilogue, doubtful: np.ndarray
    ) -> None:
        """Compute anew what is doubtful."""
        first = 0
        for phase in self.phases:
            pieces = phase.pieces(doubtful[first : first + prod(phase.patches)])
            first += prod(phase.patches)
            if len(pieces):
                # Planes have but one phase, which begins where they do.
                to = out[phase.origin :] if out.ndim == 1 else out
                conv_at(image, packed.panels, epilogue, to, *phase.repair, pieces)


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


def winograd_work(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int
) -> tuple[WinogradWork, list[WinogradPhase]]:
    """What a call has to do.

    Outputs that lie the dilation apart read inputs that lie the dilation apart: a convolution without dilation.
    """
    height, width = axes[2:]
    origins, phases = [], []
    for y in range(min(height.dilation, height.windows)):
        for x in range(min(width.dilation, width.windows)):
            origins.append(y * height.out_stride + x * width.out_stride)
            phases.append((*axes[:2], _phase(height, y), _phase(width, x)))
    plans, spreads, shares, scheme, tile_height = make_winograd_plan(tuple(phases), channels, filters, itemsize)
    panels = panel_table(filters, panel_width(itemsize))
    lengths = [[axis.windows for axis in phase[2:]] for phase in phases]
    patches = [tuple(plan.axes[:, WINDOWS].tolist()) for plan in plans]
    places = list(zip(origins, accumulate(map(prod, patches), initial=0), strict=False))

    def tables(plans: list[Plan]) -> np.ndarray:
        rows = zip(plans, lengths, places, strict=True)
        return np.stack([winograd_table(plan, shares, length, scheme, at, panels) for plan, length, at in rows])

    room = sum(map(prod, patches)), patch_room(channels, VECTOR_BYTES // itemsize)
    work = WinogradWork((0,) * tile_height, tables(plans), tables(spreads) if spreads else None, room)
    found = zip(origins, patches, lengths, phases, strict=True)
    return work, [WinogradPhase(o, n, scheme.outputs, h, _repair(p, filters, itemsize)) for o, n, (h, _), p in found]


def _repair(axes: tuple[Axis, ...], filters: int, itemsize: int) -> tuple:
    """What a `WinogradPhase` says."""
    panels = panel_table(filters, conv_width(filters, itemsize))
    return conv_vecs(filters, itemsize), flat_plan(Plan(piece_axes(axes), len(panels), 0, False), panels)


def _phase(axis: Axis, first: int) -> Axis:
    """The windows of an axis from ``first`` on that lie its dilation apart."""
    return axis._replace(
        windows=len(range(first, axis.windows, axis.dilation)),
        stride=axis.dilation,
        before=axis.before - first,
        out_stride=axis.out_stride * axis.dilation,
    )
