"""What layers share that draw random numbers in training."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ..common.random import Later
from ..objects.registry import integer
from .any_rank import AnyRank


class Drawing(AnyRank):
    """A layer that does nothing outside training, and in training draws from a generator of its own."""

    supports_masking = True
    _states = frozenset({"_later"})
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
        return self._later.generator

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

    def _whole_axes(self, count: int) -> Collection[int]:
        return ()

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        return np.array(x, order="C")

    def _forward_still(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        # With None, gradients pass as they are.
        return np.ascontiguousarray(x), None
