"""Gradient descent, and gradients divided by the root of the sum or the mean of their squares."""

import numpy as np

from ..common.arguments import check_bool
from ..objects.registry import number
from .base import Array, Optimizer, Rate


class SGD(Optimizer):
    """Gradient descent: ``w - learning_rate * g``; with momentum ``w + m``, ``m = momentum * m - learning_rate * g``.

    Parameters
    ----------
    momentum : float
        From 0 to 1.
    nesterov : bool
        Whether momentum looks one step ahead: ``w + momentum * m - learning_rate * g`` with the new `m`.

    Notes
    -----
    Slots: "momentum", if that is not 0. Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.momentum = number(momentum, "momentum", minimum=0, maximum=1)
        self.nesterov = check_bool(nesterov, "nesterov")

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        gradient *= rate
        if not self.momentum:
            value -= gradient
            return
        momentum = slots["momentum"]
        momentum *= self.momentum
        momentum -= gradient
        value += self.momentum * momentum - gradient if self.nesterov else momentum


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square: ``w - learning_rate * g / sqrt(v + epsilon)``.

    ``v = rho * v + (1 - rho) * g ** 2``.

    Parameters
    ----------
    rho : float
        From 0 to 1: how much of the mean stays at each step.
    momentum : float
        From 0 to 1: if not 0, ``m = momentum * m + learning_rate * g / sqrt(v + epsilon)`` is subtracted instead.
    epsilon : float
        Not negative.
    centered : bool
        Whether the variance ``v - a ** 2`` takes the place of `v`, where ``a = rho * a + (1 - rho) * g``. Rounding
        does not make it negative, as it does in Keras.

    Notes
    -----
    Slots: "velocity", "momentum" if that is not 0, "average_gradient" if centered. Hinton, "Neural Networks for Machine
    Learning", lecture 6, 2012; Graves, "Generating Sequences With Recurrent Neural Networks", 2013.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.rho = number(rho, "rho", minimum=0, maximum=1)
        self.momentum = number(momentum, "momentum", minimum=0, maximum=1)
        self.epsilon = number(epsilon, "epsilon", minimum=0)
        self.centered = check_bool(centered, "centered")

    def _slot_names(self) -> tuple[str, ...]:
        wanted = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return tuple(name for name, present in wanted.items() if present)

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        velocity = slots["velocity"]
        velocity *= self.rho
        velocity += (1 - self.rho) * gradient**2
        variance = velocity
        if self.centered:
            average = slots["average_gradient"]
            average *= self.rho
            average += (1 - self.rho) * gradient
            variance = np.maximum(velocity - average**2, 0)
        gradient *= rate
        gradient /= np.sqrt(variance + self.epsilon)
        if self.momentum:
            momentum = slots["momentum"]
            momentum *= self.momentum
            momentum += gradient
            gradient = momentum
        value -= gradient


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares: ``w - learning_rate * g / sqrt(s + epsilon)``.

    ``s = s + g ** 2``.

    Parameters
    ----------
    initial_accumulator_value : float
        Not negative: what the sum begins with.
    epsilon : float
        Not negative.

    Notes
    -----
    Slots: "accumulator". Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    2011.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.initial_accumulator_value = number(initial_accumulator_value, "initial_accumulator_value", minimum=0)
        self.epsilon = number(epsilon, "epsilon", minimum=0)

    def _slot_names(self) -> tuple[str, ...]:
        return ("accumulator",)

    def _first(self) -> float:
        return self.initial_accumulator_value

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        accumulator = slots["accumulator"]
        accumulator += gradient**2
        gradient *= rate
        value -= gradient / np.sqrt(accumulator + self.epsilon)


class Adadelta(Optimizer):
    """Gradients scaled by the root mean square of earlier changes, divided by their own: ``w - learning_rate * d``.

    ``d = sqrt(u + epsilon) / sqrt(v + epsilon) * g`` with ``v = rho * v + (1 - rho) * g ** 2``, and after that
    ``u = rho * u + (1 - rho) * d ** 2``.

    Parameters
    ----------
    rho : float
        From 0 to 1: how much of the means stays at each step.
    epsilon : float
        Not negative.

    Notes
    -----
    Slots: "accumulated_grad", "accumulated_delta_var". Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012,
    where the learning rate is 1.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.rho = number(rho, "rho", minimum=0, maximum=1)
        self.epsilon = number(epsilon, "epsilon", minimum=0)

    def _slot_names(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        squares, changes = slots["accumulated_grad"], slots["accumulated_delta_var"]
        squares *= self.rho
        squares += (1 - self.rho) * gradient**2
        gradient *= np.sqrt(changes + self.epsilon) / np.sqrt(squares + self.epsilon)
        changes *= self.rho
        changes += (1 - self.rho) * gradient**2
        value -= rate * gradient
