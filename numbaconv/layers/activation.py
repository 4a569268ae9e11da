"""Activation, and how layers apply an activation function and take a gradient back through it."""

from collections.abc import Callable, Collection
from types import FunctionType
from typing import Any

import numpy as np

from .. import activations
from ..activations.settings import WithSettings, meeting_axes
from ..calls.epilogue import NO_MINIMUM
from ..common.words import Penalized, Unpack
from .any_rank import AnyRank
from .base import Layer


class Ending(Layer):
    """A layer of sums that end with an activation, which is computed with them if it is relu."""

    activation: Callable[[np.ndarray], np.ndarray]

    def _before_activation(self, activation: Callable, x: np.ndarray) -> np.ndarray:
        """What the activation gets; all of relu's result."""
        raise NotImplementedError

    def call(self, x: np.ndarray) -> np.ndarray:
        # Read once: another thread may set it meanwhile.
        activation = self.activation
        return self._activated(activation, self._before_activation(activation, x))

    @property
    def _repeats(self) -> bool:
        return not is_users(self.activation)

    def _activated(self, activation: Callable, out: np.ndarray) -> np.ndarray:
        done = activation is activations.linear or activation is activations.relu
        return out if done else activated(activation, out, self.dtype)

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        activation = self.activation
        before = self._before_activation(activation, x)
        out = self._activated(activation, before)
        return out, (x, kept_of(activation, before, out))


class Activating(AnyRank):
    """What layers share that apply a function to their input."""

    supports_masking = True
    # From `numbaconv.activations`, or the user's.
    _function: Callable[[np.ndarray], np.ndarray]

    @property
    def _repeats(self) -> bool:
        return not is_users(self._function)

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        x = unshared(self._function, x)
        out = activated(self._function, x, self.dtype)
        return out, kept_of(self._function, x, out)

    def _whole_axes(self, count: int) -> Collection[int]:
        return meeting_axes(self._function, count)

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return activation_grad(self._function, grad_out, kept, self.dtype)


class Activation(Activating):
    """Apply an activation function (Keras's ``Activation``): ``out = activation(x)``.

    Parameters
    ----------
    activation : str, callable or dict
        See `numbaconv.activations`.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: its output or its input.
    """

    activation: Callable[[np.ndarray], np.ndarray]

    def __init__(self, activation: Any, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self._set_components(locals())

    @property
    def _function(self) -> Callable[[np.ndarray], np.ndarray]:  # type: ignore[override]
        return self.activation


def joins_relu(layer: Any, follower: Any) -> bool:
    """Whether a layer that can end with relu may do so in place of another, which is relu and nothing else."""
    if not (isinstance(follower, Activating) and follower._function is activations.relu):
        return False
    plain = (one._own and not one._replaced and one.activity_regularizer is None for one in (layer, follower))
    return all(plain) and layer.dtype == follower.dtype


def minimum_of(activation: Callable) -> float:
    """What a kernel has to raise smaller results to, so that it computes the activation itself if that is relu."""
    return 0.0 if activation is activations.relu else NO_MINIMUM


def unshared(activation: Callable, before: np.ndarray) -> np.ndarray:
    """``before``, or a copy for a function of the user's: it may work in place, and others may read ``before`` too."""
    return before.copy() if is_users(activation) else before


def is_users(activation: Callable) -> bool:
    """Whether an activation is no function of the library's: a layer or a method has weights or settings of its own."""
    base = activation.function if isinstance(activation, WithSettings) else activation
    return not (isinstance(base, FunctionType) and base.__module__.startswith(__name__.partition(".")[0] + "."))


def activated(activation: Callable, before: np.ndarray, dtype: str) -> np.ndarray:
    """``activation(before)``, in C order and this dtype; ``before`` itself where that is what it is."""
    out = activation(before)
    if np.shape(out) != before.shape:
        raise ValueError(f"activation must keep the shape {before.shape} of what it gets, got {np.shape(out)}")
    return np.ascontiguousarray(out, dtype)


def kept_of(activation: Callable, before: np.ndarray, out: np.ndarray) -> np.ndarray | None:
    """What the activation's gradient is worked out from: what it got, what it made of that, or nothing."""
    if activation is activations.linear:
        return None
    return before if activations.of_input(activation) else out


def activation_grad(activation: Callable, grad_out: np.ndarray, kept: np.ndarray | None, dtype: str) -> np.ndarray:
    """Take a gradient back through the activation, given what `kept_of` says; `linear` needs nothing."""
    grad = activations.gradient(activation)(grad_out, kept)  # type: ignore[arg-type]
    if np.shape(grad) != grad_out.shape:
        raise ValueError(f"the activation's gradient must have shape {grad_out.shape}, got {np.shape(grad)}")
    return np.ascontiguousarray(grad, dtype)
