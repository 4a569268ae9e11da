"""Weights prepared for the kernels, made once and used for many calls."""

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.again import UnlikeError, again, notes, remade, repack
from ..common.arguments import branches_of
from ..common.arrays import as_numbers, common_dtype
from ..kernels.pack import (
    empty_panels,
    fill_panels,
    pack_conv,
    pack_depthwise,
    pack_depthwise_phases,
    pack_few,
    pack_groups,
    pack_phases,
    tap_steps,
)
from ..machine.vectors import conv_width
from .layouts import Ints, canonical_kernel, readable, swapped, three

if TYPE_CHECKING:
    from ..kernels.winograd.weights import Transformed


class _MadeOnce:
    """`functools.cached_property` as it is from Python 3.12 on: without the lock, which a fork would leave locked."""

    def __init__(self, make: Callable) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        made = instance.__dict__[self._make.__name__] = self._make(instance)
        return made


class Packed:
    """Weights in the kernels' own order; each order is made when a call first needs it.

    The operation is the function of `numbaconv.functional` that takes them. Settings are what else they are prepared
    for: strides and dilation of a transposed convolution or of a gradient. Branches are those of a convolution (Keras's
    ``groups``), or of the one that a transposed convolution is the gradient of. If there is something to ``make`` the
    weights anew, they are not kept, once they are packed. ``sizes`` are those that the limits of Winograd's convolution
    come from, of weights that are transformed again and again.
    """

    sizes: np.ndarray
    _kept: np.ndarray | None
    _make: Callable[[], np.ndarray] | None

    def __init__(
        self,
        operation: str,
        weights: np.ndarray,
        settings: tuple = (),
        branches: int = 1,
        make: Callable[[], np.ndarray] | None = None,
    ) -> None:
        if operation == "depthwise_conv" and settings and weights.shape[-2] == 1:
            # Of one channel, what `calls.gradients` prepares is the gradient of a convolution.
            operation = "conv_transpose"
        self.operation, self.shape, self.dtype, self.settings = operation, weights.shape, weights.dtype, settings
        self.branches = branches
        self._depthwise = operation == "depthwise_conv"
        if is_depthwise(weights.shape, branches):
            self._depthwise, weights = True, weights.reshape(depthwise_shape(weights.shape, branches))
        self._form, self._kept = weights.shape, canonical_kernel(weights)
        self._phases: dict[tuple, np.ndarray] = {}
        self._read, self._make = False, None
        if make is not None:
            # What would be made anew for each look at it is looked at while it is there, and packed at once.
            _ = self.finite
            self._read, self._make = True, make

    def __getstate__(self) -> dict[str, Any]:
        # Copies would not begin with a cache line; they are made again.
        made = ("panels", "_by_channel", "winograd", "groups", "_gathering")
        return {**{k: v for k, v in self.__dict__.items() if k not in made}, "_phases": {}}

    def __repr__(self) -> str:
        return f"<Packed for {self.operation}, weights {self.shape} of {self.dtype}>"

    @property
    def _weights(self) -> np.ndarray:
        kept = self._kept
        if self._make is not None:
            self._kept = None
            kept = canonical_kernel(self._make().reshape(self._form)) if kept is None else kept
        assert kept is not None
        return kept

    @property
    def plain(self) -> np.ndarray:
        """The weights as the user has them, with three spatial axes."""
        return readable(self._weights)

    @_MadeOnce
    def finite(self) -> bool:
        """Whether there is no infinity or NaN among the weights; False too where their sum overflows."""
        if notes() is not None:
            again(_must_be_finite, self._weights)
        return _is_finite(self._weights)

    @_MadeOnce
    def panels(self) -> np.ndarray:
        """What the direct kernel of the operation reads; of a transposed convolution with strides 1."""
        if self.operation == "conv_transpose":
            return self.phases(((0, 0, 0),))
        if self._depthwise:
            return remade(pack_depthwise, self._weights)
        if self.branches == 1:
            return _panels(self._weights, conv_width(self.shape[-1], self.dtype.itemsize))
        return remade(pack_conv, self._weights, self.branches)

    def forget(self) -> None:
        """Have the direct kernels' orders made anew, for weights that have others values now."""
        vars(self).pop("panels", None)
        self._phases.clear()

    @_MadeOnce
    def _by_channel(self) -> np.ndarray:
        """What `kernels.conv` reads of a depthwise convolution, as one that has a branch for each channel."""
        *taps, channels, multiplier = self._weights.shape
        return remade(pack_conv, self.plain.reshape(*taps, 1, channels * multiplier), channels)

    def is_first(self) -> bool:
        """Whether nobody has packed or read the weights before: from now on somebody has."""
        first = not self._read and "panels" not in self.__dict__
        self._read = True
        return first

    def lines(self, few: bool) -> tuple[np.ndarray, np.ndarray]:
        """What `kernels.conv` reads of a convolution, for few windows or many.

        Few windows take the weights as they lie: packing would take longer than all else. Where they are read once
        more, as no training does, they are packed after all.
        """
        if self._depthwise:
            return self._by_channel, self._by_channel
        lying = few and self.operation == "conv" and self.branches == 1
        if not lying or not self.is_first():
            return self.panels, self.panels
        filters = self.shape[-1]
        width, plain = conv_width(filters, self.dtype.itemsize), self.plain[None]
        whole = filters // width * width
        return plain, _panels(self._weights[..., whole:], width) if whole < filters else plain[:0]

    @_MadeOnce
    def winograd(self) -> "Transformed":
        """What Winograd's convolution reads."""
        from ..kernels.winograd.weights import pack_winograd

        backwards = self.operation == "conv_transpose"
        weights = self._gathering if backwards else readable(self._weights)
        made = pack_winograd(weights, backwards)
        if (noting := notes()) is not None:
            # Its kernel, which adds to what it finds.
            kernel, arguments = noting.calls.pop()
            _, given, _, _, _, sums, largest, sizes = arguments
            # Threads are awake in a step.
            arguments = len(largest) == 1, *arguments[1:]
            if given is not weights:
                again(np.copyto, given[..., : weights.shape[-1]], weights)
            noting.calls.extend([(sums.fill, (0,)), (largest.fill, (0,)), (kernel, arguments)])
            self.sizes = sizes
        return made

    @_MadeOnce
    def _gathering(self) -> np.ndarray:
        """Weights (KD, KH, KW, F, C) of a transposed convolution with the last two axes as those of a convolution."""
        *taps, filters, channels = self._weights.shape
        table = swapped(readable(self._weights).reshape(prod(taps), filters, channels))
        branches, channels = self.branches, channels // self.branches
        by_branch = table.reshape(prod(taps), branches, channels, filters).swapaxes(1, 2)
        shape = *taps, channels, branches * filters
        return by_branch.reshape(shape) if branches == 1 else remade(np.reshape, by_branch, shape)

    def few(self, joined: bool) -> np.ndarray:
        """What `kernels.few` reads; of a transposed convolution with strides 1."""
        if ("few", joined) not in self._phases:
            self._phases["few", joined] = remade(pack_few, self._forwards, self.branches, joined)
        return self._phases["few", joined]

    @_MadeOnce
    def groups(self) -> np.ndarray:
        """What `kernels.depthwise.group_conv` reads; of a transposed convolution with strides 1."""
        return remade(pack_groups, self._forwards)

    def row(self, repeats: int) -> np.ndarray:
        """The weights of a depthwise convolution of one tap so many times, as `kernels.scaling` reads them."""
        if ("row", repeats) not in self._phases:
            self._phases["row", repeats] = remade(np.tile, self._weights.reshape(-1), repeats)
        return self._phases["row", repeats]

    @property
    def _forwards(self) -> np.ndarray:
        """Weights of a convolution, or of that which a transposed one with strides 1 is."""
        return self._gathering[::-1, ::-1, ::-1] if self.operation == "conv_transpose" else self._weights

    def phases(self, firsts: tuple) -> np.ndarray:
        """What the kernel reads for the phases of a transposed convolution that begin with these taps."""
        if firsts not in self._phases:
            steps = tap_steps(*(three(setting, 1) for setting in self.settings))
            if self._depthwise:
                self._phases[firsts] = remade(pack_depthwise_phases, self._weights, firsts, steps)
            else:
                self._phases[firsts] = remade(pack_phases, self._gathering, firsts, steps, self.branches)
        return self._phases[firsts]

    def scattered(self, taps: Ints, width: int) -> np.ndarray:
        """What `kernels.scatter` reads for so many taps along its axes: (panels, KD, KH, C, width).

        Taps along W and filters are one axis, which is cut into panels so wide.
        """
        key = *taps, width
        if key not in self._phases:
            *_, filters, channels = self._weights.shape
            lines = swapped(self.plain.reshape(taps[0] * taps[1], taps[2] * filters, channels))
            self._phases[key] = _panels(lines.reshape(*taps[:2], channels, -1), width)
        return self._phases[key]


def _panels(array: np.ndarray, width: int) -> np.ndarray:
    """`pack_panels`, noted."""
    packed = empty_panels(array, width)
    repack(fill_panels, packed, array)
    return packed


def _is_finite(weights: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(weights.sum()))


def _must_be_finite(weights: np.ndarray) -> None:
    """Others may ask for other kernels."""
    if not _is_finite(weights):
        raise UnlikeError


def is_depthwise(weights_shape: Ints, branches: int) -> bool:
    """Whether a convolution of so many branches is a depthwise one: each has a channel to itself."""
    return branches > 1 and weights_shape[-2] == 1


def depthwise_shape(weights_shape: Ints, branches: int) -> Ints:
    """Shape (*kernel_size, C, depth_multiplier) of such weights, (*kernel_size, 1, F)."""
    return (*weights_shape[:-2], branches, weights_shape[-1] // branches)


def operand_dtype(x: np.ndarray, **others: Any) -> np.dtype:
    """`common_dtype` of an operation's input and its other operands, which have names and may be missing or packed."""
    arrays = (as_numbers(o, name) for name, o in others.items() if o is not None and not isinstance(o, Packed))
    return common_dtype(x, *arrays)


def check_packed(weights: Packed, operation: str, rank: int, name: str = "weights") -> None:
    """Raise ValueError unless the weights are for an operation on ``rank`` spatial axes."""
    if weights.operation != operation:
        raise ValueError(f"{name} must be packed for {operation}, got weights packed for {weights.operation}")
    if len(weights.shape) != rank + 2:
        raise ValueError(
            f"{name} must have {rank} kernel axes and two channel axes to fit x, got shape {weights.shape}"
        )


def check_packed_groups(weights: Packed, x_shape: Ints, data_format: str) -> None:
    """Raise ValueError unless the weights of a convolution are packed for the groups that an input has."""
    groups = branches_of(x_shape, weights.shape, data_format)
    if weights.branches != groups:
        raise ValueError(
            f"weights must be packed for groups={groups} to fit x of shape {x_shape} ({data_format}), got weights "
            f"packed for groups={weights.branches}"
        )


def check_packed_steps(weights: Packed, strides: Ints, dilation_rate: Ints) -> None:
    """Raise ValueError unless the weights of a transposed convolution are packed for these settings."""
    settings = strides, dilation_rate
    if weights.settings != settings:
        raise ValueError(
            f"weights must be packed for strides and dilation_rate {settings}, got weights packed for "
            f"{weights.settings}"
        )
