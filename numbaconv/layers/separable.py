"""DepthwiseConv1D and 2D, SeparableConv1D and 2D."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import shapes
from ..calls.conv import depthwise_call
from ..calls.epilogue import epilogue_of
from ..calls.layouts import canonical
from ..calls.packed import Packed
from ..calls.separable import separable_call
from ..calls.window import point_window
from ..common.words import Activation, AxisPadding, Common, DataFormat, Padding, Unpack
from .activation import kept_of, minimum_of
from .arguments import with_defaults
from .conv import WindowLayer
from .learning import Grads
from .weights import Weight

if TYPE_CHECKING:
    from ..calls.gradients import GradientCall


class DepthwiseConv(WindowLayer):
    """Depthwise convolution over ``rank`` spatial axes; see `DepthwiseConv2D`.

    Parameters
    ----------
    depth_multiplier : int
        Output channels per input channel.
    """

    depthwise_kernel = Weight()

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: DataFormat | None = None,
        activation: Activation = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        dilation_rate: Any = 1,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            (self.depth_multiplier,) = shapes.normalize_tuple(depth_multiplier, 1, "depth_multiplier")
            self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
            self._set_output(locals())

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return depthwise_call(x_shape, self.depthwise_kernel.shape, self.depthwise_kernel.itemsize, self._window)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.depthwise_conv_output_shape(
            input_shape, depth_multiplier=self.depth_multiplier, **self._window._asdict()
        )

    def _output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def _kernel_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"depthwise_kernel": (*self.kernel_size, channels, self.depth_multiplier)}

    def _pack(self) -> tuple[Packed, ...]:
        return (Packed("depthwise_conv", self.depthwise_kernel),)

    def _pack_opposite(self) -> tuple[Packed, ...]:
        return (Packed("depthwise_conv", self.depthwise_kernel, (self.strides, self.dilation_rate)),)

    def _gradient_call(self, x_shape: tuple[int, ...]) -> "GradientCall":
        from ..calls.gradients import depthwise_grad

        return depthwise_grad(x_shape, self.depthwise_kernel.shape, self.depthwise_kernel.itemsize, self._window)


class DepthwiseConv1D(DepthwiseConv):
    """Filter each channel of a sequence by itself (Keras's ``DepthwiseConv1D``).

    ``out[n, t, c*M + m] = activation(bias[c*M + m] + sum over k of x[n, t*stride + k*dilation - before, c] *
    depthwise_kernel[k, c, m])``, M being the depth multiplier.

    Notes
    -----
    Input (N, steps, C), output (N, new steps, C*M); the last two axes swapped for channels_first. Weights:
    depthwise_kernel (k, C, M), bias (C*M,). Keeps for backward: as `DepthwiseConv2D`.
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: DataFormat | None = None,
        dilation_rate: Any = 1,
        activation: Activation = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: "Unpack[Common]",
    ) -> None:
        # Only here do the dilation's arguments have a place.
        given = {name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")}
        super().__init__(**given, **kwargs)


class DepthwiseConv2D(DepthwiseConv):
    """Filter each channel of an image by itself (Keras's ``DepthwiseConv2D``).

    ``out[n, q, c*M + m] = activation(bias[c*M + m] + sum over k of x[n, q*stride + k*dilation - before, c] *
    depthwise_kernel[k, c, m])``, M being the depth multiplier.

    Parameters
    ----------
    dilation_rate : int or tuple of int
        By keyword only; not 1 only where the strides are 1.

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', C*M); channels second for channels_first. Weights: depthwise_kernel
    (kh, kw, C, M), bias (C*M,). Keeps for backward: its input and, unless the activation is linear, what that gets
    or gives.
    """

    rank = 2


class SeparableConv(WindowLayer):
    """Separable convolution over ``rank`` spatial axes; see `SeparableConv2D`."""

    depthwise_kernel = Weight()
    pointwise_kernel = Weight()

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: AxisPadding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Activation = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            (self.filters,) = shapes.normalize_tuple(filters, 1, "filters")
            (self.depth_multiplier,) = shapes.normalize_tuple(depth_multiplier, 1, "depth_multiplier")
            self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
            self._set_output(locals())

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        depthwise, pointwise = self.depthwise_kernel, self.pointwise_kernel
        return separable_call(x_shape, depthwise.shape, pointwise.shape, depthwise.itemsize, self._window)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.separable_conv_output_shape(input_shape, self.filters, *self._window)

    def _kernel_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {
            "depthwise_kernel": (*self.kernel_size, channels, self.depth_multiplier),
            "pointwise_kernel": (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
        }

    def _pack(self) -> tuple[Packed, ...]:
        return Packed("depthwise_conv", self.depthwise_kernel), Packed("conv", self.pointwise_kernel)

    def _pack_opposite(self) -> tuple[Packed, ...]:
        ones = (1,) * self.rank
        return (
            Packed("depthwise_conv", self.depthwise_kernel, (self.strides, self.dilation_rate)),
            Packed("conv_transpose", self.pointwise_kernel, (ones, ones)),
        )

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        activation = self.activation
        *packed, bias = self._packed()
        between, before = self._prepared(x).steps(x, *packed, epilogue_of(bias, minimum_of(activation)))
        out = self._activated(activation, before)
        return out, (x, between, kept_of(activation, before, out))

    def _weight_gradients(self, kept: list[np.ndarray], grad: np.ndarray, input_grad: bool) -> Grads:
        from ..calls.gradients import conv_grad, depthwise_grad

        x, between = kept
        depthwise, pointwise = self._packed_opposite()
        itemsize, between_shape = self._dtype.itemsize, (between.shape[0], *between.shape[4 - self.rank :])
        first = depthwise_grad(x.shape, self.depthwise_kernel.shape, itemsize, self._window)
        last = conv_grad(between_shape, self.pointwise_kernel.shape, itemsize, point_window(self.rank))
        grad_between = last.input(grad, pointwise)
        gradients = self._summed(last, "pointwise_kernel", between, grad)
        if not self.trainable:
            return first.input(grad_between, depthwise) if input_grad else None, gradients
        x = canonical(x, self.data_format)
        if not input_grad:
            return None, gradients | {"depthwise_kernel": first.weights(x, grad_between)}
        grad_x, gradients["depthwise_kernel"] = first.all(x, grad_between, depthwise, False)
        return grad_x, gradients


class SeparableConv1D(SeparableConv):
    """Separable convolution over one axis, such as time (Keras's ``SeparableConv1D``).

    Input (N, steps, C), output (N, new steps, filters); the last two axes swapped for channels_first. Weights:
    depthwise_kernel (k, C, depth_multiplier), pointwise_kernel (1, C*depth_multiplier, filters), bias (filters,). Keeps
    for backward: as `SeparableConv2D`.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}
        By default channels_last, whatever the configuration says.
    """

    rank = 1

    if not TYPE_CHECKING:
        # Editors and type checkers see the arguments of the base, which are the same.
        __init__ = with_defaults(SeparableConv.__init__, data_format="channels_last")


class SeparableConv2D(SeparableConv):
    """Filter each channel of an image by itself, then mix the channels at each point (Keras's ``SeparableConv2D``).

    ``out = activation(bias + pointwise(depthwise(x)))``: the depthwise step is that of `DepthwiseConv2D` without bias
    and takes strides, padding and dilation; the pointwise step is a 1x1 convolution.

    Parameters
    ----------
    depth_multiplier : int
        Channels between the steps per input channel.

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', filters); channels second for channels_first. Weights: depthwise_kernel
    (kh, kw, C, depth_multiplier), pointwise_kernel (1, 1, C*depth_multiplier, filters), bias (filters,). Keeps for
    backward: its input, what lies between its two steps and, unless the activation is linear, what that gets
    or gives.
    """

    rank = 2
