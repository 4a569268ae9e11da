"""Prepared calls of transposed convolutions, which are also the input gradients of convolutions."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..common.arguments import check_channels
from ..kernels.conv import conv
from ..kernels.phases import convolutions
from ..kernels.plan.axes import Axis
from ..kernels.plan.plans import make_plan
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from .conv import WindowCall, conv_arguments, gather_call, kernel_for
from .epilogue import Epilogue
from .layouts import Ints, canonical, canonical_shape, original
from .packed import Packed
from .window import Window, transposed_axes
from .winograd import WinogradCall


class TransposedCall(NamedTuple):
    """A transposed convolution, ready for arrays of one shape: some convolutions, each of one or more phases."""

    out_shape: Ints
    rank: int
    data_format: str
    parts: list[tuple[tuple, tuple, bool]]
    complete: bool

    @property
    def serial(self) -> bool:
        """Whether one thread does it all."""
        return all(serial for _, _, serial in self.parts)

    def __call__(self, x: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        return original(self.run(canonical(x, self.data_format), packed, epilogue), self.rank, self.data_format)

    def run(self, image: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        """From canonical array to canonical array."""
        out = aligned_empty(self.out_shape, packed.dtype)
        if not self.complete:
            bias, minimum = epilogue
            out[...] = np.maximum(bias[: self.out_shape[-1]], minimum)
        for firsts, arguments, serial in self.parts:
            kernel, weights = kernel_for(packed, conv), packed.phases(firsts)
            kernel(image, weights, epilogue, out.reshape(-1), *arguments, serial=serial)
        return out


@remember(maxsize=512)
def transposed_call(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    window: Window,
    output_padding: Ints | None = None,
    algorithm: str = "auto",
) -> WindowCall | WinogradCall | TransposedCall:
    """Prepare `functional.conv_transpose`."""
    filters, channels = weights_shape[-2:]
    check_channels(x_shape, channels, window.data_format, "weights")
    full = transposed_shape(x_shape, filters, window, output_padding)
    axes = transposed_axes(x_shape, channels, window, output_padding)
    canonical_full = canonical_shape(full, window.data_format)
    return scatter_call(axes, canonical_full, channels, itemsize, window.rank, window.data_format, algorithm)


def transposed_shape(x_shape: shapes.Shape, filters: int, window: Window, output_padding: Ints | None) -> Any:
    """The shape of the result."""
    return shapes.conv_transpose_output_shape(x_shape, filters, output_padding=output_padding, **window._asdict())


def scatter_call(
    axes: tuple[Axis, ...],
    full: Ints,
    channels: int,
    itemsize: int,
    rank: int,
    data_format: str,
    algorithm: str,
    branches: int = 1,
) -> WindowCall | WinogradCall | TransposedCall:
    """Prepare the transpose of a convolution of the windows of ``axes`` over a canonical array of shape ``full``.

    Its input has ``channels`` values for each window and branch, and it spreads them over that array.
    """
    filters, batch, groups, complete = full[-1] // branches, *phase_axes(axes, full)
    if all(axis.stride == 1 for axis in axes):
        (moving,) = groups
        return gather_call((batch, *moving), channels, filters, itemsize, rank, data_format, algorithm, branches)
    parts = []
    for moving, members in groups.items():
        firsts, origins = zip(*members, strict=True)
        plan = make_plan((batch, *moving), channels, filters, itemsize, origins=len(origins), branches=branches)
        arguments = conv_arguments(plan, channels, filters, itemsize, origins, branches)
        parts.append((firsts, arguments, plan.serial))
    return TransposedCall(full, rank, data_format, parts, complete)


def phase_axes(axes: tuple[Axis, ...], full: Ints) -> tuple[Axis, dict, bool]:
    """The batch axis of such a transpose, and what `kernels.phases.convolutions` cuts the others into."""
    steps = tuple(prod(full[i:]) for i in range(1, 5))
    columns = zip(*((a.windows, a.taps, a.stride, a.dilation, a.before) for a in axes[1:]), strict=True)
    windows, taps, strides, dilation, before = columns
    groups, complete = convolutions((full[0], *windows), full, steps[1:], taps, strides, dilation, before)
    return Axis(full[0], 1, 1, 1, 0, steps[0]), groups, complete
