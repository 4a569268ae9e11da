"""ReLU and its kin as layers, with their settings, and PReLU, which learns its slopes; Softmax."""

from collections.abc import Collection
from typing import Any

import numpy as np

from .. import activations
from ..activations.settings import with_settings
from ..common.arguments import cast
from ..common.arrays import as_numbers
from ..common.words import Penalized, Unpack
from ..objects.registry import integer, number
from .activation import Activating
from .any_rank import AnyRank, Shape
from .learning import Grads
from .weights import Weight


class ReLU(Activating):
    """Rectified linear unit (Keras's ``ReLU``): ``max(x, 0)``, or more with settings.

    Then it is ``min(x, max_value)`` above the threshold, and up to it ``negative_slope * (x - threshold)``.

    Parameters
    ----------
    max_value : float, optional
        Not negative; None is no limit.
    negative_slope, threshold : float
        Not negative.

    Notes
    -----
    Input of any shape, output the same. Where the result is ``max_value``, its gradient is 0. Keeps for backward: its
    output.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.max_value = None if max_value is None else number(max_value, "max_value", minimum=0)
            self.negative_slope = number(negative_slope, "negative_slope", minimum=0)
            self.threshold = number(threshold, "threshold", minimum=0)
        settings = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        self._function = with_settings(activations.relu, settings)


class LeakyReLU(Activating):
    """Let a share of negative values pass (Keras's ``LeakyReLU``): ``x`` if ``x > 0``, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
        Not negative. Keras 2 called it alpha.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its output.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.negative_slope = number(negative_slope, "negative_slope", minimum=0)
        self._function = with_settings(activations.leaky_relu, {"negative_slope": self.negative_slope})


class ELU(Activating):
    """Exponential linear unit (Keras's ``ELU``): ``x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float
        Not negative.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its output.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.alpha = number(alpha, "alpha", minimum=0)
        self._function = with_settings(activations.elu, {"alpha": self.alpha})


class Softmax(Activating):
    """Positive values that add up to 1 along an axis, or over several (Keras's ``Softmax``): ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    axis : int or tuple of int
        Of the input, its batch axis included.

    Notes
    -----
    Input of any shape, output the same. Takes a mask: bools, or numbers that count as True above 1/2, of a shape that
    broadcasts to the input's. Where it is False, nothing is added up, and the result is 0. Keeps for backward: its
    output.
    """

    def __init__(self, axis: Any = -1, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            several = isinstance(axis, tuple | list)
            self.axis = tuple(integer(one, "axis") for one in axis) if several else integer(axis, "axis")
            self._function = with_settings(activations.softmax, {"axis": self.axis})

    def _output_shape(self, input_shape: Shape) -> Shape:
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        last = len(input_shape) - 1
        if not all(-last - 1 <= one <= last for one in axes):
            raise ValueError(
                f"axis must be from {-last - 1} to {last} for {last + 1} axes of the input, got {self.axis}"
            )
        return input_shape

    def call(self, x: np.ndarray, mask: Any = None) -> np.ndarray:
        self._must_fit(x)
        out, _ = self._forward(x, mask)
        return out

    def _forward(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        if mask is None:
            return super()._forward(x)
        kept = as_numbers(mask, "mask")
        fits = (n in (1, size) for n, size in zip(kept.shape[::-1], x.shape[::-1], strict=False))
        if kept.ndim > x.ndim or not all(fits):
            raise ValueError(f"mask must have a shape that broadcasts to that of x, {x.shape}, got {kept.shape}")
        kept = kept if kept.dtype == bool else kept > 0.5
        # Not infinite: a row without any value left would be NaN.
        shares = self._function(np.where(kept, x, np.finfo(x.dtype).min))
        out = np.ascontiguousarray(np.where(kept, shares, np.zeros((), x.dtype)))
        return out, out

    def _forward_still(self, x: np.ndarray, mask: Any = None) -> tuple[np.ndarray, Any]:
        return self._forward(x, mask)


class PReLU(AnyRank):
    """Rectified linear unit whose slopes are learned (Keras's ``PReLU``): ``x`` if ``x > 0``, else ``alpha * x``.

    Parameters
    ----------
    shared_axes : int or tuple of int, optional
        Axes along which all positions have one alpha, from 1 on: (1, 2) gives images a slope for each channel.

    Notes
    -----
    Input of any shape, output the same. Weight: alpha, of the input's shape without the batch, 1 on shared axes; all
    other sizes must be known. The gradient at 0 is 0. Keeps for backward: its input.

    He et al., "Delving Deep into Rectifiers", 2015.
    """

    supports_masking = True
    alpha = Weight()
    _states = frozenset({"_sizes"})
    # Those of the input that alpha was made for.
    _sizes: Shape | None = None

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: "Unpack[Penalized]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            self._set_components(locals())
            self.shared_axes = None if shared_axes is None else _checked_axes(shared_axes)

    def _make_weights(self, shape: Any) -> None:
        self._sizes = tuple(shape[1:])
        # Channels are sizes like all others.
        self._weights = self._weights | {
            name: self._drawn_weight(name, size) for name, size in self._weight_shapes(None).items()
        }

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        sizes = self._alpha_sizes(self._sizes or ())
        known = tuple(n for n in sizes if n)
        if len(known) < len(sizes):
            raise ValueError(f"the sizes of axes that are not shared must be known and positive, got {self._sizes}")
        return {"alpha": known}

    def _output_shape(self, input_shape: Shape) -> Shape:
        wanted, sizes = self._weights.get("alpha"), self._alpha_sizes(input_shape[1:])
        if wanted is not None and (
            len(sizes) != wanted.ndim or any(n not in (None, m) for n, m in zip(sizes, wanted.shape, strict=True))
        ):
            raise ValueError(f"the input must have the sizes that alpha {wanted.shape} is for, got {input_shape}")
        return input_shape

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        self._output_shape(x.shape)
        x = np.ascontiguousarray(x)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(x > 0, x, self._weights["alpha"] * x), x

    @np.errstate(all="ignore")
    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        gradients, below, grad_out = {}, kept < 0, np.ascontiguousarray(grad_out)
        if self.trainable:
            shared = (0, *(self.shared_axes or ()))
            sums = np.where(below, grad_out * kept, 0).sum(axis=shared, dtype=np.float64, keepdims=True)
            gradients["alpha"] = cast(sums[0], self._dtype)
        if not input_grad:
            return None, gradients
        return np.where(kept > 0, grad_out, np.where(below, self._weights["alpha"] * grad_out, 0)), gradients

    def _whole_axes(self, count: int) -> Collection[int]:
        return set(range(1, count)) - set(self.shared_axes or ())

    def _alpha_sizes(self, sizes: Shape) -> Shape:
        axes = self.shared_axes or ()
        if any(axis > len(sizes) for axis in axes):
            raise ValueError(
                f"shared_axes must be from 1 to {len(sizes)} for inputs of {len(sizes) + 1} axes, got {axes}"
            )
        return tuple(1 if i in axes else n for i, n in enumerate(sizes, 1))


def _checked_axes(axes: Any) -> tuple[int, ...]:
    found = tuple(integer(one, "shared_axes") for one in (axes if isinstance(axes, tuple | list) else (axes,)))
    if any(axis < 1 for axis in found) or len(set(found)) < len(found):
        raise ValueError(f"shared_axes must be axes from 1 on, behind the batch, each of them once, got {axes!r}")
    return found
