"""Conv1DTranspose, Conv2DTranspose and Conv3DTranspose."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import shapes
from ..calls.packed import Packed
from ..calls.transposed import transposed_call, transposed_shape
from ..common.arguments import check_algorithm
from ..common.words import Activation, Algorithm, Common, DataFormat, Padding, Unpack
from .conv import WindowLayer
from .weights import Weight

if TYPE_CHECKING:
    from ..calls.gradients import GradientCall


class ConvTranspose(WindowLayer):
    """Transposed convolution over ``rank`` spatial axes; see `Conv2DTranspose`.

    Parameters
    ----------
    strides, dilation_rate : int or tuple of int
        Strides enlarge; only one of them may differ from 1.
    padding : {"valid", "same"}
        "same" makes the output ``length * stride`` long; "valid" keeps all that the kernel reaches.
    output_padding : int or tuple of int, optional
        Below the strides. Given, the output is ``(length - 1)*stride + ke - 2*p + output_padding`` long, where ke is
        the dilated kernel size and p is ``ke // 2`` for "same", 0 for "valid".
    """

    kernel = Weight()
    # Conv3DTranspose has no argument for it.
    _dilation: Any = 1

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Padding = "valid",
        output_padding: Any = None,
        data_format: DataFormat | None = None,
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
            self._set_window(kernel_size, strides, padding, data_format, self._dilation)
            self.algorithm = check_algorithm(algorithm, self.kernel_size, self.strides)
            if output_padding is not None:
                output_padding = shapes.normalize_tuple(output_padding, self.rank, "output_padding", True)
                if any(p >= s for p, s in zip(output_padding, self.strides, strict=True)):
                    raise ValueError(f"output_padding must be below the strides {self.strides}, got {output_padding}")
            self.output_padding = output_padding
            self._set_output(locals())

    def _prepare(self, x_shape: tuple[int, ...]) -> Any:
        kernel = self.kernel
        return transposed_call(
            x_shape, kernel.shape, kernel.itemsize, self._window, self.output_padding, self.algorithm
        )

    def _write_down(self, x: np.ndarray) -> None:
        # Outputs that nothing leads to are filled by NumPy.
        if getattr(self._prepared(x), "complete", True):
            super()._write_down(x)

    def _output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return transposed_shape(input_shape, self.filters, self._window, self.output_padding)

    def _kernel_shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {"kernel": (*self.kernel_size, self.filters, channels)}

    def _pack(self) -> tuple[Packed, ...]:
        return (Packed("conv_transpose", self.kernel, (self.strides, self.dilation_rate)),)

    def _pack_opposite(self) -> tuple[Packed, ...]:
        return (Packed("conv", self.kernel),)

    def _gradient_call(self, x_shape: tuple[int, ...]) -> "GradientCall":
        from ..calls.gradients import transposed_grad

        kernel = self.kernel
        return transposed_grad(
            x_shape, kernel.shape, kernel.itemsize, self._window, self.output_padding, self.algorithm
        )


class DilatedConvTranspose(ConvTranspose):
    """`ConvTranspose` with Keras's argument for the dilation."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Padding = "valid",
        output_padding: Any = None,
        data_format: DataFormat | None = None,
        dilation_rate: Any = 1,
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
        arguments = locals()
        self._dilation = dilation_rate
        own = ("self", "__class__", "dilation_rate", "kwargs")
        super().__init__(**{name: arguments[name] for name in arguments if name not in own}, **kwargs)


class Conv1DTranspose(DilatedConvTranspose):
    """Transposed convolution of a sequence: every value is spread through the kernel (Keras's ``Conv1DTranspose``).

    ``out[n, o, f] = activation(bias[f] + sum of x[n, i, c] * kernel[k, f, c])`` over c and all i, k with
    ``i*stride + k*dilation - crop == o``.

    Notes
    -----
    Input (N, steps, C), output (N, new steps, filters); the last two axes swapped for channels_first. Weights: kernel
    (k, filters, C), bias (filters,). Keeps for backward: as `Conv2DTranspose`.
    """

    rank = 1


class Conv2DTranspose(DilatedConvTranspose):
    """Transposed convolution of an image: every input value is spread through the kernel (Keras's ``Conv2DTranspose``).

    ``out[n, o, f] = activation(bias[f] + sum of x[n, i, c] * kernel[k, f, c])`` over c and all i, k with
    ``i*stride + k*dilation - crop == o`` on both axes.

    Notes
    -----
    Input (N, H, W, C), output (N, H', W', filters); channels second for channels_first. Weights: kernel
    (kh, kw, filters, C), bias (filters,). Keeps for backward: its input and, unless the activation is linear, what
    that gets or gives. Source: Zeiler et al., "Deconvolutional Networks", CVPR 2010.
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution of a volume (Keras's ``Conv3DTranspose``).

    Input (N, D, H, W, C), output (N, D', H', W', filters); channels second for channels_first. Weights: kernel
    (kd, kh, kw, filters, C), bias (filters,). Keeps for backward: as `Conv2DTranspose`.
    """

    rank = 3
    _neutral: ClassVar = {"dilation_rate": ((1, (1, 1, 1), [1, 1, 1]), "Keras's documentation has no other here")}
