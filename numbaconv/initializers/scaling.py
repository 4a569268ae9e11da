"""Initializers that keep the size of signals from layer to layer."""

import math
from collections.abc import Sequence

from ..objects.registry import integer, number
from ..shapes.checks import one_of
from .base import Array, Shape
from .drawn import TRUNCATED_STDDEV, RandomInitializer, truncated_normal


class VarianceScaling(RandomInitializer):
    """Values of mean 0 and variance ``scale / fan``, so that signals keep their size from layer to layer.

    For weights of shape ``(*kernel_size, C, F)``, ``fan_in`` is C and ``fan_out`` is F, each times the number of taps.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What ``fan`` is; "fan_avg" is the mean of the two.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Normal cut off at two standard deviations and widened to make up for the cut; normal; or uniform within
        ``sqrt(3 * scale / fan)``. "normal" means "truncated_normal".
    input_axes, output_axes : sequence of int, optional
        Given together: the axes whose sizes are multiplied to ``fan_in`` and ``fan_out``.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = number(scale, "scale", above=0)
        self.mode = one_of(mode, "mode", ("fan_in", "fan_out", "fan_avg"))
        known = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        name = one_of(distribution, "distribution", known)
        self.distribution = "truncated_normal" if name == "normal" else name
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                f"input_axes and output_axes must be given together, got {input_axes!r} and {output_axes!r}"
            )
        self.input_axes = None if input_axes is None else tuple(integer(axis, "input_axes") for axis in input_axes)
        self.output_axes = None if output_axes is None else tuple(integer(axis, "output_axes") for axis in output_axes)

    def _values(self, shape: Shape) -> Array:
        fan_in, fan_out = self._fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1, fan))
        generator = self._generator()
        if self.distribution == "truncated_normal":
            return stddev / TRUNCATED_STDDEV * truncated_normal(generator, shape)
        if self.distribution == "untruncated_normal":
            return generator.normal(0, stddev, shape)
        limit = math.sqrt(3) * stddev
        return generator.uniform(-limit, limit, shape)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        if self.input_axes is not None and self.output_axes is not None:
            axes = *self.input_axes, *self.output_axes
            if not all(-len(shape) <= axis < len(shape) for axis in axes):
                raise ValueError(f"input_axes and output_axes must be axes of the shape {shape}, got {axes}")
            return math.prod(shape[i] for i in self.input_axes), math.prod(shape[i] for i in self.output_axes)
        if len(shape) < 2:
            return math.prod(shape), math.prod(shape)
        *kernel_size, channels, filters = shape
        taps = math.prod(kernel_size)
        return taps * channels, taps * filters


class _FixedScaling(VarianceScaling):
    _scale_mode_distribution: tuple[float, str, str]

    def __init__(
        self, seed: int | None = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(*self._scale_mode_distribution, seed, input_axes, output_axes)


class GlorotNormal(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_avg``, normal. Glorot and Bengio, 2010."""

    _scale_mode_distribution = (1.0, "fan_avg", "truncated_normal")


class GlorotUniform(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_avg``, uniform: the default of every kernel. Glorot and Bengio, 2010."""

    _scale_mode_distribution = (1.0, "fan_avg", "uniform")


class HeNormal(_FixedScaling):
    """`VarianceScaling` by ``2 / fan_in``, normal. He et al., 2015."""

    _scale_mode_distribution = (2.0, "fan_in", "truncated_normal")


class HeUniform(_FixedScaling):
    """`VarianceScaling` by ``2 / fan_in``, uniform. He et al., 2015."""

    _scale_mode_distribution = (2.0, "fan_in", "uniform")


class LecunNormal(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_in``, normal. LeCun et al., 1998."""

    _scale_mode_distribution = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_FixedScaling):
    """`VarianceScaling` by ``1 / fan_in``, uniform. LeCun et al., 1998."""

    _scale_mode_distribution = (1.0, "fan_in", "uniform")
