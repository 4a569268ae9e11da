"""The call of Winograd's convolution: where it is chosen, its parts, and how doubtful outputs are computed anew."""

from collections.abc import Callable
from itertools import accumulate
from math import ceil, prod
from typing import Any

import numpy as np

from ..common.again import UnlikeError, again, notes
from ..kernels.named import conv_at, conv_winograd, spread_patches
from ..kernels.plan.axes import PIECE, WINDOWS, Axis, piece_axes
from ..kernels.plan.plans import Plan, make_winograd_plan
from ..kernels.records import NO_LIMITS
from ..kernels.table import flat_plan, panel_table
from ..kernels.winograd.points import SCHEMES, patch_room, schemes_for
from ..kernels.winograd.table import winograd_table
from ..machine.aligned import aligned_empty, cleared
from ..machine.vectors import VECTOR_BYTES, conv_vecs, conv_width, panel_width
from ..objects.tuples import NamedTuple
from .epilogue import Epilogue
from .layouts import Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed

# Bytes that transformed input may take beside the result.
MOST_SPREAD = 32 * 1024 * 1024
# Channels below which the plain sum is faster: the shorter the vectors, the fewer, for transforms are mostly loads.
FEWEST = 12 if VECTOR_BYTES == 64 else 8
# By taps of a kernel that has one along H: how much transforms may take, for which the inverses of its channels and
# filters stand, and, for patches that do not fill the last tile, half of that of its patches.
MOST_TRANSFORMS = {3: 0.072, 5: 0.055}


class WinogradPhase(NamedTuple):
    """One phase of the dilation of a convolution by Winograd's algorithm.

    ``origin`` is the flat index of its first output. Any of ``patches`` (N, D, H, W), each of so many ``outputs`` along
    H and along W, may be doubtful, as each of its ``taps`` along D tells, so many positions apart; ``rows`` is the
    number of rows of outputs. ``repair`` has the arguments of the direct kernel, whose tasks are pieces of these rows.
    """

    origin: int
    patches: Ints
    outputs: tuple[int, int]
    rows: int
    taps: tuple[int, int]
    repair: tuple

    @property
    def planes(self) -> int:
        """Positions along D that taps may read."""
        count, step = self.taps
        return self.patches[1] + (count - 1) * step

    @property
    def marks(self) -> int:
        """Patches at all of these positions."""
        n, _, h, w = self.patches
        return n * self.planes * h * w

    def pieces(self, doubtful: np.ndarray) -> np.ndarray:
        """Numbers of the pieces of rows that have outputs in doubtful patches."""
        (n, depth, *lengths), (count, step) = self.patches, self.taps
        marks = doubtful.reshape(n, self.planes, *lengths)
        # A tap whose inputs are unlike spoils the sum.
        patches = np.logical_or.reduce([marks[:, tap * step : tap * step + depth] for tap in range(count)])
        starts = range(0, lengths[1], PIECE // self.outputs[1])
        pieces = np.logical_or.reduceat(patches, starts, axis=3)
        return np.flatnonzero(pieces.repeat(self.outputs[0], axis=2)[:, :, : self.rows])


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
            self.fill(out, planar(x), packed, epilogue)
            return planar_result(out, self.out_shape, self.rank)
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue, out: Any = None) -> np.ndarray:
        """From canonical array to canonical array; into ``out``, where it is given."""
        if self.direct and not self._fits(packed):
            return self.direct().run(image, packed, epilogue, out)
        out = aligned_empty(self.out_shape, packed.dtype) if out is None else out
        self.fill(out.reshape(-1), image, packed, epilogue)
        return out

    def _fits(self, packed: Packed) -> bool:
        fits = self.direct is None or packed.winograd.limits is not None
        if not fits and notes() is not None:
            # Other weights may fit.
            raise UnlikeError
        return fits

    def fill(self, out: np.ndarray, image: np.ndarray, packed: Packed, epilogue: Epilogue) -> None:
        """Compute all phases into an array."""
        (tile_shape, plans, spreads, room), source = self.work, image
        limits = tuple(packed.winograd.limits if self.direct else NO_LIMITS)
        doubtful = cleared(room[0] if self.direct else 0)
        if spreads is not None:
            source = aligned_empty(room, packed.dtype).reshape(-1)
            spread_patches(image, source, limits, doubtful, spreads)
        conv_winograd(source, packed.winograd.panels, epilogue, limits, out, doubtful, tile_shape, plans)
        if self.direct:
            _note_limits(packed, limits, doubtful, 1 if spreads is None else 2)
            again(self._repair, out, image, packed, epilogue, doubtful)

    def _repair(
        self, out: np.ndarray, image: np.ndarray, packed: Packed, epilogue: Epilogue, doubtful: np.ndarray
    ) -> None:
        """Compute anew what is doubtful."""
        # any() would take longer than the smallest calls can spare.
        if b"\1" not in doubtful.tobytes():
            return
        first = 0
        for phase in self.phases:
            pieces = phase.pieces(doubtful[first : first + phase.marks])
            first += phase.marks
            if len(pieces):
                to, ending = out, epilogue
                # Planes have but one phase, which begins where they do, and no residual.
                if out.ndim == 1:
                    bias, low, high, slope, residual, function = epilogue
                    to, ending = out[phase.origin :], (bias, low, high, slope, residual[phase.origin :], function)
                conv_at(image, (packed.panels, packed.panels), ending, to, *phase.repair, pieces)


def _note_limits(packed: Packed, limits: tuple, doubtful: np.ndarray, kernels: int) -> None:
    """Have so many kernels that were called last get the limits of the moment when they are called again."""
    noting = notes()
    if noting is None:
        return
    last = [(kernel, [*arguments]) for kernel, arguments in noting.calls[-kernels:]]
    places = [(held, [one is limits for one in held].index(True)) for _, held in last]
    noting.calls[-kernels:] = [(doubtful.fill, (False,)), (_limit, (packed, places)), *last]


def _limit(packed: Packed, places: list[tuple[list[Any], int]]) -> None:
    """Put the limits of weights that have been transformed again where kernels find them among their arguments."""
    packed.forget()
    # With half of the loops, of which a network that is found on disk needs none.
    from ..kernels.winograd.trust import trust_limits

    limits = trust_limits(*packed.sizes.tolist())
    if limits is None:
        raise UnlikeError
    for arguments, i in places:
        arguments[i] = tuple(limits)


def use_winograd(algorithm: str, axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int) -> bool:
    """Whether a convolution is to run as Winograd's.

    "auto" takes it for float32 where it is faster: enough channels and filters to pay for its transforms, and output
    lengths that its patches fill by three quarters at least. Kernels of one tap along H, as all in 1D, save fewer
    products to pay with. Its errors were measured for sums over up to 1,024 channels, each tap along D counting anew.
    """
    batch, depth, height, width = axes
    square = height.taps in (1, width.taps) and height.stride == width.stride == 1
    possible = square and (depth.taps == 1 or depth.stride == 1) and width.taps in SCHEMES
    if algorithm != "auto" or not possible:
        return algorithm == "winograd"
    schemes = schemes_for(height.taps, width.taps)
    outputs = [scheme.outputs for scheme in schemes]
    lengths = ceil(height.windows / height.dilation), ceil(width.windows / width.dilation)
    patches = ceil(lengths[0] / outputs[0]) * ceil(lengths[1] / outputs[1])
    filled = 4 * lengths[0] * lengths[1] >= 3 * prod(outputs) * patches
    few_phases = height.dilation * width.dilation <= 16
    # Each thread reads all weights of a single panel for its part of the patches; in a network they come from far.
    alone = depth.taps == 1 and filters <= panel_width(itemsize)
    enough = max(batch.windows, 1) * patches >= (24 if alone else 8)
    if height.taps == 1:
        shares = 1 / channels + 1 / filters + 0.5 / max(1, batch.windows * patches)
        some = depth.taps == 1 and channels <= 1024 and shares <= MOST_TRANSFORMS[width.taps]
        return itemsize == 4 and filled and few_phases and some
    if depth.taps > 1:
        # All of the input is transformed before it is read.
        room = height.dilation * width.dilation * patches * itemsize
        room *= patch_room(channels, VECTOR_BYTES // itemsize, schemes[0].inputs)
        planes = batch.windows * (depth.windows + (depth.taps - 1) * depth.dilation)
        enough = enough and room * planes <= MOST_SPREAD
    # Transforms of fewer channels have to pay for filters that fill most of a panel.
    some = depth.taps == 1 and channels >= FEWEST and filters > panel_width(itemsize) // 2
    few = (channels >= 16 or some) and channels * depth.taps <= 1024
    return itemsize == 4 and filled and few_phases and enough and few and filters >= 16


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
    plans, spreads, shares, schemes, tile_height = make_winograd_plan(tuple(phases), channels, filters, itemsize)
    panels = panel_table(filters, panel_width(itemsize))
    lengths = [[axis.windows for axis in phase[2:]] for phase in phases]
    taps, outputs = (axes[1].taps, axes[1].dilation), tuple(scheme.outputs for scheme in schemes)
    found = [
        WinogradPhase(o, tuple(plan.axes[:, WINDOWS].tolist()), outputs, h, taps, _repair(p, filters, itemsize))
        for o, plan, (h, _), p in zip(origins, plans, lengths, phases, strict=True)
    ]
    firsts = [*accumulate((phase.marks for phase in found), initial=0)]

    def tables(plans: list[Plan]) -> np.ndarray:
        rows = zip(plans, lengths, zip(origins, firsts[:-1], strict=True), strict=True)
        return np.stack([winograd_table(plan, shares, length, schemes, at, panels) for plan, length, at in rows])

    room = firsts[-1], patch_room(channels, VECTOR_BYTES // itemsize, schemes[0].inputs)
    work = WinogradWork((0,) * tile_height, tables(plans), tables(spreads) if spreads else None, room)
    return work, found


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
