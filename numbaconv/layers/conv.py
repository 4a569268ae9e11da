"""Conv1D, Conv2D and Conv3D, and what all layers with a kernel share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import shapes
from ..calls.conv import algorithm_for, conv_call
from ..calls.epilogue import epilogue_of, pack_bias
from ..calls.layouts import canonical, original
from ..calls.packed import Packed
from ..calls.window import Window, window_of
from ..common.arguments import check_algorithm, check_bool, check_groups
from ..common.words import Activation, Algorithm, AxisPadding, Common, DataFormat, Unpack
from .activation import Ending, activation_grad, minimum_of
from .arguments import with_defaults
from .learning import Grads
from .weights import Weight

if TYPE_CHECKING:
    from ..calls.gradients import GradientCall


class WindowLayer(Ending):
    """A layer that slides a window over its input: the settings, the bias and the activation of all such layers.

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size : int or tuple of int
        Taps along each axis.
    strides, dilation_rate : int or tuple of int
        Steps of the window and distance of its taps; only one of them may differ from 1.
    padding : {"valid", "same"}
        "valid" adds no zeros; "same" adds what makes the output ``ceil(length / stride)`` long, an odd zero at the end.
    depth_multiplier : int
        Outputs of the depthwise step per input channel.
    use_bias : bool
        Whether a bias is added to each output channel.
    depthwise_regularizer, pointwise_regularizer : str, class, dict or callable, optional
        Penalties on the kernel of this step; see `numbaconv.regularizers`.
    depthwise_constraint, pointwise_constraint : str, class, dict or callable, optional
        Applied to the kernel of this step; see `numbaconv.constraints`.
    algorithm : {"auto", "direct", "winograd"}
        By keyword only: how the sum is computed; see `functional.conv`.
    """

    rank: ClassVar[int]
    bias = Weight()
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    _neutral: ClassVar[dict[str, tuple[tuple[Any, ...], str]]] = {
        "groups": ((1,), "every output channel is computed from all input channels")
    }

    def _set_window(self, kernel_size: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any) -> None:
        size = shapes.normalize_tuple(kernel_size, self.rank, "kernel_size")
        window = window_of(size, strides, padding, dilation_rate, data_format, self.paddings)
        if max(window.strides) > 1 and max(window.dilation_rate) > 1:
            raise ValueError(
                f"strides and dilation_rate must not both differ from 1, got strides={window.strides} and "
                f"dilation_rate={window.dilation_rate}; the functions of numbaconv.functional compute both together"
            )
        self.kernel_size, self.strides, self.padding, self.dilation_rate, self.data_format = window
        # The weights that the kernels' own copies were made from, and those copies; the same for the backward pass.
        self._operands: tuple[Any, tuple[Any, ...]] = (None, ())
        self._opposites: tuple[Any, tuple[Packed, ...]] = (None, ())

    def _set_output(self, arguments: dict[str, Any]) -> None:
        """Keep bias, activation and other components among a constructor's ``locals()``."""
        self.use_bias = check_bool(arguments["use_bias"], "use_bias")
        self._set_components(arguments)

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        if not channels:
            raise ValueError(f"the number of channels must be known and positive ({self.data_format}), got {channels}")
        bias = {"bias": (self._output_channels(channels),)} if self.use_bias else {}
        return self._kernel_shapes(channels) | bias

    def _kernel_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError

    def _output_channels(self, channels: int) -> int:
        return self.filters  # type: ignore[attr-defined]

    def _pack(self) -> tuple[Packed, ...]:
        """The kernels as the loops read them."""
        raise NotImplementedError

    def _pack_opposite(self) -> tuple[Packed, ...]:
        """The kernels as the loops of the backward pass read them."""
        raise NotImplementedError

    def _gradient_call(self, x_shape: tuple[int, ...]) -> "GradientCall":
        """The call of `numbaconv.calls.gradients` for inputs of this shape."""
        raise NotImplementedError

    def _packed(self) -> tuple[Any, ...]:
        weights, operands = self._operands
        if weights is not self._weights:
            weights = self._weights
            packed = self._pack()
            bias = pack_bias(weights.get("bias"), self._output_channels(self._channels), packed[-1].dtype)  # type: ignore[arg-type]
            operands = (*packed, bias)
            self._operands = weights, operands
        return operands

    def _packed_opposite(self) -> tuple[Packed, ...]:
        weights, packed = self._opposites
        if weights is not self._weights:
            packed = self._pack_opposite()
            for one, other in zip(packed, self._packed(), strict=False):
                # The same weights, of which one look is enough.
                vars(one).update({name: value for name, value in vars(other).items() if name == "finite"})
            self._opposites = self._weights, packed
        return packed

    def _before_activation(self, activation: Callable, x: np.ndarray) -> np.ndarray:
        *packed, bias = self._packed()
        out: np.ndarray = self._prepared(x)(x, *packed, epilogue_of(bias, minimum_of(activation)))
        return out

    def _backward(self, kept: Any, grad_out: np.ndarray, input_grad: bool) -> Grads:
        *inputs, needed = kept
        if needed is not None:
            grad_out = activation_grad(self.activation, grad_out, needed, self.dtype)
        grad = canonical(grad_out, self.data_format)
        grad_x, gradients = self._weight_gradients(inputs, grad, input_grad)
        return None if grad_x is None else original(grad_x, self.rank, self.data_format), gradients

    def _weight_gradients(self, kept: list[np.ndarray], grad: np.ndarray, input_grad: bool) -> Grads:
        """The gradients of the input, canonical, and of the weights from that of the output, canonical."""
        (x,) = kept
        call = self._call_of(("gradient", *x.shape), self._gradient_call, x.shape)
        x = canonical(x, self.data_format)
        if input_grad and self.trainable:
            grad_x, *gradients = call.all(x, grad, *self._packed_opposite(), self.use_bias)
            # A user's class may have added weights of its own.
            return grad_x, dict(zip((next(iter(self._weights)), "bias"), gradients, strict=False))
        grad_x = call.input(grad, *self._packed_opposite()) if input_grad else None
        return grad_x, self._summed(call, next(iter(self._weights)), x, grad)

    def _summed(self, call: "GradientCall", kernel: str, x: np.ndarray, grad: np.ndarray) -> dict[str, np.ndarray]:
        """The gradients of this kernel and the bias."""
        if not self.trainable:
            return {}
        if not self.use_bias:
            return {kernel: call.weights(x, grad)}
        weights, bias = call.weights_and_bias(x, grad)
        return {kernel: weights, "bias": bias}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config.get("algorithm") == "auto":
            # Not an argument of Keras's, which can then read the configuration.
            del config["algorithm"]
        return config

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_operands": (None, ()), "_opposites": (None, ())}

    @property
    def _window(self) -> Window:
        return Window(self.kernel_size, self.strides, self.padding, self.dilation_rate, self.data_format)


class Conv(WindowLayer):
    """Convolution over ``rank`` spatial axes; see `Conv2D`.

    Parameters
    ----------
    groups : int
        Into so many groups fall channels and filters, in order; each filter sums over the channels of its own group. It
        divides both. As many groups as channels are a depthwise convolution.
    """

    kernel = Weight()

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: AxisPadding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        algorithm: Algorithm = "auto",
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            (self.filters,) = shapes.normalize_tuple(filters, 1, "filters")
            self.groups = check_groups(groups, filters=self.filters)
            self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
            self.algorithm = check_algorithm(algorithm, self.kernel_size, self.strides)
            algorithm_for(self.groups, self.algorithm)
            self._set_output(locals())

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        return conv_call(x_shape, self.kernel.shape, self.kernel.itemsize, self._window, self.algorithm)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shapes.conv_output_shape(input_shape, self.filters, *self._window)

    def _kernel_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        groups = check_groups(self.groups, channels=channels)
        return {"kernel": (*self.kernel_size, channels // groups, self.filters)}

    def _pack(self) -> tuple[Packed, ...]:
        return (Packed("conv", self.kernel, branches=self.groups),)

    def _pack_opposite(self) -> tuple[Packed, ...]:
        return (Packed("conv_transpose", self.kernel, (self.strides, self.dilation_rate), self.groups),)

    def _gradient_call(self, x_shape: tuple[int, ...]) -> "GradientCall":
        from ..calls.gradients import conv_grad

        return conv_grad(x_shape, self.kernel.shape, self.kernel.itemsize, self._window, self.algorithm)


class Conv1D(Conv):
    """Convolution over one axis, such as time (Keras's ``Conv1D``).

    ``out[n, t, f] = activation(bias[f] + sum over k, c of x[n, t*stride + k*dilation - before, c] * kernel[k, c, f])``

    Parameters
    ----------
    padding : {"valid", "same", "causal"}
        "causal" puts all zeros in front: the output at a time depends on no later input.
    data_format : {"channels_last", "channels_first"}
        By default channels_last, whatever the configuration says.

    Notes
    -----
    Input (N, steps, C), output (N, new steps, filters); the last two axes swapped for channels_first. Weights: kernel
    (k, C // groups, filters), bias (filters,). Keeps for backward: its input and, unless the activation is linear, what
    that gets or gives.
    """

    rank = 1
    paddings = ("valid", "same", "causal")

    if not TYPE_CHECKING:
        # Editors and type checkers see the arguments of the base, which are the same.
        __init__ = with_defaults(Conv.__init__, data_format="channels_last")


class Conv2D(Conv):
    """Convolution over two axes, such as the rows and columns of an image (Keras's ``Conv2D``).

    ``out[n, q, f] = activation(bias[f] + sum over k, c of x[n, q*stride + k*dilation - before, c] * kernel[k, c, f])``
    for positions q and taps k on both axes; outside the image x is 0.

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', filters); (N, C, H, W) and (N, filters, H', W') for channels_first. Weights:
    kernel (kh, kw, C // groups, filters), bias (filters,), in both formats. Keeps for backward: its input and, unless
    the activation is linear, what that gets or gives.
    """

    rank = 2


class Conv3D(Conv):
    """Convolution over three axes, such as a volume or a film (Keras's ``Conv3D``).

    Input (N, D, H, W, C), output (N, D', H', W', filters); channels second for channels_first. Weights: kernel
    (kd, kh, kw, C // groups, filters), bias (filters,). Keeps for backward: as `Conv2D`.
    """

    rank = 3
