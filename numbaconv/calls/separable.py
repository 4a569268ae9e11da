"""Prepared calls of separable convolutions, as `numbaconv.calls.conv` has them of the other operations."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..common.arguments import check_channels
from ..kernels.named import separable_conv
from ..kernels.plan.plans import is_for_few, make_separable_plan
from ..kernels.table import flat_plan, panel_table
from ..machine.aligned import aligned_empty
from ..machine.threads import remember
from ..machine.vectors import TILE_VECS, conv_tile, conv_width, panel_width
from ..objects.tuples import NamedTuple
from .conv import MOST_PLANES, WindowCall, as_fewer, conv_call, depthwise_call, in_taps, is_by_lines, row_axes
from .epilogue import Epilogue, no_epilogue
from .layouts import Ints, canonical, empty_planes, of_format, original, planar, planar_result
from .packed import Packed
from .window import Window, point_window, window_axes

# Weights of no convolution before the depthwise one.
_NOT_WIDER = {size: np.empty((0, 1, 1, 1, 0, 0), f"f{size}") for size in (4, 8)}


class SeparableCall(NamedTuple):
    """A depthwise convolution and a pointwise one after it, in one pass.

    In two where ``arguments`` is None, and for weights that are infinite or NaN: ``apart`` prepares these, for arrays
    of a data format. ``to_planes`` says whether channels first stay so, and ``view`` is as `WindowCall` has it.
    """

    out_shape: Ints
    rank: int
    data_format: str
    arguments: tuple | None
    serial: bool
    to_planes: bool
    apart: Callable[[str], tuple[Any, Any]]
    view: tuple[Ints, Ints] | None = None

    def __call__(self, x: np.ndarray, depthwise: Packed, pointwise: Packed, epilogue: Epilogue) -> np.ndarray:
        middle, rank, data_format = _no_epilogue(depthwise), self.rank, self.data_format
        if not (self.to_planes and depthwise.finite and pointwise.finite):
            image = canonical(x, data_format)
            return original(self.run(image, depthwise, pointwise, middle, epilogue), rank, data_format)
        if self.arguments is None:
            first, last = self.apart(data_format)
            return last(first(x, depthwise, middle), pointwise, epilogue)
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
            first, last = self.apart("channels_last")
            between = None if between is None else between.reshape(first.out_shape)
            return last.run(first.run(image, depthwise, middle, between), pointwise, epilogue, out)
        out = aligned_empty(self.out_shape, depthwise.dtype) if out is None else out
        self._fill(out.reshape(-1), image, depthwise, pointwise, middle, epilogue)
        return out

    def _fill(
        self, out: np.ndarray, x: np.ndarray, depthwise: Packed, pointwise: Packed, middle: Epilogue, last: Epilogue
    ) -> None:
        panels, epilogues = depthwise.panels, (middle, middle, last)
        if self.view:
            x, panels = x.reshape(*self.view[0], x.shape[-1]), in_taps(depthwise.panels, self.view[1])
        weights = _NOT_WIDER[out.itemsize], panels, pointwise.panels
        separable_conv(x, *weights, epilogues, out, *self.arguments, serial=self.serial)  # type: ignore[misc]

    def steps(self, x: np.ndarray, depthwise: Packed, pointwise: Packed, epilogue: Epilogue) -> tuple[np.ndarray, ...]:
        """The canonical array between the two steps, and the result."""
        step, last = self.apart("channels_last")
        between = step.run(canonical(x, self.data_format), depthwise, _no_epilogue(depthwise))
        return between, original(last.run(between, pointwise, epilogue), self.rank, self.data_format)


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
    axes, planes = window_axes(x_shape, pitch or filters, window), window.data_format == "channels_first"
    out_shape = *(axis.windows for axis in axes), filters
    call = SeparableCall(out_shape, rank, window.data_format, None, False, False, apart)
    points = row_axes(prod(out_shape[:-1]), filters)
    # Other kernels' sums are as fast or faster; and those to few filters have other bits, whatever the image.
    alone = not is_by_lines(axes, channels, multiplier, itemsize) or is_for_few(points, right[-2], filters, itemsize, 1)
    stays = planes and (alone or (multiplier == 1 and channels <= MOST_PLANES and window.strides[-1] == 1))
    stays = stays and all(map(_stays_planar, apart("channels_first")))
    if alone or stays:
        return call._replace(to_planes=stays)
    plan, view = make_separable_plan(axes, right[-2], filters, itemsize), None
    to_planes = planes and plan is not None and plan.fits_planes(channels, filters, filters, itemsize, separable=True)
    if not to_planes:
        axes, view = as_fewer(axes)
        plan = make_separable_plan(axes, right[-2], filters, itemsize)
    if plan is None:
        return call
    widths = panel_width(itemsize), conv_width(filters, itemsize)
    panels = (panel_table(count, width) for count, width in zip(right[-2:], widths, strict=True))
    arguments = (conv_tile(itemsize, filters)[1],) * TILE_VECS, flat_plan(plan, *panels)
    return call._replace(arguments=arguments, serial=plan.serial, to_planes=to_planes, view=view)


def _stays_planar(call: Any) -> bool:
    """Whether a call reads and writes planes without bringing channels last."""
    return not isinstance(call, WindowCall) or call.to_planes


def _apart(
    x_shape: Ints,
    depthwise_shape: Ints,
    pointwise_shape: Ints,
    itemsize: int,
    window: Window,
    pitch: int,
    data_format: str,
) -> tuple[Any, Any]:
    """The calls of both steps, for arrays of this data format, whatever the window's is."""
    x_shape = of_format(x_shape, window.data_format, data_format)
    first = depthwise_call(x_shape, depthwise_shape, itemsize, window._replace(data_format=data_format))
    between = of_format(first.out_shape[:1] + first.out_shape[4 - window.rank :], "channels_last", data_format)
    points = point_window(window.rank)._replace(data_format=data_format)
    return first, conv_call(between, pointwise_shape, itemsize, points, "direct", pitch)
