"""Initializers that draw from one distribution, whatever the shape."""

import math

import numpy as np

from ..common import random as _random
from ..objects.registry import integer, number
from .base import Array, Initializer, Shape

# Standard deviation of a standard normal variable cut off at -2 and 2.
TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of those that draw.

    Parameters
    ----------
    seed : int, optional
        Makes the values reproducible.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else integer(seed, "seed")

    def _generator(self) -> "np.random.Generator":
        return _random.generator(self.seed)


class RandomNormal(RandomInitializer):
    """Normal distribution.

    Parameters
    ----------
    mean : float
        Mean.
    stddev : float
        Standard deviation, not negative.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = number(mean, "mean")
        self.stddev = number(stddev, "stddev", minimum=0)

    def _values(self, shape: Shape) -> Array:
        return self._generator().normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """Normal distribution in which values beyond two standard deviations from the mean are drawn again.

    `stddev` is the deviation before the cut; that of the values is 0.8796 of it.
    """

    def _values(self, shape: Shape) -> Array:
        return self.mean + self.stddev * truncated_normal(self._generator(), shape)


class RandomUniform(RandomInitializer):
    """Uniform distribution from `minval` to `maxval`.

    Parameters
    ----------
    minval, maxval : float
        Ends of the interval, ``minval <= maxval``.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = number(minval, "minval")
        self.maxval = number(maxval, "maxval", minimum=self.minval)

    def _values(self, shape: Shape) -> Array:
        return self._generator().uniform(self.minval, self.maxval, shape)


class Orthogonal(RandomInitializer):
    """Random matrix with orthonormal columns, or orthonormal rows if it has fewer rows than columns.

    A shape of more than two axes is filled as a matrix of ``shape[-1]`` columns. Saxe et al., 2014.

    Parameters
    ----------
    gain : float
        Length of the columns or rows.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = number(gain, "gain")

    def _values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(f"shape must have 2 axes or more to hold an orthogonal matrix, got {shape!r}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        # The factorization leaves the signs open; those of r's diagonal make the distribution uniform.
        q *= np.where(np.diagonal(r) < 0, -1, 1)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def truncated_normal(generator: "np.random.Generator", shape: Shape) -> Array:
    """Standard normal values, those beyond -2 and 2 drawn again."""
    values = generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = generator.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values
