"""Dense, Flatten, Activation and Dropout: layers for inputs of any number of axes."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from .. import activations, shapes
from ..calls.conv import dense_call
from ..calls.epilogue import pack_bias
from ..calls.gradients import dense_grad
from ..calls.layouts import contiguous, swapped
from ..calls.packed import Packed
from ..common import random as _random
from ..common.arguments import check_bool, check_data_format
from ..common.arrays import masked
from ..kernels.sums import channel_sums
from ..objects.registry import integer, number
from .base import Layer
from .settings import activated, activation_grad, floor_of, kept_of
from .weights import Weight

Shape = tuple[int | None, ...]


class AnyRank(Layer):
    """A layer for inputs of two axes or more; unless it says otherwise, of an output shaped like its input."""

    activation: Callable[[np.ndarray], np.ndarray]

    def _output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def _why(self, before: Shape, after: Shape) -> str:
        """How the second shape comes from the first."""
        return "every value keeps its place"

    def explain(self, input_shape: Sequence[int | None]) -> str:
        after = self.compute_output_shape(input_shape)
        before = shapes.normalize_shape(input_shape, "input_shape")
        return f"{type(self).__name__} turns {before} into {after}.\n{self._why(before, after)}."

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        out, _ = self._forward(x)
        return out.copy() if np.may_share_memory(out, x) else out

    def _backward(
        self, kept: Any, grad_out: np.ndarray, input_grad: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        return self._input_grad(kept, grad_out) if input_grad else None, {}

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        """All of `_backward` for a layer without weights."""
        raise NotImplementedError


class Dense(AnyRank):
    """Fully connected layer (Keras's ``Dense``): ``out = activation(x @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
        Outputs for each row of features.
    activation : str or callable, optional
        See `numbaconv.activations`.
    use_bias : bool
    kernel_initializer, bias_initializer : str, class, dict or callable
        See `numbaconv.initializers`.
    kernel_regularizer, bias_regularizer, activity_regularizer : str, class, dict or callable, optional
        Penalties reported by `Layer.losses`; see `numbaconv.regularizers`.
    kernel_constraint, bias_constraint : str, class, dict or callable, optional
        Applied by `Layer.apply_constraints`; see `numbaconv.constraints`.

    Notes
    -----
    Input (N, ..., features), output (N, ..., units). Weights: kernel (features, units), bias (units,). The products run
    through the kernels of convolution, with the same bits for any number of threads; BLAS would bring threads of its
    own, which wait for work on the cores that those of Numba need. Keeps for backward: its input and, unless the
    activation is linear, what that gets or gives.
    """

    kernel, bias = Weight(), Weight()
    _neutral = dict.fromkeys(
        ("lora_rank", "lora_alpha", "quantization_config"), ((None,), "kernels are neither factorized nor quantized")
    )

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
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

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def _why(self, before: Shape, after: Shape) -> str:
        return f"features: {before[-1]} in, {self.units} units, so {self.units} out; all other axes: unchanged"

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        # Read once: another thread may set it meanwhile.
        activation = self.activation
        return self._finished(activation, self._before_activation(activation, x))

    def _before_activation(self, activation: Callable, x: np.ndarray) -> np.ndarray:
        rows = _rows(x)
        weights, packed, bias = self._operands
        if weights is not self._weights:
            weights, packed = self._weights, self._packed("conv")
            bias = pack_bias(weights.get("bias"), self.units, self._dtype)
            self._operands = weights, packed, bias
        call = dense_call(*rows.shape[3:], self.units, self._dtype.itemsize)
        # Of relu the kernel computes all.
        out = call.run(rows, packed, bias, floor_of(activation))
        return out.reshape(*x.shape[:-1], self.units)

    def _finished(self, activation: Callable, out: np.ndarray) -> np.ndarray:
        done = activation is activations.linear or activation is activations.relu
        return out if done else activated(activation, out, self.dtype)

    def _packed(self, operation: str) -> Packed:
        kernel = self.kernel[None]
        return Packed(operation, kernel, () if operation == "conv" else ((1,), (1,)))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_operands": (None, None, None)}

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        self._must_fit(x)
        activation = self.activation
        before = self._before_activation(activation, x)
        out = self._finished(activation, before)
        return out, (x, kept_of(activation, before, out))

    def _backward(
        self, kept: Any, grad_out: np.ndarray, input_grad: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        x, needed = kept
        rows, grad = _rows(x), _rows(activation_grad(self.activation, grad_out, needed, self.dtype))
        call = dense_grad(*rows.shape[3:], self.units, self._dtype.itemsize)
        gradients = {}
        if self.trainable:
            gradients["kernel"] = call.weights(rows, grad)
            if self.use_bias:
                gradients["bias"] = channel_sums(grad)
        return call.input(grad, self._packed("conv_transpose")).reshape(x.shape) if input_grad else None, gradients


def _rows(x: np.ndarray) -> np.ndarray:
    """All axes but the last as one: the canonical array of an image of one row."""
    return contiguous(x).reshape(1, 1, 1, prod(x.shape[:-1]), x.shape[-1])


class Flatten(AnyRank):
    """Put all axes but the batch into one (Keras's ``Flatten``).

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        channels_first moves the channels last before, so that both formats give the same. None takes
        `config.image_data_format`.

    Notes
    -----
    Input (N, ...), output (N, product of the others). Keeps for backward: the shape of its input.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.data_format = check_data_format(data_format)

    def _output_shape(self, input_shape: Shape) -> Shape:
        batch, *others = input_shape
        known = [n for n in others if n is not None]
        return batch, prod(known) if len(known) == len(others) else None

    def _why(self, before: Shape, after: Shape) -> str:
        first = ", channels last" if self.data_format == "channels_first" else ""
        size = "unknown" if after[1] is None else after[1]
        return f"values of an example: {' * '.join(str(n or 'unknown') for n in before[1:])} = {size}{first}"

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        batch, *others = x.shape
        if self.data_format == "channels_first":
            x = swapped(contiguous(x).reshape(batch, others[0], prod(others[1:])))
        return np.ascontiguousarray(x).reshape(batch, prod(others)), (batch, *others)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        batch, channels, *lengths = kept
        if self.data_format == "channels_first":
            grad_out = swapped(contiguous(grad_out).reshape(batch, prod(lengths), channels))
        return grad_out.reshape(kept)


class Activation(AnyRank):
    """Apply an activation function (Keras's ``Activation``): ``out = activation(x)``.

    Parameters
    ----------
    activation : str or callable
        See `numbaconv.activations`.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its output or its input.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self._set_components(locals())

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        activation = self.activation
        out = activated(activation, x, self.dtype)
        return out, kept_of(activation, x, out)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return activation_grad(self.activation, grad_out, kept, self.dtype)


class Dropout(AnyRank):
    """Set values to 0 at random in training, and enlarge the others to make up for it (Keras's ``Dropout``).

    ``out = x / (1 - rate)`` with probability ``1 - rate``, otherwise 0. Outside training the layer does nothing.

    Parameters
    ----------
    rate : float
        Share of the values to be dropped, from 0 to 1.
    noise_shape : tuple of int or None, optional
        Shape of the draw, which is broadcast over the input, None being the input's own size: (None, 1, C) drops whole
        channels of (N, steps, C).
    seed : int, optional
        Two layers of the same seed drop the same values; without one, every layer is different.

    Raises
    ------
    ValueError, TypeError
        For arguments out of their range or of the wrong kind, and for inputs that the draw cannot be broadcast over.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: which values are left, a bool for each one drawn.
    """

    _states = frozenset({"_generator"})

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self._named():
            self.rate = number(rate, "rate", minimum=0, maximum=1)
            self.noise_shape = None if noise_shape is None else _checked_sizes(noise_shape)
            self.seed = None if seed is None else integer(seed, "seed")
        self._generator = _random.generator(self.seed)

    def _change(self, name: str, value: Any) -> None:
        super()._change(name, value)
        if name == "seed":
            self._generator = _random.generator(self.seed)

    def get_state(self) -> dict[str, Any]:
        """Where the random numbers have got to, as plain JSON types."""
        return dict(self._generator.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with the random numbers from where `get_state` was called.

        Raises
        ------
        ValueError
            If ``state`` is nothing that `get_state` returned; nothing is changed then.
        """
        generator = np.random.default_rng(0)
        try:
            generator.bit_generator.state = state
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ValueError(f"{self._label}: state must be what get_state returned, got {state!r}") from error
        self._generator = generator

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return np.array(x, order="C")

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        x = np.ascontiguousarray(x)
        if self.rate == 0:
            return x, None
        left = self._generator.random(self._drawn(x.shape), np.float32) >= self.rate
        return self._masked(x, left), left

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out if kept is None else self._masked(grad_out, kept)

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the draw for an input of this shape."""
        if self.noise_shape is None:
            return shape
        drawn = tuple(shape[i] if n is None else n for i, n in enumerate(self.noise_shape[: len(shape)]))
        fits = (n in (1, size) for n, size in zip(drawn[::-1], shape[::-1], strict=False))
        if len(self.noise_shape) > len(shape) or not all(fits):
            raise ValueError(f"x must have a shape that noise_shape {self.noise_shape} broadcasts to, got {shape}")
        return drawn

    @np.errstate(over="ignore", invalid="ignore")
    def _masked(self, values: np.ndarray, left: np.ndarray) -> np.ndarray:
        # A rate of 1 leaves nothing that could be enlarged.
        scale = 1 / (1 - self.rate or 1)
        return masked(left, values * scale)


def _checked_sizes(noise_shape: Any) -> tuple[int | None, ...]:
    if not isinstance(noise_shape, tuple | list):
        raise TypeError(f"noise_shape must be a tuple of sizes (None for the input's own), got {noise_shape!r}")
    return tuple(n if n is None else shapes.normalize_tuple(n, 1, "sizes in noise_shape")[0] for n in noise_shape)
