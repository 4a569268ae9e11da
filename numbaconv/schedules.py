"""Learning rates that change from step to step, by Keras's names; also reached as ``numbaconv.optimizers.schedules``.

A schedule is called with the number of steps taken so far and returns the rate of the next one. Optimizers take any
such function; the classes here can be put in a config too. Rates are computed in float64, Keras's in float32.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from numbaconv.common.arguments import check_bool
from numbaconv.objects.registry import Configurable, Registry, number

from .objects.public import publish

__all__ = ["CosineDecay", "ExponentialDecay", "LearningRateSchedule", "PiecewiseConstantDecay", "get", "serialize"]
publish(__name__)


class LearningRateSchedule(Configurable):
    """Base of all schedules here."""

    def __call__(self, step: float) -> float:
        """Return the learning rate after `step` steps, a finite number; ValueError or TypeError if `step` is none."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


class ExponentialDecay(LearningRateSchedule):
    """Rate ``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step, not negative.
    decay_steps : float
        Steps in which the rate is multiplied by `decay_rate` once; positive.
    decay_rate : float
        Not negative.
    staircase : bool
        Whether the exponent is rounded down, so that the rate changes every `decay_steps` steps only.
    name : str
        Kept in the config, as Keras does.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", minimum=0)
        self.decay_steps = number(decay_steps, "decay_steps", above=0)
        self.decay_rate = number(decay_rate, "decay_rate", minimum=0)
        self.staircase = check_bool(staircase, "staircase")
        self.name = name

    def __call__(self, step: float) -> float:
        """Return the learning rate after `step` steps."""
        step = number(step, "step", minimum=0)
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        try:
            rate = self.initial_learning_rate * self.decay_rate**exponent
        except OverflowError:
            rate = math.inf if self.initial_learning_rate else 0.0
        return _finite(rate, step)


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave down from one rate to `alpha` times that, after a linear warmup if there is one.

    With ``t = min((step - warmup_steps) / decay_steps, 1)`` the rate is
    ``peak * ((1 - alpha) * (1 + cos(pi * t)) / 2 + alpha)``. `peak` is `warmup_target`, to which the rate rises in the
    first `warmup_steps` steps; without one, there is no warmup and `peak` is `initial_learning_rate`.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of the first step, not negative.
    decay_steps : float
        Steps from `peak` to ``alpha * peak``, warmup not included; positive.
    alpha : float
        The last rate as a fraction of `peak`, not negative.
    name : str
        Kept in the config, as Keras does.
    warmup_target : float, optional
        Rate at the end of the warmup, not negative.
    warmup_steps : float
        Length of the warmup, not negative; of no effect without `warmup_target`.

    Notes
    -----
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = number(initial_learning_rate, "initial_learning_rate", minimum=0)
        self.decay_steps = number(decay_steps, "decay_steps", above=0)
        self.alpha = number(alpha, "alpha", minimum=0)
        self.name = name
        self.warmup_target = None if warmup_target is None else number(warmup_target, "warmup_target", minimum=0)
        self.warmup_steps = number(warmup_steps, "warmup_steps", minimum=0)

    def __call__(self, step: float) -> float:
        """Return the learning rate after `step` steps."""
        step = number(step, "step", minimum=0)
        peak = self.initial_learning_rate
        if self.warmup_target is not None:
            peak = self.warmup_target
            if step < self.warmup_steps:
                risen = step / self.warmup_steps
                return self.initial_learning_rate + risen * (peak - self.initial_learning_rate)
            step = step - self.warmup_steps
        decayed = (1 + math.cos(math.pi * min(step / self.decay_steps, 1))) / 2
        return _finite(peak * ((1 - self.alpha) * decayed + self.alpha), step)


class PiecewiseConstantDecay(LearningRateSchedule):
    """Constant rates between boundaries: ``values[i]`` up to and including step ``boundaries[i]``, then the next.

    Parameters
    ----------
    boundaries : sequence of float
        Strictly increasing.
    values : sequence of float
        One rate more than boundaries, none negative; the last one holds from the last boundary on.
    name : str
        Kept in the config, as Keras does.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        self.boundaries = tuple(number(one, "boundaries") for one in boundaries)
        self.values = tuple(number(one, "values", minimum=0) for one in values)
        self.name = name
        if sorted(set(self.boundaries)) != list(self.boundaries):
            raise ValueError(f"boundaries must be strictly increasing, got {boundaries!r}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values must be {len(self.boundaries) + 1} numbers, one more than boundaries, got {values!r}"
            )

    def __call__(self, step: float) -> float:
        """Return the learning rate after `step` steps."""
        step = number(step, "step", minimum=0)
        return self.values[bisect_left(self.boundaries, step)]


def _finite(rate: float, step: float) -> float:
    """The rate after so many steps, unless it is beyond what float64 can hold."""
    if not math.isfinite(rate):
        raise ValueError(f"the learning rate must stay finite, got {rate} after {step:g} steps")
    return rate


_REGISTRY = Registry(
    "learning_rate", globals(), LearningRateSchedule, "any function of the number of steps, returned as it is"
)


@_REGISTRY.documented
def get(identifier: Any) -> Callable[[int], float]:
    """Return the schedule that `identifier` means.

    Parameters
    ----------
    identifier : dict or callable
        A dict with "class_name" and "config"; or any function of the number of steps, returned as it is.

    Returns
    -------
    callable
        Takes the number of steps taken so far and returns a learning rate.
    """
    schedule: Callable[[int], float] = _REGISTRY.get(identifier)
    return schedule


@_REGISTRY.documented
def serialize(schedule: Callable[[int], float]) -> dict[str, Any]:
    """Return the config from which `get` makes an equal schedule."""
    return _REGISTRY.serialize(schedule)
