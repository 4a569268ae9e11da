"""Prepared calls of separable convolutions, as `numbaconv.calls.conv` has them of the other operations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..common.arguments import check_channels
from ..kernels.named import separable_conv
from ..kernels.plan.plans import make_separable_plan
from ..kernels.table import flat_plan, panel_table
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from ..machine.vectors import TILE_VECS, conv_tile, conv_width, panel_width
from ..objects.tuples import NamedTuple
from .conv import WindowCall, conv_call, depthwise_call
from .epilogue import Epilogue, no_epilogue
from .layouts import Ints, canonical, empty_planes, original, planar, planar_result
from .packed import Packed
from .scaling import PixelsCall
from .window import Window, point_window, window_axes


class SeparableCall(NamedTuple):
    """A depthwise convolution and a pointwise one after it, in one pass.

    In two where ``arguments`` is None, and for weights that are infinite or NaN: ``apart`` prepares these.
    """

    out_shape: Ints
    rank: int
    data_format: str
    arguments: tuple | None
    serial: bool
    to_planes: bool
    apart: Callable[[], tuple[WindowCall | PixelsCall, WindowCall]]

    def __call__(self, x: np.ndarray, depthwise: Packed, pointwise: Packed, epilogue: Epilogue) -> np.ndarray:
        middle, rank, data_format = _no_epilogue(depthwise), self.rank, self.data_format
        if not (self.to_planes and depthwise.finite and pointwise.finite):
            image = canonical(x, data_format)
            return original(self.run(image, depthwise, pointwise, middle, epilogue), rank, data_format)
        shape = self.out_shape
        out = empty_planes(shape, depthwise.dtype)
        self._fill(out, planar(x), depthwise, pointwise, middle, epilogue)
        return planar_result(out, shape, rank)

    def run(
        self,
        image: np.ndarray,
        depthwise: Packed,
        pointwise: Packed,
        middle: Epilogue,
        epilogue: Epilogue,
        out: Any = None,
        between: Any = None,
    ) -> np.ndarray:
        """From canonical array to canonical array, with an epilogue of the depthwise step; into ``out``, if given.

        So is what lies ``between`` two passes, in a flat array.
        """
        if self.arguments is None or not (depthwise.finite and pointwise.finite):
            first, last = self.apart()
            between = None if between is None else between.reshape(first.out_shape)
            return last.run(first.run(image, depthwise, middle, between), pointwise, epilogue, out)
        out = aligned_empty(self.out_shape, depthwise.dtype) if out is None else out
        self._fill(out.reshape(-1), image, depthwise, pointwise, middle, epilogue)
        return out

    def _fill(self, out: np.ndarray, x: np.ndarray, depthwise: Packed, pointwise: Packed, *epilogues: Epilogue) -> None:
        weights = depthwise.panels, pointwise.panels
        separable_conv(x, *weights, *epilogues, out, *self.arguments, serial=self.serial)  # type: ignore[misc]

    def steps(self, x: np.ndarray, depthwise: Packed, pointwise: Packed, epilogue: Epilogue) -> tuple[np.ndarray, ...]:
        """The canonical array between the two steps, and the result."""
        step, last = self.apart()
        between = step.run(canonical(x, step.data_format), depthwise, _no_epilogue(depthwise))
        return between, original(last.run(between, pointwise, epilogue), step.rank, step.data_format)


def _no_epilogue(packed: Packed) -> Epilogue:
    return no_epilogue(packed.shape[-2] * packed.shape[-1], packed.dtype)


@remember(maxsize=512)
def separable_call(
    x_shape: Ints, depthwise_shape: Ints, pointwise_shape: Ints, itemsize: int, window: Window, pitch: int = 0
) -> SeparableCall:
    """Prepare `functional.separable_conv`; for the pitch see `conv_call`."""
    channels, multiplier = depthwise_shape[-2:]
    rank, filters = window.rank, pointwise_shape[-1]
    right = (*(1,) * rank, channels * multiplier, filters)
    if pointwise_shape != right:
        raise ValueError(f"pointwise_weights must have shape {right}, got {pointwise_shape}")
    check_channels(x_shape, channels, window.data_format, "weights")
    apart = partial(_apart, x_shape, depthwise_shape, right, itemsize, window, pitch)

    axes = window_axes(x_shape, pitch or filters, window)
    plan = make_separable_plan(axes, right[-2], filters, itemsize)
    out_shape = *(axis.windows for axis in axes), filters
    if plan is None:
        return SeparableCall(out_shape, rank, window.data_format, None, False, False, apart)
    widths = panel_width(itemsize), conv_width(filters, itemsize)
    panels = (panel_table(count, width) for count, width in zip(right[-2:], widths, strict=True))
    arguments = (conv_tile(itemsize, filters)[1],) * TILE_VECS, flat_plan(plan, *panels)
    to_planes = window.data_format == "channels_first" and plan.fits_planes(
        channels, filters, filters, itemsize, separable=True
    )
    return SeparableCall(out_shape, rank, window.data_format, arguments, plan.serial, to_planes, apart)


def _apart(
    x_shape: Ints, depthwise_shape: Ints, pointwise_shape: Ints, itemsize: int, window: Window, pitch: int
) -> tuple[WindowCall | PixelsCall, WindowCall]:
    """The calls of both steps."""
    first = depthwise_call(x_shape, depthwise_shape, itemsize, window)
    between = first.out_shape[:1] + first.out_shape[4 - window.rank :]
    last = conv_call(between, pointwise_shape, itemsize, point_window(window.rank), "direct", pitch)
    assert isinstance(last, WindowCall)
    return first, last
