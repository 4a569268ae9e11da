"""What layers share that draw random numbers in training."""

from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np

from ..common.random import Later
from ..objects.registry import integer
from .any_rank import AnyRank
from .base import Layer


class Seeded(Layer):
    """A layer that may draw from a generator of its own in training."""

    _states = frozenset({"_later"})
    # Whether saved models of all versions have its state.
    always_saved: ClassVar[bool] = False
    # What was pickled before there was one has none.
    _later: Any = None
    seed: int | None

    def _begin(self, seed: Any) -> None:
        """Take the seed; to be called by constructors."""
        self.seed = None if seed is None else integer(seed, "seed")
        self._later = Later(self.seed)

    def _change(self, name: str, value: Any) -> None:
        super()._change(name, value)
        if name == "seed":
            self._later = Later(self.seed)

    @property
    def _generator(self) -> "np.random.Generator":
        if self._later is None:
            self._later = Later(self.seed)
        found: np.random.Generator = self._later.generator
        return found

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
        later = Later(0)
        try:
            later.generator.bit_generator.state = state
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ValueError(f"{self._label}: state must be what get_state returned, got {state!r}") from error
        self._later = later

    def _scales(self, rate: float, *shape: int) -> np.ndarray | None:
        """What values are multiplied with of which so many are dropped: 0, or what makes up for it; None for all 1."""
        if not rate:
            return None
        left = self._generator.random(shape, np.float32) >= rate
        return left * self._dtype.type(1 / (1 - rate or 1))


class Drawing(AnyRank, Seeded):
    """A layer that does nothing outside training, and in training draws from a generator of its own."""

    supports_masking = True
    always_saved = True

    def _whole_axes(self, count: int) -> Collection[int]:
        return ()

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return np.array(x, order="C")

    def _forward_still(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        # With None, gradients pass as they are.
        return np.ascontiguousarray(x), None
