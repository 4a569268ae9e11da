"""LayerNormalization and its like, which normalize each example by itself."""

from collections.abc import Collection
from typing import Any

import numpy as np

from .. import initializers
from ..calls.standardizing import standardize, standardize_grad, unit, unit_grad, view_of_groups, view_over
from ..common.arguments import cast
from ..common.words import Penalized, Unpack
from ..objects.registry import integer, number
from .along_axes import Affine, AlongAxes, axes_of, is_of_channels, one_axis, some_axes
from .any_rank import AnyRank, Shape
from .learning import Grads
from .weights import Weight


class Standardization(Affine):
    """A layer that brings parts of each example to mean 0 and deviation 1; see `LayerNormalization`."""

    @property
    def _mixes_positions(self) -> bool:
        return not is_of_channels(self.axis)

    def _view(self, shape: tuple[int, ...]) -> Any:
        """How an input of this shape falls into parts."""
        raise NotImplementedError

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return standardize(x, self._view(x.shape), self.epsilon, *self._learned())

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        gamma, _ = self._learned()
        grad_x, *found = standardize_grad(kept, grad_out, self._view(grad_out.shape), gamma, input_grad)
        pairs = zip(("gamma", "beta"), found, strict=True)
        gradients = {name: grad.reshape(self._weights[name].shape) for name, grad in pairs if name in self._weights}
        with np.errstate(over="ignore"):
            return grad_x, {name: cast(grad, self._dtype) for name, grad in gradients.items()}


class LayerNormalization(Standardization):
    """Bring every example to mean beta and standard deviation gamma over some axes (Keras's ``LayerNormalization``).

    ``out = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with mean and variance over ``axis``, one of each for
    every position of the other axes, and with a gamma and a beta for each position along ``axis``.

    Parameters
    ----------
    axis : int or list of int
        What is normalized over, not the batch: -1 is the last, the features.

    Notes
    -----
    Input of any shape, output the same; the sizes along ``axis`` must be known. Weights: gamma and beta, of the sizes
    along ``axis`` from its smallest number to its largest. Training and prediction are the same. Mean and variance are
    float64. Keeps for backward: its input, and means and deviations.

    Ba, Kiros and Hinton, "Layer Normalization", 2016.
    """

    _neutral = {"rms_scaling": ((False,), "the mean is always subtracted")}  # noqa: RUF012

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.axis = some_axes(axis)
            self._set_affine(epsilon, center, scale)
            self._set_components(locals())

    def _axes(self, rank: int) -> tuple[int, ...]:
        # Keras sorts the numbers as they are given. Where some are negative and some are not, its weights are of sizes
        # in that order, and are then read as if it were that of the axes.
        return axes_of(tuple(sorted(self.axis)) if isinstance(self.axis, tuple) else self.axis, rank)

    def _view(self, shape: tuple[int, ...]) -> Any:
        return view_over(shape, self._axes(len(shape)))


class GroupNormalization(Standardization):
    """Bring groups of an example's channels to mean beta and deviation gamma (Keras's ``GroupNormalization``).

    ``out = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with a gamma and a beta for each channel. Mean and
    variance are those of an example's neighbouring channels, C / groups of them, over all positions.

    Parameters
    ----------
    groups : int
        Into how many groups the channels fall, which must divide their number; -1 makes each a group of its own.
    axis : int or list of one int
        Of the channels, not of the batch.

    Notes
    -----
    Input (N, ..., C), or with C at ``axis``, output the same. Weights: gamma and beta, (C,). Training and prediction
    are the same. Mean and variance are float64. Keeps for backward: its input, and means and deviations.

    Wu and He, "Group Normalization", 2018.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: Any = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.groups = integer(groups, "groups")
            if self.groups < 1 and self.groups != -1:
                raise ValueError(f"groups must be a positive integer, or -1 for a group of each channel, got {groups}")
            self.axis = one_axis(axis)
            self._set_affine(epsilon, center, scale)
            self._set_components(locals())

    @property
    def _mixes_positions(self) -> bool:
        return True

    def _whole_axes(self, count: int) -> Collection[int]:
        return range(1, count)

    def _output_shape(self, input_shape: Shape) -> Shape:
        (axis,) = self._axes(len(input_shape))
        channels = input_shape[axis]
        if channels is not None and self.groups > 0 and (channels % self.groups or not channels):
            raise ValueError(f"groups must divide the number of channels, {channels}, got {self.groups}")
        return input_shape

    def _view(self, shape: tuple[int, ...]) -> Any:
        (axis,) = self._axes(len(shape))
        self._output_shape(shape)
        return view_of_groups(shape, axis, shape[axis] if self.groups == -1 else self.groups)


class RMSNormalization(AlongAxes):
    """Bring the root of the mean square over some axes to ``scale`` (Keras's ``RMSNormalization``).

    ``out = scale * x / sqrt(mean(x**2) + epsilon)`` with the mean over ``axis``.

    Parameters
    ----------
    axis : int or list of int
        What the mean is taken over, not the batch: -1 is the last axis, the features.
    epsilon : float
        Added to the mean; not negative.

    Notes
    -----
    Input of any shape, output the same; the sizes along ``axis`` must be known. Weights: scale, of these sizes. As in
    Keras it lies along the last axes, even where ``axis`` names others. Keeps for backward: its input, and the factor
    of each mean.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    """

    # Unlike its siblings, as in Keras.
    supports_masking = False
    scale = Weight()
    scale_initializer = initializers.Ones()

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.axis = some_axes(axis)
            self.epsilon = number(epsilon, "epsilon", minimum=0)

    @property
    def _mixes_positions(self) -> bool:
        return not is_of_channels(self.axis)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return axes_of(tuple(sorted(self.axis)) if isinstance(self.axis, tuple) else self.axis, rank)

    def _weight_shapes(self, channels: Any) -> dict[str, tuple[int, ...]]:
        return {"scale": self._known_sizes(channels)}

    def _output_shape(self, input_shape: Shape) -> Shape:
        sizes = self._channels_of(input_shape) or ()
        fitting = zip(reversed(sizes), reversed(input_shape), strict=False)
        if not all(n in (1, size) or size is None for n, size in fitting):
            raise ValueError(f"scale must fit the last axes of {input_shape}, got sizes {sizes} along axis {self.axis}")
        return input_shape

    @np.errstate(all="ignore")
    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        wide = x.astype(np.float64)
        factor = 1 / np.sqrt((wide * wide).mean(self._axes(x.ndim), keepdims=True) + self.epsilon)
        return cast(wide * factor * self._weights["scale"], self._dtype), (x, factor)

    @np.errstate(all="ignore")
    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        x, factor = kept
        scale, normal = self._weights["scale"], x * factor
        grad_scale = (grad_out * normal).sum(tuple(range(x.ndim - scale.ndim)))
        single = tuple(i for i, n in enumerate(scale.shape) if n == 1)
        gradients = {"scale": cast(grad_scale.sum(single, keepdims=True), self._dtype)}
        if not input_grad:
            return None, gradients
        grad = grad_out * scale
        off = normal * (grad * normal).mean(self._axes(x.ndim), keepdims=True)
        return cast((grad - off) * factor, self._dtype), gradients


class UnitNormalization(AnyRank):
    """Bring the Euclidean norm over some axes to 1 (Keras's ``UnitNormalization``).

    ``out = x / max(norm, 1e-12)`` with ``norm = sqrt(sum of x**2 over axis)``

    Parameters
    ----------
    axis : int or list of int
        What the norm is taken over: -1 is the last axis, the features.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its input and the norms.
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.axis = some_axes(axis)

    @property
    def _mixes_positions(self) -> bool:
        return not is_of_channels(self.axis)

    def _whole_axes(self, count: int) -> Collection[int]:
        return axes_of(self.axis, count, first=0)

    def _output_shape(self, input_shape: Shape) -> Shape:
        axes_of(self.axis, len(input_shape), first=0)
        return input_shape

    def _view(self, shape: tuple[int, ...]) -> Any:
        return view_over(shape, axes_of(self.axis, len(shape), first=0))

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return unit(x, self._view(x.shape))

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return unit_grad(kept, grad_out, self._view(grad_out.shape))
