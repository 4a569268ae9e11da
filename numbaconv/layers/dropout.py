"""Dropout."""

from typing import Any

import numpy as np

from .. import shapes
from ..common import random as _random
from ..common.arrays import masked
from ..objects.registry import integer, number
from .any_rank import AnyRank


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

    supports_masking = True
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

    def _forward_still(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.ascontiguousarray(x), None

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
