"""The call of the gradient of weights by Winograd's algorithm: where it is chosen, and what is computed anew."""

from math import ceil, prod
from typing import Any

import numpy as np

from ..common.again import again
from ..kernels.plan.axes import Axis, axis_table, patch_axis
from ..kernels.plan.plans import Plan
from ..kernels.table import panel_table
from ..kernels.winograd.points import SCHEMES, weights_matrix
from ..kernels.winograd.table import winograd_table
from ..kernels.winograd.trust import LARGEST, SMALLEST
from ..kernels.winograd.weight_grad import finish_weight_grad, winograd_weight_grad
from ..machine.aligned import aligned_empty
from ..machine.vectors import SLIM_ROWS, panel_width
from ..objects.tuples import NamedTuple
from .layouts import Ints

SCHEME = SCHEMES[3]
# Patches of a block, whose values stay in L2; bytes of the sums of a task, which should stay there, too, and of all.
BLOCK_PATCHES, TASK_BYTES, MOST_BYTES = 32, 640 * 1024, 4 * 1024 * 1024
# Tasks that keep many cores busy, and patches of a share that pay for adding it up.
TASKS, LEAST_PATCHES = 8, 64
# The largest sum of a pair of points beside the gradients of a tap, at most: an error is about 6e-8 of that sum, and
# may be 2e-5 of the tap's largest gradient, as measured with values of many kinds.
MOST_RATIO = np.float32(300)
# Of the tile, so that few channels leave none of them unused.
ROWS = 16 if SLIM_ROWS == 16 else 8


class WinogradSumCall(NamedTuple):
    """The gradient of 3x3 weights, (9 * channels, filters), for arrays of one shape.

    ``direct`` sums it up plainly where values are so large, small or unlike that this algorithm would spoil it.
    """

    direct: Any
    sums_shape: Ints
    channels: int
    outputs: int
    arguments: tuple

    @property
    def serial(self) -> bool:
        """Never: only large gradients are computed so."""
        return False

    def __call__(self, image: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """From the input and the gradient of the output, both canonical."""
        sums = aligned_empty(self.sums_shape, image.dtype)
        winograd_weight_grad(image, windows, sums, *self.arguments)
        out = aligned_empty((SCHEME.taps**2, self.channels, self.outputs), image.dtype)
        sizes = aligned_empty((2, self.channels), image.dtype)
        finish_weight_grad(sums, _MATRIX, out, sizes)
        again(self._repair, out, sizes, image, windows)
        return out.reshape(-1, self.outputs)

    def _repair(self, out: np.ndarray, sizes: np.ndarray, image: np.ndarray, windows: np.ndarray) -> None:
        largest, least = sizes
        # Some channels are 0 but at the border, so that a tap reads nothing: errors beside the other ones' count there.
        usual = np.sort(least)[self.channels // 2]
        unlike = bool((largest > MOST_RATIO * np.maximum(least, usual)).any())
        # Written so that a NaN is refused.
        if unlike or not SMALLEST < max(float(out.max()), -float(out.min())) < LARGEST:
            out.reshape(-1, self.outputs)[...] = self.direct(image, windows)


_MATRIX = weights_matrix(SCHEME).astype(np.float64)


def winograd_sum_call(
    axes: tuple[Axis, ...], channels: int, filters: int, itemsize: int, direct: Any
) -> WinogradSumCall | None:
    """The call, or None where plain sums are faster, or there is no such call."""
    batch, depth, *plane = axes
    possible = depth.taps == 1 and all(a.taps == SCHEME.taps and a.stride == a.dilation == 1 for a in plane)
    lanes = panel_width(itemsize, 1)
    panels, rows = ceil(filters / lanes), ceil(channels / ROWS) * ROWS
    sums = panels * SCHEME.inputs**2 * rows * lanes * itemsize
    if not possible or itemsize != 4 or sums > MOST_BYTES:
        return None
    height, width = (patch_axis(axis, SCHEME) for axis in plane)
    patches = batch.windows * depth.windows * height.windows * width.windows
    # What is multiplied beside the windows, channels and filters that there are, takes as long.
    filled = prod(axis.windows for axis in axes) * channels * filters
    if patches < LEAST_PATCHES or 5 * filled < 3 * SCHEME.outputs**2 * patches * rows * panels * lanes:
        return None
    moving = batch, depth, height, width
    # There windows lie side by side, whatever lies between those of the input.
    planes = Axis(depth.windows, 1, 1, 1, 0, 0)
    grads = batch, planes, *(Axis(a.windows, SCHEME.outputs, SCHEME.outputs, 1, 0, 0) for a in (height, width))
    blocks = _blocks(moving)
    count = prod(ceil(axis.windows / block) for axis, block in zip(moving, blocks, strict=True))
    group = max(n for n in range(1, panels + 1) if panels % n == 0 and (n == 1 or n * sums <= panels * TASK_BYTES))
    most = min(ceil(TASKS * group / panels), patches // LEAST_PATCHES, count)
    share = ceil(count / max(1, most))
    plan = Plan(axis_table(moving, blocks), group, count * panels // group, False)
    lengths = [axis.windows for axis in plane]
    table = winograd_table(plan, 1, lengths, (SCHEME, SCHEME), (0, 0), panel_table(filters, lanes))
    arguments = (0,) * ROWS, table, axis_table(grads, blocks), share
    sums_shape = ceil(count / share), panels, SCHEME.inputs**2, rows, lanes
    return WinogradSumCall(direct, sums_shape, channels, filters, arguments)


def _blocks(axes: tuple[Axis, ...]) -> tuple[int, int, int, int]:
    """Patches of a block along each axis: whole images, rows or parts of one."""
    images, planes, rows, columns = (axis.windows for axis in axes)
    if planes == 1 and rows * columns <= BLOCK_PATCHES:
        return _even(images, BLOCK_PATCHES // (rows * columns)), 1, rows, columns
    if columns <= BLOCK_PATCHES:
        return 1, 1, _even(rows, BLOCK_PATCHES // columns), columns
    return 1, 1, 1, _even(columns, BLOCK_PATCHES)


def _even(length: int, most: int) -> int:
    """The length of the fewest even parts that are no longer than that."""
    return ceil(length / ceil(length / most))
