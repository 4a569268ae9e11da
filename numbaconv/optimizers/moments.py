"""Optimizers that keep a running mean of gradients, and of their size."""

import math

import numpy as np

from ..common.arguments import check_bool
from ..kernels.named import adam
from ..objects.registry import number
from . import base
from .base import Array, Optimizer, Rate, Slots


class _TwoMeans(Optimizer):
    """What keeps a mean of gradients and one of their size.

    Parameters
    ----------
    beta_1, beta_2 : float
        From 0 to less than 1: how much of the means stays at each step.
    epsilon : float
        Not negative.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.beta_1 = number(beta_1, "beta_1", minimum=0, below=1)
        self.beta_2 = number(beta_2, "beta_2", minimum=0, below=1)
        self.epsilon = number(epsilon, "epsilon", minimum=0)

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")


class Adam(_TwoMeans):
    """Mean gradient divided by the root of the mean square, both freed from their beginning at zero.

    At step `t`, counted from 1, ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g ** 2`` and
    ``w - learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)``.

    Parameters
    ----------
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
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.amsgrad = check_bool(amsgrad, "amsgrad")

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    def _update_all(self, rate: float, value: Array, gradient: Array, before: Slots, after: Slots) -> bool:
        # All at once: NumPy's operations one by one take ten times as long, on one core.
        t, names = self.iterations + 1, self._slot_names()
        unbiased = rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        settings = (self.weight_decay or 0.0) * rate, 1 - self.beta_1, 1 - self.beta_2, unbiased, self.epsilon
        finite = np.empty(-(-value.size // base.BLOCK), np.bool_)
        slots = (tuple(slots[name] for name in names) for slots in (before, after))
        adam(value, gradient, *slots, tuple(map(float, settings)), finite, base.BLOCK, serial=len(finite) == 1)
        return bool(finite.all())


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


class Nadam(_TwoMeans):
    """`Adam` with Nesterov's momentum: the mean gradient is looked at one step ahead.

    At step `t`, counted from 1, ``u[t] = beta_1 * (1 - 0.96 ** t / 2)`` and ``p[t] = u[1] * ... * u[t]``; the means
    `m` and `v` are those of `Adam`, and the new weight is ``w - learning_rate * n / (sqrt(v / (1 - beta_2 ** t)) +
    epsilon)`` with ``n = u[t+1] * m / (1 - p[t+1]) + (1 - u[t]) * g / (1 - p[t])``.

    Notes
    -----
    Slots: "momentum", "velocity". Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    # A number of steps, and the product of their weights, with beta_1 in front.
    _product = math.nan, 0, 1.0

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        t = self.iterations + 1
        momentum, velocity = slots["momentum"], slots["velocity"]
        momentum += (1 - self.beta_1) * (gradient - momentum)
        velocity += (1 - self.beta_2) * (gradient**2 - velocity)
        product, ahead = self._product_of(t), self._weight(t + 1)
        mean = ahead / (1 - product * ahead) * momentum + (1 - self._weight(t)) / (1 - product) * gradient
        value -= rate * mean / (np.sqrt(velocity / (1 - self.beta_2**t)) + self.epsilon)

    def _weight(self, t: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def _product_of(self, t: int) -> float:
        """The product of the first weights: one more factor at each step, and the same bits where steps go on."""
        beta_1, steps, product = self._product
        if beta_1 != self.beta_1 or steps > t:
            steps, product = 0, 1.0
        for i in range(steps + 1, t + 1):
            product *= self._weight(i)
        self._product = self.beta_1, t, product
        return product


class Adamax(_TwoMeans):
    """Mean gradient divided by the largest gradient so far, which fades.

    At step `t`, counted from 1, ``m = beta_1 * m + (1 - beta_1) * g``, ``u = max(beta_2 * u, |g|)`` and
    ``w - learning_rate / (1 - beta_1 ** t) * m / (u + epsilon)``.

    Parameters
    ----------
    beta_1, beta_2 : float
        From 0 to less than 1: how much of the mean, and of the largest gradient, stays at each step.

    Notes
    -----
    Slots: "momentum", "norm". Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, section 7.1.
    """

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum", "norm")

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        momentum, norm = slots["momentum"], slots["norm"]
        momentum += (1 - self.beta_1) * (gradient - momentum)
        np.maximum(self.beta_2 * norm, np.abs(gradient), out=norm)
        value -= rate / (1 - self.beta_1 ** (self.iterations + 1)) * momentum / (norm + self.epsilon)


class Lion(Optimizer):
    """Steps of one size in the direction of each sign: ``w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``.

    After that ``m = beta_2 * m + (1 - beta_2) * g``.

    Parameters
    ----------
    beta_1 : float
        Above 0, at most 1: the share of the mean in the direction.
    beta_2 : float
        From 0 to less than 1: how much of the mean stays at each step.

    Notes
    -----
    Slots: "momentum". Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.beta_1 = number(beta_1, "beta_1", above=0, maximum=1)
        self.beta_2 = number(beta_2, "beta_2", minimum=0, below=1)

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum",)

    def _update(self, rate: float, value: Array, gradient: Array, slots: dict[str, Array]) -> None:
        momentum = slots["momentum"]
        value -= rate * np.sign(self.beta_1 * momentum + (1 - self.beta_1) * gradient)
        momentum *= self.beta_2
        momentum += (1 - self.beta_2) * gradient
