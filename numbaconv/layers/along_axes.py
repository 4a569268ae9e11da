"""What layers share whose weights lie along axes that the user names."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np

from ..common.arguments import check_bool
from ..objects.registry import integer, number
from .any_rank import AnyRank, Shape
from .weights import Weight


class AlongAxes(AnyRank):
    """A layer with weights along one or more axes of its input, the attribute ``axis``."""

    supports_masking = True
    # Sizes of the axes that the weights lie along, in the order of ``axis``.
    _channels: Any
    axis: Any

    def _axes(self, rank: int) -> tuple[int, ...]:
        """The axes of an input of this rank that the weights lie along, counted from 0."""
        return axes_of(self.axis, rank)

    def _whole_axes(self, count: int) -> Collection[int]:
        return self._axes(count)

    def _channels_of(self, shape: Any) -> Any:
        sizes = tuple(shape[axis] for axis in self._axes(len(shape)))
        return None if None in sizes else sizes

    def _check_channels(self, x_shape: tuple[int, ...]) -> None:
        self._check_sizes("x", x_shape, self._channels_of(x_shape))

    def _check_shape(self, shape: Shape) -> None:
        self._check_sizes("input_shape", shape, self._channels_of(shape))

    def _check_sizes(self, name: str, shape: Shape, sizes: Any) -> None:
        if self._channels is not None and sizes is not None and sizes != self._channels:
            wanted, given = (size[0] if len(size) == 1 else size for size in (self._channels, sizes))
            raise ValueError(
                f"{name} must have {wanted} on axis {_told(self.axis)} to fit the layer's weights, got {given} in "
                f"shape {shape}"
            )

    def _known_sizes(self, sizes: Any) -> tuple[int, ...]:
        """Sizes that weights can have."""
        if sizes is None or 0 in sizes:
            given = "an unknown size" if sizes is None else sizes
            raise ValueError(f"the size of axis {_told(self.axis)} must be known and positive, got {given}")
        return tuple(sizes)


class Affine(AlongAxes):
    """A layer whose last step is ``out = gamma * normal + beta``, of which each may be left out.

    Parameters
    ----------
    epsilon : float
        Added to the variance; not negative.
    center, scale : bool
        Whether there is a beta, a gamma; otherwise it is 0, or 1.
    """

    gamma, beta = Weight(), Weight()

    def _set_affine(self, epsilon: Any, center: Any, scale: Any) -> None:
        self.epsilon = number(epsilon, "epsilon", minimum=0)
        self.center, self.scale = check_bool(center, "center"), check_bool(scale, "scale")

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        learned = [name for name, wanted in (("gamma", self.scale), ("beta", self.center)) if wanted]
        names = (*learned, *self.statistics)
        return dict.fromkeys(names, self._known_sizes(channels)) if names else {}

    def _learned(self) -> tuple[Any, Any]:
        """Gamma and beta, or what stands for them."""
        return self._weights.get("gamma", np.float64(1)), self._weights.get("beta", np.float64(0))


def one_axis(value: Any) -> int:
    """The argument ``axis`` as an int; a list of one, as in files of Keras 2, is its only element."""
    if isinstance(value, list | tuple) and len(value) == 1:
        (value,) = value
    return integer(value, "axis")


def some_axes(value: Any) -> int | tuple[int, ...]:
    """The argument ``axis`` as an int or a tuple of them."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("axis must be an integer or a list of one or more, got an empty one")
        return tuple(integer(one, "each of axis") for one in value)
    return integer(value, "axis")


@lru_cache(maxsize=256)
def axes_of(axis: Any, rank: int, first: int = 1) -> tuple[int, ...]:
    """Axes of an input of this rank, counted from 0, none of them before ``first`` (1: after the batch) or twice."""
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(one + rank if one < 0 else one for one in given)
    if not all(first <= one < rank for one in axes) or len(set(axes)) < len(axes):
        batch = ", which has the batch first" if first else ""
        raise ValueError(
            f"axis must be from {first} to {rank - 1}, or from {first - rank} to -1, for an input of {rank} axes{batch}"
            f"{', none of them twice' if len(axes) > 1 else ''}, got {_told(axis)}"
        )
    return axes


def is_of_channels(axis: Any) -> bool:
    """Whether an argument ``axis`` can mean the channels alone, last or first."""
    return axis in (-1, 1, (-1,), (1,))


def _told(axis: Any) -> str:
    return str(list(axis) if isinstance(axis, tuple) else axis)
