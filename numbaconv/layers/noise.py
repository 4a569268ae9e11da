"""Layers that add or multiply normally distributed noise in training."""

from typing import Any

import numpy as np

from ..common.words import Penalized, Unpack
from ..objects.registry import number
from .drawing import Drawing


class GaussianNoise(Drawing):
    """Add random numbers in training (Keras's ``GaussianNoise``): ``out = x + stddev * draw``.

    Draws are from a normal distribution of mean 0 and standard deviation 1, one for each value. Outside training the
    layer does nothing.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise; not negative.
    seed : int, optional
        Two layers of the same seed draw the same; without one, every layer is different.

    Notes
    -----
    Input of any shape, output the same. Keras takes no ``stddev`` above 1. Keeps nothing for backward.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.stddev = number(stddev, "stddev", minimum=0)
            self._begin(seed)

    @np.errstate(over="ignore")
    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.stddev == 0:
            return np.ascontiguousarray(x), None
        out = self._generator.standard_normal(x.shape, self._dtype)
        out *= self.stddev
        out += x
        return out, None

    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out


class GaussianDropout(Drawing):
    """Multiply by random numbers in training (Keras's ``GaussianDropout``): ``out = x * (1 + stddev * draw)``.

    ``stddev = sqrt(rate / (1 - rate))``, which is the standard deviation of what `Dropout` multiplies by. Draws are
    from a normal distribution of mean 0 and standard deviation 1, one for each value. Outside training the layer does
    nothing.

    Parameters
    ----------
    rate : float
        From 0 on, below 1.
    seed : int, optional
        Two layers of the same seed draw the same; without one, every layer is different.

    Notes
    -----
    Input of any shape, output the same. Keeps for backward: what it multiplied by.

    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: "Unpack[Penalized]") -> None:
        super().__init__(**kwargs)
        with self._named():
            self.rate = number(rate, "rate", minimum=0, below=1)
            self._begin(seed)

    @np.errstate(over="ignore", invalid="ignore")
    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        if self.rate == 0:
            return np.ascontiguousarray(x), None
        factors = self._generator.standard_normal(x.shape, self._dtype)
        factors *= (self.rate / (1 - self.rate)) ** 0.5
        factors += 1
        return np.ascontiguousarray(x * factors), factors

    @np.errstate(over="ignore", invalid="ignore")
    def _input_grad(self, kept: Any, grad_out: np.ndarray) -> np.ndarray:
        return grad_out if kept is None else grad_out * kept
