"""Prepared sums over windows: the gradients of weights, which `numbaconv.calls.gradients` has use of."""

from math import ceil, gcd, prod
from operator import add
from typing import Any

import numpy as np

from ..common.again import again, remade
from ..kernels.plan.axes import Axis
from ..kernels.plan.sums import make_sum_plan
from ..kernels.weight_grad import add_shares, conv_weight_grad, depthwise_grads, depthwise_weight_grad
from ..machine.aligned import aligned_empty
from ..machine.vectors import SLIDE, TILE_ROWS, TILE_VECS, conv_tile, panel_width
from ..objects.tuples import NamedTuple
from .layouts import SMALL, Ints

# How much more is computed than when input and windows change places, or are seen as others, so that this pays.
SPARED = 1.25
# To add up the sums of tiles takes as long as so many windows do; to take those of several windows apart, and to
# compute the last windows of rows by themselves, as so many multiplications.
ADDED, TAKEN_APART, LEFT = 200, 200_000, 800_000


class Bundles(NamedTuple):
    """How the branches of a convolution are computed: some of them together, as if they were one.

    That takes no longer where one has too few filters to fill a tile. What channels and filters of different branches
    have in common is dropped.
    """

    number: int
    # Branches in each, and channels of a branch.
    joined: int
    channels: int


class Together(NamedTuple):
    """Neighbouring windows of a row that are seen as one, with an output for each of theirs and all their taps.

    Where there are few outputs, tiles are filled so. What windows and taps of others have in common is dropped.
    """

    windows: int
    # Rows of taps; in each those of one window, and those that any of them meets.
    lines: int
    taps: int
    met: int
    # Of these, how far a window is from the one before, and a tap of the same window.
    step: int
    apart: int

    def sum(self, out: np.ndarray) -> np.ndarray:
        """What each of the windows has of sums for all of them, added up."""
        outputs = out.shape[-1] // self.windows
        sums = out.reshape(self.lines, self.met, -1, self.windows, outputs)
        line, tap, channel, window, output = sums.strides
        shape = self.windows, self.lines, self.taps, sums.shape[2], outputs
        strides = window + self.step * tap, line, self.apart * tap, channel, output
        each: np.ndarray = np.ndarray(shape, out.dtype, out, 0, strides)
        return each.sum(0).reshape(1, -1, outputs)


class SumCall(NamedTuple):
    """The gradient of weights, summed over all windows.

    Of several `Bundles`, each has so many rows and outputs. Of so many ``taps`` along W, the first mean
    something. Where so many ``pixels`` are seen as one of more channels, or windows ``together`` as one, there is no
    bias. The last windows of a row may be left for the ``rest``.
    """

    kernel: Any
    sums_shape: Ints
    rows: int
    outputs: int
    arguments: tuple
    serial: bool
    bundles: Bundles | None = None
    taps: Ints = (1, 1)
    pixels: int = 0
    together: Together | None = None
    rest: "SumCall | None" = None

    @property
    def sums_bias(self) -> bool:
        """Whether it can sum up the gradient of a bias."""
        return not self.pixels and self.together is None

    @property
    def depthwise_tasks(self) -> int:
        """Of how many tasks `depthwise_grads` may do more; 0 if it cannot."""
        if self.kernel is not depthwise_weight_grad or self.pixels or self.serial:
            return 0
        splits, panels, *_ = self.sums_shape
        return splits * (panels // self.arguments[3][1])

    def bundled(self, bundles: Bundles) -> "SumCall":
        """The same for branches that are computed as one."""
        return self._replace(bundles=bundles, rest=self.rest and self.rest.bundled(bundles))

    def __call__(self, image: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """An array (rows, outputs) from the windows' image and an array with a value for each window and output."""
        if not (self.rest and self.together):
            return self.with_bias(image, windows, False)[0]
        end = windows.shape[3] // self.together.windows * self.together.windows
        first, last = (remade(np.ascontiguousarray, w) for w in (windows[..., :end, :], windows[..., end:, :]))
        sums: np.ndarray = remade(add, self._replace(rest=None)(image, first), self.rest(image, last))
        return sums

    def with_bias(
        self, image: np.ndarray, windows: np.ndarray, biased: bool = True, back: tuple = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, and in the same pass the sum over the windows for each output, in float64 whatever the dtype.

        In this pass, too, what `depthwise_grads` does with such arguments.
        """
        number, joined, channels = self.bundles or (1, 1, 0)
        splits, panels, _, width = self.sums_shape
        totals = aligned_empty((splits * biased, panels, width), np.float64)
        if biased:
            again(totals.fill, 0)
        sums = aligned_empty(self.sums_shape, image.dtype), totals
        if self.pixels:
            image, windows = (one.reshape(1, 1, 1, -1, self.outputs) for one in (image, windows))
        if self.together:
            windows = windows.reshape(*windows.shape[:3], -1, self.outputs)
        *arguments, last = self.arguments
        kernel = depthwise_grads if back else self.kernel
        kernel(image, windows, sums, *arguments, (last, back) if back else last, serial=self.serial)
        out = aligned_empty((number, self.rows, self.outputs), image.dtype)
        bias = aligned_empty((number * biased, self.outputs), image.dtype)
        add_shares(sums, (out, bias), serial=sums[0].size < 4 * SMALL)
        outputs = self.outputs
        if self.together:
            outputs //= self.together.windows
            out = remade(self.together.sum, out)
        if self.bundles is None:
            filled, taps = self.taps
            if taps < filled:
                out = remade(np.ascontiguousarray, out.reshape(-1, filled, self.outputs)[:, :taps])
        else:
            blocks = out.reshape(number, -1, joined, channels, joined, outputs // joined)
            parts = [part[:, i, :, i] for part in blocks for i in range(joined)]
            out = remade(np.concatenate, parts, axis=-1)
        if self.pixels:
            out = remade(np.sum, out.reshape(self.pixels, -1), 0)
        return out, bias.reshape(-1)


def sums_work(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> int:
    """What tiles compute for all windows, whether it means anything or not."""
    return prod(axis.windows for axis in axes) * _sums_size(axes, channels, outputs, itemsize)


def _sums_size(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> int:
    """Values of whole tiles."""
    height, vecs = conv_tile(itemsize, outputs)
    width = panel_width(itemsize, vecs)
    rows = prod(axis.taps for axis in axes) * channels
    return ceil(rows / height) * height * ceil(outputs / width) * width


def plain_sum_call(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> SumCall:
    together, rest = _together(axes, channels, outputs, itemsize), None
    if together:
        *others, w = axes
        last = w.windows % together.windows
        if last:
            some = w._replace(windows=last, before=w.before - (w.windows - last) * w.stride)
            rest = plain_sum_call((*others, some), channels, outputs, itemsize)
        axes, outputs = _joined(axes, together), outputs * together.windows
    rows = prod(axis.taps for axis in axes) * channels
    call = _sum_call(conv_weight_grad, axes, rows, channels, outputs, itemsize)
    return call._replace(together=together, rest=rest)


def _joined(axes: tuple[Axis, ...], together: Together) -> tuple[Axis, ...]:
    """The axes of windows that are seen as one, without those that are left."""
    *others, w = axes
    count, unit = together.windows, w.dilation // together.apart
    return *others, w._replace(windows=w.windows // count, taps=together.met, stride=w.stride * count, dilation=unit)


def _together(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int) -> Together | None:
    """As many windows as make the least work; None where that is not much less."""
    *others, w = axes
    rows, size = prod(axis.windows for axis in others), _sums_size(axes, channels, outputs, itemsize)
    # Tiles are added to sums, too, and these then up.
    least, found = (rows * w.windows + ADDED) * size / SPARED - TAKEN_APART, None
    unit, lines = gcd(w.stride, w.dilation), prod(axis.taps for axis in axes[:-1])
    step, apart = w.stride // unit, w.dilation // unit
    for count in range(2, min(w.windows, panel_width(itemsize) // max(1, outputs)) + 1):
        some = Together(count, lines, w.taps, (count - 1) * step + (w.taps - 1) * apart + 1, step, apart)
        many = _sums_size(_joined(axes, some), channels, outputs * count, itemsize)
        work, last = (rows * (w.windows // count) + ADDED) * many, w.windows % count
        work += (rows * last + ADDED) * size + LEFT if last else 0
        if work < least:
            least, found = work, some
    return found


def branch_sum_call(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int, branches: int) -> SumCall:
    """That of a convolution whose branches have so many channels and outputs each."""
    taps, lanes = prod(axis.taps for axis in axes), panel_width(itemsize, 1)
    joined = max(n for n in range(1, min(max(1, lanes // outputs), branches) + 1) if branches % n == 0)
    bundles, read = Bundles(branches // joined, joined, channels), joined * channels
    if channels == 1:
        by_lines = _lines_cost(axes, outputs, branches, itemsize) < bundles.number * _tiles_cost(axes, read, itemsize)
    else:
        by_lines = channels == outputs and lanes % outputs == 0 and SLIDE * outputs <= TILE_ROWS * TILE_VECS
    if by_lines:
        return lines_sum_call(axes, channels, branches * outputs, itemsize)
    if bundles.number == 1:
        call = plain_sum_call(axes, read, joined * outputs, itemsize)
    else:
        call = _sum_call(conv_weight_grad, axes, taps * read, read, joined * outputs, itemsize, bundles.number)
    return call.bundled(bundles)


def _tiles_cost(axes: tuple[Axis, ...], channels: int, itemsize: int) -> float:
    """Of a window, in what a tile one vector wide takes: all tiles for so many channels, and the copy of the input."""
    height, _ = conv_tile(itemsize, 1)
    copied = prod(axis.stride for axis in axes) * (0.1 + 0.025 * channels)
    return ceil(prod(axis.taps for axis in axes) * channels / height) + copied


def _lines_cost(axes: tuple[Axis, ...], multiplier: int, channels: int, itemsize: int) -> float:
    """The same for a depthwise convolution by `depthwise_weight_grad`, whose copies are as wide as its tiles."""
    *_, d, h, w = (axis.taps for axis in axes)
    copied = prod(axis.stride for axis in axes) * (0.75 if multiplier == 1 else 2.4)
    return ceil(channels * multiplier / panel_width(itemsize)) * (0.25 * d * h * ceil(w / SLIDE) + copied)


def lines_sum_call(axes: tuple[Axis, ...], group: int, filters: int, itemsize: int) -> SumCall:
    """That of a depthwise convolution, or of groups of so many channels and filters each."""
    *others, last = axes
    # Taps that fill a tile up are read as far apart as others, but strips know no dilation of a single one.
    axes = *others, last._replace(dilation=last.dilation if last.taps > 1 else 1)
    *_, d, h, w = (axis.taps for axis in axes)
    filled = ceil(w / SLIDE) * SLIDE
    call = _sum_call(depthwise_weight_grad, axes, d * h * filled * group, group, filters, itemsize)
    return call._replace(taps=(filled * group, w * group))


def _sum_call(
    kernel: Any, axes: tuple[Axis, ...], rows: int, channels: int, outputs: int, itemsize: int, branches: int = 1
) -> SumCall:
    depthwise = kernel is depthwise_weight_grad
    height, vecs = (SLIDE * channels, TILE_VECS if channels == 1 else 1) if depthwise else conv_tile(itemsize, outputs)
    whole, width = ceil(rows / height) * height, panel_width(itemsize, vecs)
    plan = make_sum_plan(axes, whole, channels, outputs, itemsize, vecs if depthwise else 0, branches)
    sums_shape = (plan.splits, branches * ceil(outputs / width), whole, width)
    last = (0,) * height if depthwise else branches
    arguments: tuple = ((0,) * vecs, plan.axes, plan.grad_axes, plan.cut, last)
    return SumCall(kernel, sums_shape, rows, outputs, arguments, plan.serial)
