"""Kernels of layers with the batch normalizations after them, as the loops read them."""

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...calls.epilogue import pack_bias
from ...calls.packed import Packed
from ...objects.tuples import NamedTuple

# How far a mean may be from 0, beside what is usual after a normalization.
MOST_MOVED = 8
# The weight that filters are along, and which axes of it they are, by the kind of a stage.
_FILTERS = {
    "conv": ("kernel", (-1,)),
    "depthwise": ("depthwise_kernel", (-2, -1)),
    "separable": ("pointwise_kernel", (-1,)),
    "transposed": ("kernel", (-2,)),
    "dense": ("kernel", (-1,)),
}


class Made:
    """What is made of the weights of layers, anew where one has changed."""

    def __init__(self, layers: tuple[Any, ...]) -> None:
        self.layers = layers
        # The weights of each layer, and what was made of them.
        self._made: tuple[tuple[Any, ...], Any] = ((), None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": ((), None)}

    def operands(self) -> tuple[Any, ...] | None:
        """What the call of a stage takes; None where the plain network has to compute it."""
        weights, operands = self._made
        for layer, before in zip(self.layers, weights, strict=False):
            if layer._weights is not before:
                break
        else:
            if weights:
                return operands
        weights = tuple(layer._weights for layer in self.layers)
        operands = self._new(*weights)
        self._made = weights, operands
        return operands

    def _new(self, *weights: dict[str, np.ndarray]) -> tuple[Any, ...] | None:
        raise NotImplementedError


class Folded(Made):
    """Kernels and bias of a stage: those of a layer, and factors of others.

    These are instances of `BatchNormalization` that come after it, in order. There are none where sums with them may be
    infinite or NaN elsewhere than one after the other.
    """

    def __init__(self, kind: str, layers: tuple[Any, ...]) -> None:
        super().__init__(layers)
        self.kind = kind

    def _new(self, *weights: dict[str, np.ndarray]) -> tuple[Any, ...] | None:
        own, others = weights[0], weights[1:]
        layer, *norms = self.layers
        name, axes = _FILTERS[self.kind]
        kernel, bias = own[name], own.get("bias")
        dtype, filters = kernel.dtype, prod(kernel.shape[axis] for axis in axes)
        if norms:
            scale, shift = np.ones(filters), np.zeros(filters) if bias is None else bias.astype(np.float64)
            with np.errstate(all="ignore"):
                for norm, one in zip(norms, others, strict=True):
                    factor, term = norm._factors_of(one)
                    scale, shift = scale * factor, shift * factor + term
                full = scale.reshape([n if i - kernel.ndim in axes else 1 for i, n in enumerate(kernel.shape)])
                folded, bias = _product(kernel, full), shift.astype(dtype)
            # What has become 0 would no longer make NaN of infinity. Of what is infinite the product is, or NaN.
            alike = folded.all() or np.array_equal(folded != 0, np.logical_and(kernel, full))
            packed = self._packed(layer, folded, partial(_product, kernel, full))
            if not (alike and (packed.finite or np.isfinite(folded).all()) and np.isfinite(bias).all()):
                return None
        else:
            packed = self._packed(layer, kernel)
        if self.kind == "separable":
            first = Packed("depthwise_conv", own["depthwise_kernel"])
            return (
                first,
                packed,
                pack_bias(None, first.shape[-2] * first.shape[-1], dtype),
                pack_bias(bias, filters, dtype),
            )
        return packed, pack_bias(bias, filters, dtype)

    def _packed(self, layer: Any, kernel: np.ndarray, make: Any = None) -> Packed:
        if self.kind == "transposed":
            return Packed("conv_transpose", kernel, (layer.strides, layer.dilation_rate), make=make)
        if self.kind == "depthwise":
            return Packed("depthwise_conv", kernel, make=make)
        if self.kind == "dense":
            return Packed("conv", kernel[None], make=make)
        return Packed("conv", kernel, branches=getattr(layer, "groups", 1), make=make)


def _product(kernel: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The kernel times factors of float64, rounded once, and without an array of float64 between."""
    with np.errstate(all="ignore"):
        return np.multiply(kernel, factors, out=np.empty_like(kernel), casting="same_kind")


class Pair(NamedTuple):
    """What a depthwise convolution and the convolution in the same pass multiply by."""

    first: Folded
    second: Folded

    def operands(self) -> tuple[Any, ...] | None:
        """Both kernels, then both biases; None as for `Folded`."""
        first, second = self.first.operands(), self.second.operands()
        return None if first is None or second is None else (first[0], second[0], first[1], second[1])


class Banded(NamedTuple):
    """What a `Pair` and the convolution before it multiply by."""

    first: Folded
    then: Pair

    def operands(self) -> tuple[Any, ...] | None:
        """All kernels, then all biases; None as for `Folded`, and where one is not finite."""
        first, then = self.first.operands(), self.then.operands()
        if first is None or then is None or not all(packed.finite for packed in (first[0], *then[:2])):
            return None
        return first[0], *then[:2], first[1], *then[2:]


class Factors(Made):
    """Scale and shift of normalizations that have a pass of their own, rounded.

    The layers are, in order, `BatchNormalization`, `Normalization` or `Rescaling`, and take arrays of this shape; the
    call multiplies by the factors. There are none where rounding takes more than the last digits, or one is not finite.
    """

    def __init__(self, layers: tuple[Any, ...], shape: tuple[int, ...], call: Any) -> None:
        super().__init__(layers)
        self._shape, self._call = shape, call

    def _new(self, *weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
        dtype = self.layers[0]._dtype
        exact, shift, near = np.ones(self._shape[-1]), np.zeros(self._shape[-1]), True
        with np.errstate(all="ignore"):
            for layer, own in zip(self.layers, weights, strict=True):
                several = not hasattr(layer, "_factors_of")
                factor, term = layer._factors_for(self._shape)[1:] if several else layer._factors_of(own)
                exact, shift = exact * factor, shift * factor + term
                # A mean that is large beside the deviation would be taken away from what is rounded already.
                beta = own.get("beta", 0)
                near &= np.abs(term - beta).max() <= MOST_MOVED * np.max(np.abs(own.get("gamma", 1)) + np.abs(beta))
            scale, shift = exact.astype(dtype), shift.astype(dtype)
        if not (
            near and ((scale != 0) == (exact != 0)).all() and np.isfinite(scale).all() and np.isfinite(shift).all()
        ):
            return None
        return self._call.factors(scale, dtype), self._call.factors(shift, dtype)
