"""Prepared gradients of the operations with weights, as `numbaconv.calls.conv` prepares the operations themselves.

Every gradient is an operation again: that of a convolution's input is a transposed convolution, and the other way
round; those of weights are sums over windows. All of these take and give canonical arrays.
"""

from math import prod
from typing import Any

import numpy as np

from .. import shapes
from ..common.again import again, remade
from ..common.arguments import check_branches
from ..kernels.depthwise import depthwise_conv
from ..kernels.named import conv_positions
from ..kernels.plan.axes import Axis
from ..kernels.plan.plans import make_plan
from ..kernels.sums import channel_sums, sum_runs
from ..machine.aligned import aligned_empty
from ..machine.threads import count, remember
from ..machine.vectors import panel_width
from ..objects.tuples import NamedTuple
from .conv import (
    Sums,
    algorithm_for,
    are_pixels,
    dense_call,
    depthwise_arguments,
    gather_call,
    kernel_for,
    position_call,
    row_axes,
)
from .epilogue import Epilogue, no_epilogue
from .layouts import SMALL, Ints, canonical_shape, swapped, three
from .packed import Packed, depthwise_shape, is_depthwise
from .patches import Patches, are_products, sums_are_products
from .products import FEW_STEPS, ProductCall, ProductInputCall, has_few_features
from .scaling import PixelsCall, pixels_call
from .sums import SPARED, SumCall, branch_sum_call, lines_sum_call, plain_sum_call, sums_work
from .transposed import AnyTransposed, phase_axes, scatter_call, transposed_shape
from .window import Window, mirrored, reached, transposed_axes, window_axes
from .winograd_grad import WinogradSumCall, winograd_sum_call

# Taps along D, H and W of which sums are; None are all.
Taps = tuple[slice, ...] | None


class DepthwiseInputCall(NamedTuple):
    """The gradient of a depthwise convolution's input: one depthwise convolution for each phase of the strides.

    Of each the first tap, where its outputs begin, what `depthwise_conv` takes, and what `conv_positions` does where
    that is faster.
    """

    out_shape: Ints
    multiplier: int
    parts: list[tuple[Ints, int, tuple[tuple, bool], tuple[tuple, bool] | None]]
    complete: bool

    @property
    def serial(self) -> bool:
        """Whether one thread does it all."""
        return all(serial for *_, (_, serial), _ in self.parts)

    def run(self, grad: np.ndarray, packed: Packed, epilogue: Epilogue) -> np.ndarray:
        """From canonical array to canonical array."""
        out = aligned_empty(self.out_shape, grad.dtype)
        if not self.complete:
            again(out.fill, 0)
        for first, origin, lines, few in self.parts:
            # Weights that are infinite must not meet the zeros around the image.
            kernel = conv_positions if few and packed.finite else kernel_for(packed, depthwise_conv)
            arguments, serial = few if few and packed.finite else lines
            kernel(grad, packed.phases((first,)), epilogue, out.reshape(-1)[origin:], *arguments, serial=serial)
        if self.multiplier == 1:
            return out
        channels = out.shape[-1] // self.multiplier
        grad_x = aligned_empty((*out.shape[:-1], channels), out.dtype)
        sum_runs(out.reshape(-1, self.multiplier), grad_x.reshape(-1), serial=out.size < SMALL)
        return grad_x


# The call, the taps that it sums up, and whether input and windows have changed places for it.
Summed = tuple[SumCall | WinogradSumCall | ProductCall, Taps, bool]


class GradientCall(NamedTuple):
    """Both gradients of an operation with weights, ready for arrays of one shape.

    ``grad_shape`` is that of the operation's result; a transposed convolution slides its windows over the result, not
    over the input.
    """

    grad_shape: Ints
    weights_shape: Ints
    input_call: AnyTransposed | DepthwiseInputCall | PixelsCall | ProductInputCall
    sum_call: SumCall | WinogradSumCall | ProductCall
    transposed: bool = False
    # What the sums are of: not all taps, where some are never inside the image; and perhaps mirrored.
    taps: Taps = None
    mirrored: bool = False
    # Whether both gradients of a depthwise convolution are computed in one pass.
    joint: bool = False

    @property
    def serial(self) -> bool:
        """Whether both run in one thread."""
        return self.input_call.serial and self.sum_call.serial

    def input(self, grad: np.ndarray, packed: Packed) -> np.ndarray:
        """Gradient of the input from that of the output; ``packed`` is of the opposite operation."""
        call = self.input_call
        return call.run(grad, packed, no_epilogue(call.out_shape[-1], grad.dtype))

    def weights(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Gradient of the weights, of their shape."""
        arrays = (grad, x) if self.transposed != self.mirrored else (x, grad)
        return self._placed(self.sum_call(*arrays))

    def weights_and_bias(self, x: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`weights`, and the gradient of a bias."""
        call = self.sum_call
        if self.transposed != self.mirrored or not isinstance(call, SumCall) or not call.sums_bias:
            return self.weights(x, grad), _bias_sums(grad)
        weights, bias = call.with_bias(x, grad)
        return self._placed(weights), bias

    def all(self, x: np.ndarray, grad: np.ndarray, packed: Packed, biased: bool) -> tuple[np.ndarray, ...]:
        """Gradients of the input, the weights and, if there is one, a bias."""
        if not (self.joint and packed.finite):
            grad_x = self.input(grad, packed)
            return grad_x, *(self.weights_and_bias(x, grad) if biased else (self.weights(x, grad),))
        call: Any = self.input_call
        out = aligned_empty(call.out_shape, grad.dtype)
        ((first, _, (arguments, _), _),) = call.parts
        back = packed.phases((first,)), no_epilogue(call.out_shape[-1], grad.dtype), out.reshape(-1), *arguments
        weights, *bias = self.sum_call.with_bias(x, grad, biased, back)  # type: ignore[union-attr]
        return out, self._placed(weights), *bias[:biased]

    def _placed(self, sums: np.ndarray) -> np.ndarray:
        """The gradient of the weights from what was summed."""
        if self.taps is None:
            return sums.reshape(self.weights_shape)
        *size, channels, filters = self.weights_shape
        if self.mirrored:
            sums = swapped(sums.reshape(-1, filters, channels))
        weights = aligned_empty((*three(tuple(size), 1), channels, filters), sums.dtype)
        again(_place, weights, self.taps, sums, self.mirrored)
        return weights.reshape(self.weights_shape)


def _place(weights: np.ndarray, taps: tuple[slice, ...], sums: np.ndarray, mirrored: bool) -> None:
    weights.fill(0)
    place = weights[taps]
    sums = sums.reshape(place.shape)
    place[...] = sums[::-1, ::-1, ::-1] if mirrored else sums


def _bias_sums(grad: np.ndarray) -> np.ndarray:
    """`channel_sums`, of a single pixel without a kernel."""
    channels = grad.shape[-1]
    sums: np.ndarray = (
        remade(np.add, grad.reshape(channels), 0) if grad.size == channels else remade(channel_sums, grad)
    )
    return sums


@remember(maxsize=512)
def conv_grad(
    x_shape: Ints, weights_shape: Ints, itemsize: int, window: Window, algorithm: str = "auto"
) -> GradientCall:
    """Prepare the gradients of `functional.conv`."""
    channels, filters = weights_shape[-2:]
    branches = check_branches(x_shape, weights_shape, window.data_format)
    algorithm = algorithm_for(branches, algorithm)
    if is_depthwise(weights_shape, branches):
        call = depthwise_grad(x_shape, depthwise_shape(weights_shape, branches), itemsize, window)
        return call._replace(weights_shape=weights_shape)
    grad_shape: Any = shapes.conv_output_shape(x_shape, filters, *window)
    axes = window_axes(x_shape, filters, window)
    share = filters // branches
    full = canonical_shape(x_shape, window.data_format)
    plain = branches == 1 and algorithm != "winograd"
    if plain and sums_are_products(axes, channels, filters, itemsize):
        sizes = prod(axis.windows for axis in axes), prod(window.kernel_size) * channels, filters, itemsize
        patches = Patches.of(axes, full[1:4])
        summed: Summed = ProductCall.of(*sizes, patches), None, False
        if are_products(axes, channels, filters, itemsize):
            back = ProductInputCall.of(full, *sizes, patches)
            return GradientCall(grad_shape, weights_shape, back, summed[0])
    elif branches == 1:
        # First, for it asks for memory: the phases of a kernel that does not fit would be many.
        summed = _summed(axes, channels, filters, itemsize, algorithm != "direct")
    else:
        some, taps = _reached(axes)
        summed = branch_sum_call(some, channels, share, itemsize, branches), taps, False
    sums = Sums(axes, share, channels, itemsize, window.rank, "channels_last", branches)
    return GradientCall(grad_shape, weights_shape, scatter_call(sums, full, algorithm), summed[0], False, *summed[1:])


@remember(maxsize=512)
def dense_grad(rows: int, features: int, units: int, itemsize: int) -> GradientCall:
    """Prepare the gradients of the product that `dense_call` computes."""
    sizes = rows, features, units, itemsize
    grad: Any
    narrow = has_few_features(features, units)
    if (rows > 0 and (rows <= units or narrow)) or (units <= FEW_STEPS and features >= panel_width(itemsize)):
        grad = ProductInputCall.of((1, 1, 1, rows, features), *sizes)
    else:
        grad = dense_call(rows, units, features, itemsize)
    product = ProductCall.of(*sizes)
    # Of few weights, sums over the rows are added up sooner than the rows are turned round and packed.
    few = product.call is not None and not product.turned and features * units <= max(2**14, 32 * rows)
    sums = plain_sum_call(row_axes(rows, units), features, units, itemsize) if few else product
    return GradientCall((rows, units), (features, units), grad, sums)


@remember(maxsize=512)
def depthwise_grad(x_shape: Ints, weights_shape: Ints, itemsize: int, window: Window) -> GradientCall:
    """Prepare the gradients of `functional.depthwise_conv`."""
    channels, multiplier = weights_shape[-2:]
    if channels == 1:
        return conv_grad(x_shape, weights_shape, itemsize, window)
    filters = channels * multiplier
    grad_shape: Any = shapes.conv_output_shape(x_shape, filters, *window)
    axes = window_axes(x_shape, filters, window)
    full = (*canonical_shape(x_shape, window.data_format)[:-1], filters)
    if multiplier == 1 and are_pixels(axes):
        pixels = prod(axis.windows for axis in axes)
        most = max(1, panel_width(itemsize) // filters)
        joined = max(n for n in range(1, most + 1) if pixels % n == 0)
        sum_call = lines_sum_call(row_axes(pixels // joined, joined * filters), 1, joined * filters, itemsize)
        scale = pixels_call(full, 1, 3, "channels_last")
        return GradientCall(grad_shape, weights_shape, scale, sum_call._replace(pixels=joined))
    some, taps = _reached(axes)
    sum_call = branch_sum_call(some, 1, multiplier, itemsize, channels)
    batch, groups, complete = phase_axes(axes, full)
    parts = []
    for moving, members in groups.items():
        moved = batch, *moving
        plan = make_plan(moved, 1, filters, itemsize, depthwise=True)
        lines = depthwise_arguments(plan, filters, itemsize), plan.serial
        call = position_call(Sums(moved, 1, 1, itemsize, 3, "channels_last", filters), True)
        few = (call.arguments, call.serial) if call else None
        parts += [(first, origin, lines, few) for first, origin in members]
    input_call = DepthwiseInputCall(full, multiplier, parts, complete)
    # Tasks of the sums are fewer, as each has sums of its own.
    plain = multiplier == len(parts) == 1 and complete and not parts[0][-1]
    joint = plain and not input_call.serial and sum_call.depthwise_tasks >= 4 * count()
    return GradientCall(grad_shape, weights_shape, input_call, sum_call, False, taps, False, joint)


@remember(maxsize=512)
def transposed_grad(
    x_shape: Ints,
    weights_shape: Ints,
    itemsize: int,
    window: Window,
    output_padding: Ints | None = None,
    algorithm: str = "auto",
) -> GradientCall:
    """Prepare the gradients of `functional.conv_transpose`."""
    filters, channels = weights_shape[-2:]
    grad_shape = transposed_shape(x_shape, filters, window, output_padding)
    axes = transposed_axes(x_shape, channels, window, output_padding)
    gather = gather_call(Sums(axes, filters, channels, itemsize, window.rank, "channels_last"), algorithm)
    lengths = canonical_shape(grad_shape, window.data_format)[1:4]
    if sums_are_products(axes, filters, channels, itemsize):
        windows, features = prod(axis.windows for axis in axes), prod(window.kernel_size) * filters
        patches = Patches.of(axes, lengths)
        summed: Summed = ProductCall.of(windows, features, channels, itemsize, patches), None, False
    else:
        known = (axis._replace(length=n) for axis, n in zip(axes[1:], lengths, strict=True))
        summed = _summed((axes[0], *known), filters, channels, itemsize)
    return GradientCall(grad_shape, weights_shape, gather, summed[0], True, *summed[1:])


def _reached(axes: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], Taps]:
    """The axes with the taps that are ever inside the image, and which these are, where they are not all."""
    some, taps = zip(*map(reached, axes[1:]), strict=True)
    return (axes[0], *some), None if some == axes[1:] else taps


def _summed(axes: tuple[Axis, ...], channels: int, outputs: int, itemsize: int, winograd: bool = False) -> Summed:
    """What sums up the gradient of all weights: the taps that it is for, and whether it is mirrored."""
    axes, taps = _reached(axes)
    call: Any = plain_sum_call(axes, channels, outputs, itemsize)
    fast = winograd_sum_call(axes, channels, outputs, itemsize, call) if winograd else None
    other = None if fast else mirrored(axes)
    if other and SPARED * sums_work(other, outputs, channels, itemsize) <= sums_work(axes, channels, outputs, itemsize):
        return plain_sum_call(other, outputs, channels, itemsize), taps or (slice(None),) * 3, True
    return fast or call, taps, False
