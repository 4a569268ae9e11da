"""Rules by which gradients change weights, by Keras's names and with Keras's formulas.

An optimizer's `step` is given all weights and their gradients and returns the new weights. What it remembers of earlier
steps, such as momentum, is kept in slots that belong to positions in these lists. Rates are computed in float64; arrays
in float64 if one of the weights is float64, and in float32 otherwise.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from numbaconv import schedules
from numbaconv._optimizer import Array, Optimizer, Rate
from numbaconv._registry import Registry, number
from numbaconv.arguments import check_bool

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules", "serialize"]


class SGD(Optimizer):
    """Gradient descent: ``w - learning_rate * g``; with momentum ``w + m``, ``m = momentum * m - learning_rate * g``.

    Parameters
    ----------
    learning_rate : float, callable or dict
        As all that is not explained here, see `Optimizer`.
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
    learning_rate : float, callable or dict
        As all that is not explained here, see `Optimizer`.
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


class Adam(Optimizer):
    """Mean gradient divided by the root of the mean square, both freed from their beginning at zero.

    At step `t`, counted from 1, ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g ** 2`` and
    ``w - learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, callable or dict
        As all that is not explained here, see `Optimizer`.
    beta_1, beta_2 : float
        From 0 to less than 1: how much of the means stays at each step.
    epsilon : float
        Not negative.
    amsgrad : bool
        Whether the largest `v` so far takes the place of `v`.

    Notes
    -----
    Slots: "momentum", "velocity" and, with amsgrad, "velocity_hat". Kingma and Ba, "Adam: A Method for Stochastic
    Optimization", 2015, with the "epsilon hat" before its section 2.1; Reddi et al., "On the Convergence of Adam and
    Beyond", 2018.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.beta_1 = number(beta_1, "beta_1", minimum=0, below=1)
        self.beta_2 = number(beta_2, "beta_2", minimum=0, below=1)
        self.epsilon = number(epsilon, "epsilon", minimum=0)
        self.amsgrad = check_bool(amsgrad, "amsgrad")

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        t = self.iterations + 1
        momentum, velocity = slots["momentum"], slots["velocity"]
        momentum += (1 - self.beta_1) * (gradient - momentum)
        velocity += (1 - self.beta_2) * (gradient**2 - velocity)
        if self.amsgrad:
            velocity = np.maximum(slots["velocity_hat"], velocity, out=slots["velocity_hat"])
        unbiased = rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        value -= unbiased * momentum / (np.sqrt(velocity) + self.epsilon)


class AdamW(Adam):
    """`Adam` with weight decay, the second argument here.

    Parameters
    ----------
    weight_decay : float
        As for `Optimizer`, but never None.

    Notes
    -----
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        decay = number(weight_decay, "weight_decay", minimum=0)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, decay, clipnorm, clipvalue, global_clipnorm)


_REGISTRY = Registry("optimizer", (SGD, RMSprop, Adam, AdamW), {"adamw": AdamW})


def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer that `identifier` means.

    Parameters
    ----------
    identifier : str, class, dict or Optimizer
        A name ("sgd", "rmsprop", "adam", "adamw" or a class name); a class, which is called without arguments; a dict
        with "class_name" and "config"; or an optimizer, returned as it is.

    Returns
    -------
    Optimizer or None
        None for None.

    Raises
    ------
    ValueError
        If no optimizer has this name.
    TypeError
        If `identifier` is none of these, or its config has unknown arguments.
    """
    made = identifier() if isinstance(identifier, type) else identifier
    if isinstance(made, (str, Mapping)):
        made = _REGISTRY.get(made)
    if made is not None and not isinstance(made, Optimizer):
        raise TypeError(f"optimizer must be a name, a class, a config or an optimizer, got {identifier!r}")
    return made


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the config from which `get` makes an optimizer of the same settings, without the state.

    Parameters
    ----------
    optimizer : SGD, RMSprop, Adam or AdamW

    Returns
    -------
    dict
        "class_name" and "config", as plain JSON types.

    Raises
    ------
    TypeError
        If it is anything else, or its learning rate is a function of the user's.
    """
    return _REGISTRY.serialize(optimizer)
