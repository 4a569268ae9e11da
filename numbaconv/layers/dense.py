"""Dense."""

from collections.abc import Callable, Collection
from math import prod
from typing import Any

import numpy as np

from .. import shapes
from ..calls.conv import dense_call
from ..calls.epilogue import epilogue_of, pack_bias
from ..calls.layouts import contiguous
from ..calls.packed import Packed
from ..common.arguments import check_bool
from ..common.words import Activation, Common, Unpack
from .activation import Ending, activation_grad, minimum_of
from .any_rank import AnyRank, Shape
from .learning import Grads
from .weights import Weight


class Dense(Ending, AnyRank):
    """Fully connected layer (Keras's ``Dense``): ``out = activation(x @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
        Outputs for each row of features.

    Notes
    -----
    Input (N, ..., features), output (N, ..., units). Weights: kernel (features, units), bias (units,). The products run
    through the kernels of convolution, with the same bits for any number of threads; BLAS would bring threads of its
    own, which wait for work on the cores that those of Numba need. Keeps for backward: its input and, unless the
    activation is linear, what that gets or gives.
    """

    supports_masking = True
    kernel, bias = Weight(), Weight()
    _neutral = dict.fromkeys(
        ("lora_rank", "lora_alpha", "quantization_config"), ((None,), "kernels are neither factorized nor quantized")
    )

    def __init__(
        self,
        units: int,
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        # The weights that the kernels' own copies were made from, and those copies.
        self._operands: tuple[Any, Any, Any] = (None, None, None)
        with self._named():
            (self.units,) = shapes.normalize_tuple(units, 1, "units")
            self.use_bias = check_bool(use_bias, "use_bias")
            self._set_components(locals())

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        if not channels:
            raise ValueError(f"the number of features, the last axis, must be known and positive, got {channels}")
        bias = {"bias": (self.units,)} if self.use_bias else {}
        return {"kernel": (channels, self.units), **bias}

    def _whole_axes(self, count: int) -> Collection[int]:
        return (count - 1,)

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def _why(self, before: Shape, after: Shape) -> str:
        return f"features: {before[-1]} in, {self.units} units, so {self.units} out; all other axes: unchanged"

    def _before_activation(self, activation: Callable, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        rows = _rows(x)
        weights, packed, bias = self._operands
        if weights is not self._weights:
            weights, packed = self._weights, self._packed("conv")
            bias = pack_bias(weights.get("bias"), self.units, self._dtype)
            self._operands = weights, packed, bias
        call = dense_call(*rows.shape[3:], self.units, self._dtype.itemsize)
        out = call.run(rows, packed, epilogue_of(bias, minimum_of(activation)))
        return out.reshape(*x.shape[:-1], self.units)

    def _packed(self, operation: str) -> Packed:
        kernel = self.kernel[None]
        return Packed(operation, kernel, () if operation == "conv" else ((1,), (1,)))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_operands": (None, None, None)}

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        from ..calls.gradients import dense_grad

        x, needed = kept
        rows, grad = _rows(x), _rows(activation_grad(self.activation, grad_out, needed, self.dtype))
        call = dense_grad(*rows.shape[3:], self.units, self._dtype.itemsize)
        gradients: dict[str, np.ndarray] = {}
        if self.trainable:
            if self.use_bias:
                gradients["kernel"], gradients["bias"] = call.weights_and_bias(rows, grad)
            else:
                gradients["kernel"] = call.weights(rows, grad)
        return call.input(grad, self._packed("conv_transpose")).reshape(x.shape) if input_grad else None, gradients


def _rows(x: np.ndarray) -> np.ndarray:
    """All axes but the last as one: the canonical array of an image of one row."""
    return contiguous(x).reshape(1, 1, 1, prod(x.shape[:-1]), x.shape[-1])
