"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D."""

from typing import Any, ClassVar

import numpy as np

from .. import functional, shapes
from ..calls.window import Window, window_of
from ..common.arguments import check_bool
from ..common.words import Activation, Common, DataFormat, Unpack
from ..shapes import Shape
from .lstm import LongShortTerm
from .weights import Weight


class ConvLSTM(LongShortTerm):
    """LSTM whose products are convolutions over ``rank - 1`` axes; see `ConvLSTM2D`.

    Parameters
    ----------
    filters : int
        Channels of the states, and of the result.
    kernel_size : int or tuple of int
        Taps along each axis, of both kernels.
    strides, dilation_rate : int or tuple of int
        Of the convolution of the input; only one of them may differ from 1. The state's has neither.
    padding : {"valid", "same"}
        Of the convolution of the input; the state keeps its size.
    unit_forget_bias : bool
        Whether the bias of ``f`` begins as 1.
    return_state : bool
        Whether the call returns a list of the result, ``h`` and ``c``.
    """

    _apart = True
    kernel, recurrent_kernel, bias = Weight(), Weight(), Weight()
    _neutral: ClassVar = {
        **LongShortTerm._neutral,
        "unroll": ((False,), "it would change nothing"),
    }

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Any = 1,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: "Unpack[Common]",
    ) -> None:
        super().__init__(**kwargs)
        with self._named():
            size = shapes.normalize_tuple(kernel_size, self.rank - 1, "kernel_size")
            window = window_of(size, strides, padding, dilation_rate, data_format, ("valid", "same"))
            if max(window.strides) > 1 and max(window.dilation_rate) > 1:
                raise ValueError(
                    f"strides and dilation_rate must not both differ from 1, got strides={window.strides} and "
                    f"dilation_rate={window.dilation_rate}"
                )
            self.kernel_size, self.strides, self.padding, self.dilation_rate, self.data_format = window
            (self.filters,) = shapes.normalize_tuple(filters, 1, "filters")
            self.unit_forget_bias = check_bool(unit_forget_bias, "unit_forget_bias")
        self._set({**locals(), "units": filters, "unroll": False})

    # -- shapes and weights ----------------------------------------------------------------------------------------

    @property
    def _first(self) -> bool:
        return self.data_format == "channels_first"

    def _channels_of(self, shape: Shape) -> int | None:
        return shape[2 if self._first else -1]

    def _check_channels(self, x_shape: Shape) -> None:
        channels = self._channels_of(x_shape)
        if self._channels is not None and channels is not None and channels != self._channels:
            raise ValueError(f"x must have {self._channels} channels ({self.data_format}), got shape {x_shape}")

    def _weight_shapes(self, channels: int | None) -> dict[str, tuple[int, ...]]:
        found = super()._weight_shapes(channels)
        return {name: size if name == "bias" else (*self.kernel_size, *size) for name, size in found.items()}

    def _output_shape(self, input_shape: Shape) -> Any:
        batch, steps, *sizes = input_shape
        state = shapes.conv_output_shape((batch, *sizes), self.filters, *self._window)
        out = (batch, steps, *state[1:]) if self.return_sequences else state
        return [out, state, state] if self.return_state else out

    def _state_shape(self, shape: Any) -> Any:
        return shapes.conv_output_shape(shape, self.filters, *self._window._replace(data_format="channels_last"))

    def _why(self, before: Shape, after: Any) -> str:
        return super()._why(before, after).replace("units", "channels")

    @property
    def _window(self) -> Window:
        return Window(self.kernel_size, self.strides, self.padding, self.dilation_rate, self.data_format)

    # -- products --------------------------------------------------------------------------------------------------

    def _inside(self, x: np.ndarray) -> np.ndarray:
        # A state or result is one of a single step, or of all.
        return np.ascontiguousarray(np.moveaxis(x, x.ndim - self.rank, -1)) if self._first else x

    def _outside(self, x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(x, -1, x.ndim - self.rank)) if self._first else x

    def _window_of(self, of_state: bool) -> dict[str, Any]:
        if of_state:
            return {"padding": "same", "data_format": "channels_last"}
        names = ("strides", "padding", "dilation_rate")
        return {**{name: getattr(self, name) for name in names}, "data_format": "channels_last"}

    def _plain_product(self, x: np.ndarray, kernel: np.ndarray, of_state: bool) -> np.ndarray:
        return functional.conv(x, kernel, **self._window_of(of_state))

    def _plain_product_back(self, grad: np.ndarray, kernel: np.ndarray, shape: Any, of_state: bool) -> np.ndarray:
        return functional.conv_input_grad(grad, kernel, (len(grad), *shape[1:]), **self._window_of(of_state))

    def _plain_kernel_grad(self, x: np.ndarray, grad: np.ndarray, of_state: bool) -> np.ndarray:
        return functional.conv_weight_grad(x, grad, self.kernel_size, **self._window_of(of_state))


class ConvLSTM1D(ConvLSTM):
    """LSTM over rows of a sequence, whose products are convolutions (Keras's ``ConvLSTM1D``); see `ConvLSTM2D`.

    Input (N, steps, W, C), output (N, W', filters), or (N, steps, W', filters) with ``return_sequences``; channels
    before W for channels_first.
    """

    rank = 2


class ConvLSTM2D(ConvLSTM):
    """LSTM over the images of a film, whose products are convolutions (Keras's ``ConvLSTM2D``).

    For each step in turn ``i, f, g, o = split(conv(x[:, step], kernel) + conv(h, recurrent_kernel) + bias, 4)``, then
    ``c = rec(f) * c + rec(i) * activation(g)`` and ``h = rec(o) * activation(c)`` with ``rec`` for
    ``recurrent_activation``.

    Notes
    -----
    Input (N, steps, H, W, C), output (N, H', W', filters), or (N, steps, H', W', filters) with ``return_sequences``;
    channels before H for channels_first. Weights: kernel (kh, kw, C, 4 * filters), recurrent_kernel
    (kh, kw, filters, 4 * filters), bias (4 * filters,), in the order i, f, g, o. Keeps for backward: its input, and the
    states and gates of all steps.

    Shi et al., "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting", 2015.
    """

    rank = 3


class ConvLSTM3D(ConvLSTM):
    """LSTM over volumes, whose products are convolutions (Keras's ``ConvLSTM3D``); see `ConvLSTM2D`.

    Input (N, steps, D, H, W, C), output (N, D', H', W', filters), or (N, steps, D', H', W', filters) with
    ``return_sequences``; channels before D for channels_first.
    """

    rank = 4
