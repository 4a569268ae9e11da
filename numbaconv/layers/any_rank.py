"""What layers for inputs of any number of axes share."""

from typing import Any

import numpy as np

from .. import shapes
from ..shapes import Shape
from .base import Layer


class AnyRank(Layer):
    """A layer for inputs of two axes or more; unless it says otherwise, of an output shaped like its input."""

    def _output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def _why(self, before: Shape, after: Shape) -> str:
        """How the second shape comes from the first."""
        return "every value keeps its place"

    @property
    def _mixes_positions(self) -> bool:
        """Whether values of several positions meet, in which case there is no receptive field."""
        return False

    def _explained(self, input_shape: Any) -> str:
        after = self.compute_output_shape(input_shape)
        before = shapes.normalize_shape(input_shape, "input_shape")
        return f"{type(self).__name__} turns {before} into {after}.\n{self._why(before, after)}."

    def call(self, x: np.ndarray) -> np.ndarray:
        self._must_fit(x)
        out, _ = self._forward(x)
        return out.copy() if np.may_share_memory(out, x) else out
